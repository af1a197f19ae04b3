/** Which SAEs a KME knows, where their keys lie, and which of them may share some. */

import { UsageError } from "../protocol/errors.ts";
import { ownSae } from "../qkd/names.ts";
import type { KmeIdentity } from "./api.ts";
import type { KeyStore } from "./store.ts";

/** The way to the KME of an SAE. */
export interface Route {
  readonly kme: string;
  readonly store: KeyStore;
}

export class SaeRegistry {
  readonly #served = new Set<string>();
  readonly #routes = new Map<string, Route>();
  /** Undefined when all may share keys with all. */
  readonly #allowed: ReadonlySet<string> | undefined;

  /** Throws UsageError for an SAE that is named twice, or in a pair and nowhere else. */
  constructor({ id, saes, links, allow }: Pick<KmeIdentity, "id" | "saes" | "links" | "allow">) {
    for (const sae of saes) {
      if (this.#served.has(ownSae(sae, "saes"))) throw invalid("saes", `the SAE ${sae} is named twice`);
      this.#served.add(sae);
    }
    for (const { kme, saes: reached, store } of links) {
      for (const sae of reached) {
        if (this.#routes.has(ownSae(sae, "links")))
          throw invalid("links", `two links lead to the SAE ${sae}`);
        if (kme !== id && this.#served.has(sae)) {
          throw invalid("links", `the SAE ${sae} is served here, and a link leads to it at ${kme}`);
        }
        this.#routes.set(sae, { kme: ownSae(kme, "links"), store });
      }
    }
    this.#allowed = allow && this.#pairs(allow);
  }

  serves(sae: string): boolean {
    return this.#served.has(sae);
  }

  route(sae: string): Route | undefined {
    return this.#routes.get(sae);
  }

  /** Whether two SAEs may share keys, whichever of them draws. */
  allows(one: string, other: string): boolean {
    return this.#allowed === undefined || this.#allowed.has(pairOf(one, other));
  }

  #pairs(allow: readonly (readonly [string, string])[]): ReadonlySet<string> {
    const allowed = new Set<string>();
    for (const [one, other] of allow) {
      if (!this.#isPair(one, other) && !this.#isPair(other, one)) {
        throw invalid(
          "allow",
          `${one} and ${other} are no pair: one SAE of this KME, one that a link leads to`,
        );
      }
      const pair = pairOf(one, other);
      if (allowed.has(pair)) throw invalid("allow", `${one} and ${other} are named twice`);
      allowed.add(pair);
    }
    return allowed;
  }

  #isPair(ours: string, theirs: string): boolean {
    return this.#served.has(ours) && this.#routes.has(theirs);
  }
}

/** The same for both orders; a name of an SAE may hold any separator. */
const pairOf = (one: string, other: string): string =>
  JSON.stringify(one < other ? [one, other] : [other, one]);

const invalid = (option: string, text: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", text, { option });
