/**
 * Cascade: Bob finds the bits in which his key differs from Alice's by asking her for parities. Every parity that she
 * tells is one bit that an eavesdropper knows too; both sides count them. G. Brassard and L. Salvail, Eurocrypt 1993;
 * J. Martinez-Mateo et al., arXiv:1407.3257.
 */
import type { HashAlgorithm } from "../crypto/provider.ts";
import { LinkError } from "../protocol/errors.ts";
import { bytes, type Codec, opaque, struct, u8, u32, vector } from "../wire/codec.ts";
import type { Bits } from "./bits.ts";
import { messages } from "./message.ts";
import { MAX_SHUFFLE_LENGTH } from "./shuffle.ts";

export const SEED_BYTES = 16;
/** The unit of `error_rate` on the wire. */
export const RATE_UNIT = 1e-9;
/** Parities in one message. */
export const MAX_QUESTIONS = 2 ** 20;

const flag: Codec<boolean> = {
  read(from) {
    const value = from.uint(1);
    if (value > 1) throw from.fault(`${value} is neither 0 nor 1`);
    return value === 1;
  },
  write: (to, value) => to.uint(1, value ? 1 : 0),
};

export const CascadeMessages = messages("cascade", {
  /** How blocks are cut, sent with the first question. */
  open: {
    code: 1,
    body: struct({ variant: u8, length: u32, error_rate: u32, shuffle_seed: bytes(SEED_BYTES) }),
  },
  /**
   * If a pass begins: the parity of each of its blocks, but for the last one after the first pass, since it follows.
   * Then, pass by pass, the parity of the first half of each interval that starts there, which is
   * then cut in half; so an interval and its halves may follow each other.
   */
  ask: {
    code: 2,
    body: struct({
      passes: u8,
      begins: flag,
      halves: vector(3, struct({ pass: u8, starts: vector(3, u32, 4, 4 * MAX_QUESTIONS) })),
    }),
  },
  /** A bit for each question, in order. */
  parities: { code: 3, body: struct({ parities: opaque(3) }) },
  done: { code: 4, body: struct({ corrected: u32 }) },
});

/** What both parties must be given. */
export interface CascadeSettings {
  /** For the shuffles; SHA-256 does. */
  readonly hash: HashAlgorithm;
  /** The block is stopped rather than tell more parities than this. Default: the length of the key. */
  readonly maxLeakBits?: number | undefined;
}

/** What a reconciliation has cost. */
export interface CascadeReport {
  /** Parities told by Alice, each of them once. */
  readonly leakedBits: number;
  /** Bits in which Bob's key differed. */
  readonly correctedBits: number;
  readonly passes: number;
  /** Messages that waited for an answer. */
  readonly roundTrips: number;
}

/** h(Q) = -Q log2 Q - (1-Q) log2 (1-Q), in bits. */
export function binaryEntropy(rate: number): number {
  if (rate <= 0 || rate >= 1) return 0;
  return -rate * Math.log2(rate) - (1 - rate) * Math.log2(1 - rate);
}

/** f = leak / (n h(Q)) with the error rate that was found: 1 is Shannon's bound; undefined where nothing was wrong. */
export function cascadeEfficiency(length: number, report: CascadeReport): number | undefined {
  const least = length * binaryEntropy(report.correctedBits / length);
  return least === 0 ? undefined : report.leakedBits / least;
}

/** Throws a RangeError for a key that no shuffle covers. */
export function demandKey(key: Bits): void {
  if (key.length >= 2 && key.length <= MAX_SHUFFLE_LENGTH) return;
  throw new RangeError(`a key of ${key.length} bits cannot be reconciled`);
}

/** Counts the parities told, up to a bound. */
export class Leak {
  readonly #max: number;
  #bits = 0;

  constructor(maxBits: number) {
    this.#max = maxBits;
  }

  get bits(): number {
    return this.#bits;
  }

  /** Throws a LinkError (ERR_LINK_LIMIT) beyond the bound. */
  add(bits: number): void {
    if (this.#bits + bits > this.#max) {
      throw new LinkError(
        "ERR_LINK_LIMIT",
        `cascade: ${this.#bits + bits} parities; at most ${this.#max} may be told`,
      );
    }
    this.#bits += bits;
  }
}
