import { LinkError } from "../protocol/errors.ts";
import { Bits } from "./bits.ts";
import {
  CascadeMessages,
  type CascadeReport,
  type CascadeSettings,
  demandKey,
  Leak,
  RATE_UNIT,
  SEED_BYTES,
} from "./cascade.ts";
import { CASCADE_VARIANTS, type CascadePlan, type CascadeVariant, cascadePlan } from "./cascade-plan.ts";
import { unexpected } from "./message.ts";
import { cutsOfAll, type Halves, levelsFor, type OddPass, oddStarts, sizeOf } from "./odd-pass.ts";
import { Partition } from "./partition.ts";
import { shuffle } from "./shuffle.ts";

/** What Bob decides. */
export interface AskerSettings extends CascadeSettings {
  /** The share of bits that is expected to differ, from the estimate. */
  readonly errorRate: number;
  /** 16 fresh random bytes, public. */
  readonly seed: Uint8Array;
  /** Default: `opt8`. */
  readonly variant?: CascadeVariant | undefined;
  /**
   * What a round trip costs in bits of authentication key. The more, the earlier the next pass begins and the further
   * intervals are cut at once: fewer round trips for more parities. Default 0: as few parities as can be, whatever
   * the round trips.
   */
  readonly roundTripBits?: number | undefined;
}

/** Odd intervals, per error and bit of a round trip's cost, at which the next pass begins: found by trying. */
const FEW_ODD = 8e-5;
/** But where that many of the last pass's blocks are odd, each error would be looked for in the next one again. */
const FEW_OF_BLOCKS = 1 / 4;
const MAX_ROUND_TRIP_BITS = 2 ** 16;

/** What one message asks: the blocks of a pass that begins, then halves of odd intervals. */
interface Question {
  readonly begins: OddPass | undefined;
  readonly halves: readonly Halves[];
}

/** Bob's part of Cascade. A message that breaks a rule, or parities that contradict each other, are a LinkError. */
export class CascadeAsker {
  readonly #key: Bits;
  readonly #settings: AskerSettings;
  readonly #variant: CascadeVariant;
  readonly #plan: CascadePlan;
  readonly #leak: Leak;
  readonly #fewOdd: number;
  readonly #passes: OddPass[] = [];
  readonly #corrected: Bits;
  #correctedBits = 0;
  #roundTrips = 0;
  #asked: Question | undefined;
  #standing: "new" | "open" | "done" | "closed" = "new";

  /** `key` is corrected in place. Throws a RangeError for a key of fewer than 2 or more than 2^27 bits, or a bad seed. */
  constructor(key: Bits, settings: AskerSettings) {
    demandKey(key);
    if (settings.seed.length !== SEED_BYTES) throw new RangeError(`a seed of ${settings.seed.length} bytes`);
    if (!(settings.errorRate >= 0 && settings.errorRate <= 0.5)) {
      throw new RangeError(`an error rate of ${settings.errorRate}`);
    }
    const { roundTripBits = 0 } = settings;
    if (!(roundTripBits >= 0 && roundTripBits <= MAX_ROUND_TRIP_BITS)) {
      throw new RangeError(`a round trip worth ${roundTripBits} bits`);
    }
    this.#key = key;
    this.#settings = settings;
    this.#variant = settings.variant ?? "opt8";
    const rate = Math.round(settings.errorRate / RATE_UNIT) * RATE_UNIT;
    this.#plan = cascadePlan(this.#variant, key.length, rate);
    this.#leak = new Leak(settings.maxLeakBits ?? key.length);
    this.#corrected = new Bits(key.length);
    this.#fewOdd = FEW_ODD * key.length * rate * roundTripBits;
  }

  get done(): boolean {
    return this.#standing === "done";
  }

  get report(): CascadeReport {
    return {
      leakedBits: this.#leak.bits,
      correctedBits: this.#correctedBits,
      passes: this.#passes.length,
      roundTrips: this.#roundTrips,
    };
  }

