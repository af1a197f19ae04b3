/** Strings of bits, packed. A block of sifted key has 10^5 to 10^7 of them, so everything here goes word by word. */

const WORD_BITS = 32;

/**
 * A string of `length` bits. On the wire and in bytes, bit 0 is the highest bit of the first byte, as in ASN.1;
 * bits of the last byte beyond the length are zero.
 */
export class Bits {
  readonly length: number;
  /** Bit i is bit 31 - i % 32 of word i / 32; what lies beyond the length is zero. */
  readonly words: Uint32Array;

  /** All zero. Throws a RangeError for a length that is no whole number. */
  constructor(length: number) {
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError(`${length} is no number of bits`);
    this.length = length;
    this.words = new Uint32Array(Math.ceil(length / WORD_BITS));
  }

  /** The first `length` bits of these bytes. Throws a RangeError when the bytes are too few. */
  static fromBytes(bytes: Uint8Array, length = 8 * bytes.length): Bits {
    if (length > 8 * bytes.length) throw new RangeError(`${bytes.length} bytes hold no ${length} bits`);
    const bits = new Bits(length);
    for (let at = 0; at < Math.ceil(length / 8); at++) {
      bits.words[at >> 2] = (bits.words[at >> 2] as number) | ((bytes[at] as number) << (24 - 8 * (at & 3)));
    }
    bits.#trim();
    return bits;
  }

  /** The parts one after another. */
  static concat(parts: readonly Bits[]): Bits {
    const out = new Bits(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      for (let from = 0; from < part.length; from += WORD_BITS) {
        const count = Math.min(WORD_BITS, part.length - from);
        out.#or(at, part.words[from / WORD_BITS] as number, count);
        at += count;
      }
    }
    return out;
  }

  toBytes(): Uint8Array {
    const out = new Uint8Array(Math.ceil(this.length / 8));
    for (let at = 0; at < out.length; at++) out[at] = (this.words[at >> 2] as number) >>> (24 - 8 * (at & 3));
    return out;
  }

  get(at: number): 0 | 1 {
    return (((this.words[at >>> 5] as number) >>> (31 - (at & 31))) & 1) as 0 | 1;
  }

  set(at: number, bit: number): void {
    const mask = 0x80000000 >>> (at & 31);
    const word = this.words[at >>> 5] as number;
    this.words[at >>> 5] = bit === 0 ? word & ~mask : word | mask;
  }

  flip(at: number): void {
    this.words[at >>> 5] = (this.words[at >>> 5] as number) ^ (0x80000000 >>> (at & 31));
  }

  /** The bits `start` to `end`, the latter not among them. */
  slice(start: number, end: number): Bits {
    this.#demandRange(start, end);
    const out = new Bits(end - start);
    const first = start >>> 5;
    const shift = start & 31;
    for (let at = 0; at < out.words.length; at++) {
      const high = (this.words[first + at] as number) << shift;
      out.words[at] = shift === 0 ? high : high | ((this.words[first + at + 1] ?? 0) >>> (WORD_BITS - shift));
    }
    out.#trim();
    return out;
  }

  /** The bits at these places, in this order. Throws a RangeError for a place outside the string. */
  select(places: ArrayLike<number>): Bits {
    const out = new Bits(places.length);
    for (let at = 0; at < out.length; at++) {
      const place = places[at] as number;
      if (!(place >= 0 && place < this.length)) throw new RangeError(`there is no bit ${place}`);
      if (this.get(place) === 1) out.flip(at);
    }
    return out;
  }

  /** Adds the other string modulo 2, in place. Throws a RangeError when the lengths differ. */
  xor(other: Bits): this {
    if (other.length !== this.length) throw new RangeError(`${other.length} bits onto ${this.length}`);
    for (let at = 0; at < this.words.length; at++) {
      this.words[at] = (this.words[at] as number) ^ (other.words[at] as number);
    }
    return this;
  }

  /** The sum modulo 2 of the bits `start` to `end`, the latter not among them. */
  parity(start = 0, end = this.length): 0 | 1 {
    this.#demandRange(start, end);
    if (start === end) return 0;
    const [first, last] = [start >>> 5, (end - 1) >>> 5];
    const head = 0xffffffff >>> (start & 31);
    const tail = 0xffffffff << (31 - ((end - 1) & 31));
    if (first === last) return parityOf((this.words[first] as number) & head & tail);
    let sum = ((this.words[first] as number) & head) ^ ((this.words[last] as number) & tail);
    for (let at = first + 1; at < last; at++) sum ^= this.words[at] as number;
    return parityOf(sum);
  }

  /** The sum modulo 2 of the bits at these places. */
  parityOf(places: ArrayLike<number>): 0 | 1 {
    let sum = 0;
    for (let at = 0; at < places.length; at++) sum ^= this.get(places[at] as number);
    return sum as 0 | 1;
  }

  /** How many bits are one. */
  weight(): number {
    let sum = 0;
    for (const word of this.words) sum += weightOf(word);
    return sum;
  }

  /** The first set bit at or after `at`, or the length when there is none. */
  nextSet(at: number): number {
    if (at >= this.length) return this.length;
    let index = at >>> 5;
    let word = (this.words[index] as number) & (0xffffffff >>> (at & 31));
    while (word === 0) {
      if (++index === this.words.length) return this.length;
      word = this.words[index] as number;
    }
    return index * WORD_BITS + Math.clz32(word);
  }

  /** The last set bit at or before `at`, or -1 when there is none. */
  lastSet(at: number): number {
    let index = at >>> 5;
    let word = (this.words[index] as number) & (0xffffffff << (31 - (at & 31)));
    while (word === 0) {
      if (--index < 0) return -1;
      word = this.words[index] as number;
    }
    return index * WORD_BITS + Math.clz32(word & -word);
  }

  copy(): Bits {
    const out = new Bits(this.length);
    out.words.set(this.words);
    return out;
  }

  /** Overwrites all of it with zeros. */
  wipe(): void {
    this.words.fill(0);
  }

  toString(): string {
    return `[${this.length} bits]`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  #or(at: number, word: number, count: number): void {
    const [index, shift] = [at >>> 5, at & 31];
    this.words[index] = (this.words[index] as number) | (word >>> shift);
    if (shift + count > WORD_BITS) this.words[index + 1] = word << (WORD_BITS - shift);
  }

  #trim(): void {
    const over = this.length & 31;
    if (over !== 0)
      this.words[this.words.length - 1] = (this.words.at(-1) as number) & (0xffffffff << (32 - over));
  }

  #demandRange(start: number, end: number): void {
    if (start >= 0 && start <= end && end <= this.length) return;
    throw new RangeError(`${start} to ${end} lies outside ${this.length} bits`);
  }
}

const parityOf = (word: number): 0 | 1 => {
  let sum = word ^ (word >>> 16);
  sum ^= sum >>> 8;
  sum ^= sum >>> 4;
  return ((0x6996 >>> (sum & 15)) & 1) as 0 | 1;
};

function weightOf(word: number): number {
  let pairs = word - ((word >>> 1) & 0x55555555);
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
