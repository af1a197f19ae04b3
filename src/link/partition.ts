import { LinkError } from "../protocol/errors.ts";
import { Bits } from "./bits.ts";
import type { Shuffle } from "./shuffle.ts";

/**
 * One pass of Cascade as either party sees it: the key shuffled, cut into intervals whose parity Alice has told.
 * Both sides cut alike, so an interval is named by where it starts.
 */
export class Partition {
  /** The key in the order of this pass. */
  readonly bits: Bits;
  readonly shuffle: Shuffle | undefined;
  readonly blocks: number;
  readonly #blockBits: number;
  readonly #starts: Bits;

  /** `shuffle` is undefined for the first pass, which takes the key as it is. */
  constructor(key: Bits, blockBits: number, shuffle: Shuffle | undefined) {
    this.shuffle = shuffle;
    this.bits = shuffle === undefined ? key.copy() : shuffled(key, shuffle);
    this.#blockBits = blockBits;
    this.blocks = Math.ceil(key.length / blockBits);
    this.#starts = new Bits(key.length);
    for (let at = 0; at < key.length; at += blockBits) this.#starts.flip(at);
  }

  place(at: number): number {
    return this.shuffle === undefined ? at : this.shuffle.place(at);
  }

  origin(place: number): number {
    return this.shuffle === undefined ? place : this.shuffle.origin(place);
  }

  /** The parities of the first `count` blocks. */
  parities(count: number): Bits {
    const out = new Bits(count);
    for (let block = 0; block < count; block++) {
      const start = block * this.#blockBits;
      if (this.bits.parity(start, Math.min(start + this.#blockBits, this.bits.length)) === 1) out.flip(block);
    }
    return out;
  }

  blockStart(block: number): number {
    return block * this.#blockBits;
  }

  /** Where the interval starts that this place is in. */
  startOf(place: number): number {
    return this.#starts.lastSet(place);
  }

  /** Where the interval ends that starts here. Throws a LinkError when none starts here. */
  endOf(start: number): number {
    if (start >= this.bits.length || this.#starts.get(start) === 0) {
      throw new LinkError("ERR_LINK_MALFORMED", `cascade: no interval starts at ${start}`);
    }
    return this.#starts.nextSet(start + 1);
  }

  /** Cuts the interval in half and gives where its second half starts. Throws a LinkError for a single bit. */
  cut(start: number): number {
    const end = this.endOf(start);
    if (end - start < 2)
      throw new LinkError("ERR_LINK_MALFORMED", `cascade: one bit at ${start} has no half`);
    const middle = middleOf(start, end);
    this.#starts.flip(middle);
    return middle;
  }

  wipe(): void {
    this.bits.wipe();
  }
}

/** Where the second half of an interval starts. */
export const middleOf = (start: number, end: number): number => start + ((end - start) >> 1);

function shuffled(key: Bits, shuffle: Shuffle): Bits {
  const out = new Bits(key.length);
  for (let word = 0; word < out.words.length; word++) {
    let value = 0;
    const end = Math.min(32, key.length - 32 * word);
    for (let bit = 0; bit < end; bit++) value |= key.get(shuffle.origin(32 * word + bit)) << (31 - bit);
    out.words[word] = value;
  }
  return out;
}
