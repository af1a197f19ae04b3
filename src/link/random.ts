/** Random bytes on request, as a CryptoProvider gives them; a seeded stream makes a run repeatable. */
export type RandomBytes = (length: number) => Uint8Array;

const BLOCK_WORDS = 16_384;

/** What a simulation draws, out of random bytes taken in blocks of 64 KiB. */
export class Draw {
  readonly #random: RandomBytes;
  #words = new Uint32Array(0);
  #at = 0;
  #bits = 0;
  #bitsLeft = 0;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  /** Evenly from 0 to 2^32 - 1. */
  word(): number {
    if (this.#at === this.#words.length) this.#refill();
    return this.#words[this.#at++] as number;
  }

  /** Evenly from the open interval (0, 1), in steps of 2^-32. */
  fraction(): number {
    return (this.word() + 0.5) / 2 ** 32;
  }

  bit(): 0 | 1 {
    if (this.#bitsLeft === 0) {
      this.#bits = this.word();
      this.#bitsLeft = 32;
    }
    const bit = this.#bits & 1;
    this.#bits >>>= 1;
    this.#bitsLeft--;
    return bit as 0 | 1;
  }

  /**
   * How many trials fail before the first that succeeds, when each does with this probability: one logarithm,
   * whose reciprocal the caller has from `gapScale`. Infinity when none ever does.
   */
  gap(scale: number): number {
    return scale === 0 ? 0 : Math.floor(-Math.log(this.fraction()) * scale);
  }

  #refill(): void {
    const bytes = this.#random(4 * BLOCK_WORDS);
    // The same words on every platform: little end first.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (this.#words.length === 0) this.#words = new Uint32Array(BLOCK_WORDS);
    for (let at = 0; at < BLOCK_WORDS; at++) this.#words[at] = view.getUint32(4 * at, true);
    this.#at = 0;
  }
}

/** The mean gap in natural units, for `Draw.gap`: -1 / ln(1 - probability). */
export function gapScale(probability: number): number {
  return probability >= 1 ? 0 : -1 / Math.log1p(-probability);
}

/** Draws an index by weight with one random word: Walker's alias method as Vose builds it (IEEE TSE 17, 972, 1991). */
export class Weighted {
  readonly total: number;
  readonly #keep: Float64Array;
  readonly #alias: Uint8Array;

  /** Weights need not add up to 1; one at least is above 0, and there are 255 at most. */
  constructor(weights: ArrayLike<number>) {
    const count = weights.length;
    this.total = Array.from(weights).reduce((sum, weight) => sum + weight, 0);
    this.#keep = Float64Array.from(weights, (weight) => (weight * count) / this.total);
    this.#alias = Uint8Array.from({ length: count }, (_, index) => index);
    const small = [...this.#keep.keys()].filter((index) => (this.#keep[index] as number) < 1);
    const large = [...this.#keep.keys()].filter((index) => (this.#keep[index] as number) >= 1);
    for (let low = small.pop(), high = large.at(-1); low !== undefined && high !== undefined; ) {
      this.#alias[low] = high;
      this.#keep[high] = (this.#keep[high] as number) - (1 - (this.#keep[low] as number));
      if ((this.#keep[high] as number) < 1) small.push(large.pop() as number);
      low = small.pop();
      high = large.at(-1);
    }
  }

  draw(from: Draw): number {
    const place = (from.word() / 2 ** 32) * this.#keep.length;
    const column = Math.floor(place);
    return place - column < (this.#keep[column] as number) ? column : (this.#alias[column] as number);
  }
}