  /** The first messages, once. */
  start(): Uint8Array[] {
    if (this.#standing !== "new") throw new LinkError("ERR_LINK_CLOSED", "cascade: it was started before");
    this.#standing = "open";
    const open = CascadeMessages.write("open", {
      variant: CASCADE_VARIANTS.indexOf(this.#variant),
      length: this.#key.length,
      error_rate: Math.round(this.#settings.errorRate / RATE_UNIT),
      shuffle_seed: this.#settings.seed,
    });
    return [open, this.#ask(this.#begin(), [])];
  }

  /** The next question, or the last word, after one answer of Alice's. Throws a LinkError, which ends it. */
  receive(message: Uint8Array): Uint8Array[] {
    if (this.#standing !== "open") throw new LinkError("ERR_LINK_CLOSED", "cascade: it is not running");
    try {
      const { kind, body } = CascadeMessages.read(message);
      if (kind !== "parities" || this.#asked === undefined) throw unexpected("cascade", kind, "parities");
      this.#take(this.#asked, body.parities);
      return [this.#next()];
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  /** Ends, and overwrites what it holds of the key, the corrected key among it unless it is done. */
  wipe(): void {
    if (this.#standing !== "done") {
      this.#standing = "closed";
      this.#key.wipe();
    }
    for (const { partition, odd } of this.#passes) {
      partition.wipe();
      odd.wipe();
    }
  }

  #take(asked: Question, answer: Uint8Array): void {
    const count = countOf(asked);
    if (answer.length !== Math.ceil(count / 8)) {
      throw new LinkError(
        "ERR_LINK_MALFORMED",
        `cascade: ${answer.length} bytes where ${count} parities belong`,
      );
    }
    const told = Bits.fromBytes(answer, count);
    // First the blocks, so that what a half corrects is kept account of in the new passes too.
    if (asked.begins !== undefined) this.#takeBlocks(asked.begins, told.slice(0, asked.begins.toldBlocks));
    this.#takeHalves(asked.halves, told.slice(asked.begins?.toldBlocks ?? 0, count));
  }

  #takeBlocks(pass: OddPass, told: Bits): void {
    const { partition } = pass;
    const different = partition.parities(told.length).xor(told);
    for (let block = different.nextSet(0); block < told.length; block = different.nextSet(block + 1)) {
      this.#toggle(pass, partition.blockStart(block));
    }
    if (told.length < partition.blocks) {
      // The first pass was told whole, so whether the errors are even in number is known: the last block follows.
      const [first] = this.#passes;
      const isOdd = ((first?.oddCount ?? 0) & 1) ^ different.parity();
      if (isOdd === 1) this.#toggle(pass, partition.blockStart(told.length));
    }
    for (const start of oddStarts(pass)) this.#correctSingle(pass, start);
  }

  #takeHalves(of: readonly Halves[], told: Bits): void {
    let at = 0;
    for (const { pass, starts } of of) {
      for (const start of starts) {
        const { partition, odd } = pass;
        const middle = partition.cut(start);
        const first = partition.bits.parity(start, middle) ^ told.get(at++);
        // The whole may have become even since it was asked, by an error that another pass found.
        const second = odd.get(start) ^ first;
        if (odd.get(start) !== first) this.#toggle(pass, start);
        if (second === 1) this.#toggle(pass, middle);
        this.#correctSingle(pass, start);
        this.#correctSingle(pass, middle);
      }
    }
  }

  #correctSingle(pass: OddPass, start: number): void {
    if (pass.odd.get(start) === 1 && pass.partition.endOf(start) === start + 1) this.#correct(pass, start);
  }

  /** Turns over one bit of the key, and with it the parity of its interval in every pass. */
  #correct(found: OddPass, place: number): void {
    const at = found.partition.origin(place);
    if (this.#corrected.get(at) === 1) {
      throw new LinkError("ERR_LINK_MALFORMED", "cascade: the parities told contradict each other");
    }
    this.#corrected.flip(at);
    this.#correctedBits += 1;
    this.#key.flip(at);
    for (const pass of this.#passes) {
      const here = pass.partition.place(at);
      pass.partition.bits.flip(here);
      this.#toggle(pass, pass.partition.startOf(here));
    }
  }

  #toggle(pass: OddPass, start: number): void {
    pass.odd.flip(start);
    pass.oddCount += pass.odd.get(start) === 1 ? 1 : -1;
  }

  #next(): Uint8Array {
    const oddPasses = this.#passes.filter(({ oddCount }) => oddCount > 0);
    const odd = oddPasses.reduce((sum, { oddCount }) => sum + oddCount, 0);
    const blocks = this.#passes.at(-1)?.partition.blocks ?? 0;
    const few = Math.min(this.#fewOdd, FEW_OF_BLOCKS * blocks);
    const begins = this.#passes.length < this.#plan.passes && odd <= few;
    if (odd > 0 || begins) {
      const { roundTripBits = 0 } = this.#settings;
      const cuts = cutsOfAll(oddPasses, levelsFor(odd, roundTripBits), roundTripBits === 0);
      return this.#ask(begins ? this.#begin() : undefined, cuts);
    }
    this.#standing = "done";
    this.wipe();
    return CascadeMessages.write("done", { corrected: this.#correctedBits });
  }

  #begin(): OddPass {
    const index = this.#passes.length;
    const { hash, seed } = this.#settings;
    const order = index === 0 ? undefined : shuffle(hash, seed, index, this.#key.length);
    const partition = new Partition(this.#key, this.#plan.blockBits(index), order);
    const toldBlocks = partition.blocks - (index === 0 ? 0 : 1);
    return { partition, odd: new Bits(this.#key.length), oddCount: 0, toldBlocks };
  }

  #ask(begins: OddPass | undefined, halves: readonly Halves[]): Uint8Array {
    const passes = this.#passes.length;
    const asked = halves.map(({ pass, starts }) => ({ pass: this.#passes.indexOf(pass), starts }));
    this.#asked = { begins, halves };
    this.#leak.add(countOf(this.#asked));
    this.#roundTrips += 1;
    if (begins !== undefined) this.#passes.push(begins);
    return CascadeMessages.write("ask", { passes, begins: begins !== undefined, halves: asked });
  }
}

const countOf = ({ begins, halves }: Question): number => (begins?.toldBlocks ?? 0) + sizeOf(halves);
