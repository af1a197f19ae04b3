import { LinkError } from "../protocol/errors.ts";
import { Bits } from "./bits.ts";
import { CascadeMessages, type CascadeSettings, demandKey, Leak, RATE_UNIT } from "./cascade.ts";
import { CASCADE_VARIANTS, type CascadePlan, cascadePlan } from "./cascade-plan.ts";
import { unexpected } from "./message.ts";
import { Partition } from "./partition.ts";
import { shuffle } from "./shuffle.ts";

/** How the passes are cut, as Bob wants it. */
interface Cut {
  readonly plan: CascadePlan;
  readonly seed: Uint8Array;
}

type AskBody = Extract<ReturnType<typeof CascadeMessages.read>, { kind: "ask" }>["body"];

/**
 * Alice's part of Cascade: she tells parities of her key, each at most once and never more than the bound, whatever
 * she is asked. A message that breaks a rule is a LinkError and ends it.
 */
export class CascadeTeller {
  readonly #key: Bits;
  readonly #settings: CascadeSettings;
  readonly #leak: Leak;
  readonly #passes: Partition[] = [];
  #cut: Cut | undefined;
  #standing: "open" | "done" | "closed" = "open";
  #corrected = 0;

  /** `key` is read and never changed. Throws a RangeError for a key of fewer than 2 or more than 2^27 bits. */
  constructor(key: Bits, settings: CascadeSettings) {
    demandKey(key);
    this.#key = key;
    this.#settings = settings;
    this.#leak = new Leak(settings.maxLeakBits ?? key.length);
  }

  get done(): boolean {
    return this.#standing === "done";
  }

  get leakedBits(): number {
    return this.#leak.bits;
  }

  /** How many bits Bob says that he corrected. Throws a LinkError before he has said so. */
  get correctedBits(): number {
    if (!this.done) throw new LinkError("ERR_LINK_CLOSED", "cascade: the reconciliation is not done");
    return this.#corrected;
  }

  /** The answers to one message of Bob's. Throws a LinkError, after which nothing is answered any more. */
  receive(message: Uint8Array): Uint8Array[] {
    if (this.#standing !== "open") throw new LinkError("ERR_LINK_CLOSED", "cascade: it has ended");
    try {
      const parities = this.#answer(message);
      return parities === undefined
        ? []
        : [CascadeMessages.write("parities", { parities: parities.toBytes() })];
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  /** Overwrites its copies of the key and ends. */
  wipe(): void {
    if (this.#standing === "open") this.#standing = "closed";
    for (const pass of this.#passes.splice(0)) pass.wipe();
  }

  #answer(message: Uint8Array): Bits | undefined {
    const { kind, body } = CascadeMessages.read(message);
    switch (kind) {
      case "open": {
        if (this.#cut !== undefined) throw unexpected("cascade", "open", "a question");
        const variant = CASCADE_VARIANTS[body.variant];
        const rate = body.error_rate * RATE_UNIT;
        if (variant === undefined) throw malformed(`no variant ${body.variant}`);
        if (body.length !== this.#key.length)
          throw malformed(`a key of ${body.length} bits, not ${this.#key.length}`);
        if (rate > 0.5) throw malformed(`an error rate of ${rate}`);
        this.#cut = { plan: cascadePlan(variant, body.length, rate), seed: body.shuffle_seed.slice() };
        return undefined;
      }
      case "ask":
        return this.#tell(body);
      case "done":
        if (this.#cut === undefined) throw unexpected("cascade", "done", "open");
        if (body.corrected > this.#key.length) throw malformed(`${body.corrected} bits corrected`);
        this.#corrected = body.corrected;
        this.#standing = "done";
        this.wipe();
        return undefined;
      case "parities":
        throw unexpected("cascade", kind, "a question");
    }
  }

  #tell({ passes, begins, halves }: AskBody): Bits {
    if (this.#cut === undefined) throw unexpected("cascade", "ask", "open");
    if (passes !== this.#passes.length)
      throw unexpected("cascade", `pass ${passes}`, `pass ${this.#passes.length}`);
    if (begins && passes >= this.#cut.plan.passes) throw unexpected("cascade", "another pass", "done");
    const older = this.#passes.slice();
    const blocks = begins ? this.#begin(this.#cut) : new Bits(0);
    return Bits.concat([blocks, this.#tellHalves(halves, older)]);
  }

  #begin({ plan, seed }: Cut): Bits {
    const index = this.#passes.length;
    const order = index === 0 ? undefined : shuffle(this.#settings.hash, seed, index, this.#key.length);
    const pass = new Partition(this.#key, plan.blockBits(index), order);
    this.#passes.push(pass);
    const count = pass.blocks - (index === 0 ? 0 : 1);
    this.#leak.add(count);
    return pass.parities(count);
  }

  #tellHalves(halves: AskBody["halves"], passes: readonly Partition[]): Bits {
    const count = halves.reduce((sum, { starts }) => sum + starts.length, 0);
    this.#leak.add(count);
    const parities = new Bits(count);
    let at = 0;
    let lastPass = -1;
    for (const { pass: index, starts } of halves) {
      const pass = passes[index];
      if (pass === undefined || index <= lastPass) throw malformed(`pass ${index} is none, or comes twice`);
      lastPass = index;
      // What a cut leaves may be cut further in the same message; that none is cut twice is the partition's to see.
      for (const start of starts) {
        if (pass.bits.parity(start, pass.cut(start)) === 1) parities.flip(at);
        at += 1;
      }
    }
    return parities;
  }
}

const malformed = (what: string): LinkError => new LinkError("ERR_LINK_MALFORMED", `cascade: ${what}`);
