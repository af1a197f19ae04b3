import { Bits } from "../../src/link/bits.ts";

/** Numbers from 0 to 1 that are the same every time for a seed (mulberry32). */
export function steadyRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` random bits. */
export function randomBits(length: number, random: () => number): Bits {
  const bytes = Uint8Array.from({ length: Math.ceil(length / 8) }, () => 256 * random());
  return Bits.fromBytes(bytes, length);
}

/** Two keys that differ in each bit with this chance. */
export function noisyPair(length: number, errorRate: number, seed: number) {
  const random = steadyRandom(seed);
  const alice = randomBits(length, random);
  const bob = alice.copy();
  let errors = 0;
  for (let at = 0; at < length; at++) {
    if (random() >= errorRate) continue;
    bob.flip(at);
    errors += 1;
  }
  return { alice, bob, errors };
}
