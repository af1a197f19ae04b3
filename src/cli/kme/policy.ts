/** What a KME gives out, for how long, and to whom: the options and what they become. */

import { type Command, InvalidArgumentError } from "commander";
import type { KmeLimits } from "../../kme/api.ts";
import type { StoreOptions } from "../../kme/store.ts";

export interface PolicyFlags {
  readonly allow?: readonly (readonly [string, string])[];
  readonly keySize?: number;
  readonly minKeySize?: number;
  readonly maxKeySize?: number;
  readonly maxKeys?: number;
  readonly maxSlaves?: number;
  readonly maxAge?: number;
  readonly hold?: number;
}

/** Adds the options to a command. */
export function addPolicyOptions(command: Command): Command {
  return command
    .option(
      "--allow <sae=sae,...>",
      "SAEs that may share keys, whichever of them draws; repeat for others (default: each of A with each of B)",
      pairs,
    )
    .option("--key-size <bits>", "size of a key when a request names none (default: 256)", whole)
    .option("--min-key-size <bits>", "the least that may be asked for (default: 64)", whole)
    .option("--max-key-size <bits>", "the most that may be asked for (default: 1024)", whole)
    .option("--max-keys <n>", "keys in one request at most (default: 128)", whole)
    .option("--max-slaves <n>", "additional slave SAEs of a key at most (default: 4)", whole)
    .option(
      "--max-age <seconds>",
      "how long key may wait in stock before it is wiped (default: 86400)",
      whole,
    )
    .option(
      "--hold <seconds>",
      "how long a key that was drawn waits for its slave SAEs (default: 3600)",
      whole,
    );
}

export interface Policy {
  readonly allow?: readonly (readonly [string, string])[];
  readonly limits: KmeLimits;
}

/** What the KMEs are told. */
export function policyOf(flags: PolicyFlags): Policy {
  const { allow, keySize, minKeySize, maxKeySize, maxKeys, maxSlaves } = flags;
  const limits = {
    ...(keySize !== undefined && { keyBits: keySize }),
    ...(minKeySize !== undefined && { minKeyBits: minKeySize }),
    ...(maxKeySize !== undefined && { maxKeyBits: maxKeySize }),
    ...(maxKeys !== undefined && { maxKeysPerRequest: maxKeys }),
    ...(maxSlaves !== undefined && { maxSaeIds: maxSlaves }),
  };
  return { ...(allow && { allow }), limits };
}

/** What their stores are told. */
export function lifeOf({ maxAge, hold }: PolicyFlags): Pick<StoreOptions, "maxAgeMs" | "holdMs"> {
  return {
    ...(maxAge !== undefined && { maxAgeMs: 1000 * maxAge }),
    ...(hold !== undefined && { holdMs: 1000 * hold }),
  };
}

function pairs(
  text: string,
  before: readonly (readonly [string, string])[] = [],
): readonly (readonly [string, string])[] {
  const [one = "", others, ...rest] = text.split("=");
  const peers = others?.split(",") ?? [];
  if (one === "" || peers.length === 0 || peers.includes("") || rest.length > 0) {
    throw new InvalidArgumentError("It must be an SAE and its peers, as in sae-a=sae-b,sae-c.");
  }
  return [...before, ...peers.map((peer): readonly [string, string] => [one, peer])];
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
