import type { HashAlgorithm } from "../crypto/provider.ts";
import { concat } from "../protocol/bytes.ts";

/**
 * A permutation of 0 to length - 1, computed place by place in both directions: no table, whatever the length.
 * It spreads errors evenly and hides nothing; its seed is public.
 */
export interface Shuffle {
  /** Where the bit `at` of the key stands in the shuffled string. */
  place(at: number): number;
  /** Which bit of the key stands at this place. */
  origin(place: number): number;
}

const ROUNDS = 4;
export const MAX_SHUFFLE_LENGTH = 2 ** 27;

/** The shuffle number `index` of a seed; `hash` must have at least 32 bytes of output. */
export function shuffle(hash: HashAlgorithm, seed: Uint8Array, index: number, length: number): Shuffle {
  if (!(length >= 1 && length <= MAX_SHUFFLE_LENGTH)) throw new RangeError(`${length} places to shuffle`);
  const width = Math.max(2, 32 - Math.clz32(length - 1));
  const mask = 2 ** width - 1;
  const shift = width - (width >> 1); // At least half of the width: the step is then its own inverse.
  const material = hash.digest(concat([seed, Uint8Array.of(index)]));
  const view = new DataView(material.buffer, material.byteOffset);
  const factors = new Int32Array(ROUNDS);
  const inverses = new Int32Array(ROUNDS);
  const offsets = new Int32Array(ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    factors[round] = view.getInt32(8 * round) | 1;
    inverses[round] = inverseOf(factors[round] as number);
    offsets[round] = view.getInt32(8 * round + 4);
  }
  // Each round is a bijection of the 2^width numbers; those beyond the length are walked past.
  return {
    place(at) {
      let x = at;
      do {
        for (let round = 0; round < ROUNDS; round++) {
          x = (Math.imul(x, factors[round] as number) + (offsets[round] as number)) & mask;
          x ^= x >>> shift;
        }
      } while (x >= length);
      return x;
    },
    origin(place) {
      let x = place;
      do {
        for (let round = ROUNDS - 1; round >= 0; round--) {
          x ^= x >>> shift;
          x = Math.imul(x - (offsets[round] as number), inverses[round] as number) & mask;
        }
      } while (x >= length);
      return x;
    },
  };
}

/** The inverse of an odd number modulo 2^32; each step doubles the number of bits that are right. */
function inverseOf(odd: number): number {
  let inverse = odd;
  for (let step = 0; step < 5; step++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return inverse;
}
