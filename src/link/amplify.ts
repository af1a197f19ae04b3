/**
 * Privacy amplification: the corrected key goes through a random linear map onto the bits that stay secret.
 * A Toeplitz matrix over GF(2), which is a 2-universal hash (leftover hash lemma); H. Krawczyk, Crypto 1994.
 */
import { Bits } from "./bits.ts";
import { addProduct, type Spectrum, type Transform, transform } from "./transform.ts";

/** Bits of a public seed that `amplify` needs: one for each diagonal of the matrix. */
export const amplificationSeedBits = (keyBits: number, outputBits: number): number =>
  keyBits + outputBits - 1;

/**
 * `outputBits` bits out of the key: bit i is the sum modulo 2 of seed[i - j + n - 1] key[j] over all j, n being the
 * length of the key. The seed is public, and drawn when the key is settled; one for each key.
 * Throws a RangeError when the seed has not n + outputBits - 1 bits, or no bit or more than n are asked for.
 */
export function amplify(key: Bits, seed: Bits, outputBits: number): Bits {
  const work = amplification(key, seed, outputBits);
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** The same in slices of some milliseconds. Whoever gives it up returns it, and what it held is wiped. */
export function* amplification(key: Bits, seed: Bits, outputBits: number): Generator<void, Bits, void> {
  if (!(Number.isInteger(outputBits) && outputBits >= 1 && outputBits <= key.length)) {
    throw new RangeError(`${outputBits} bits out of ${key.length}`);
  }
  const seedBits = amplificationSeedBits(key.length, outputBits);
  if (seed.length !== seedBits)
    throw new RangeError(`a seed of ${seed.length} bits where ${seedBits} belong`);
  const using = transform(pointsFor(key.length));
  const spectra = (bits: number): Spectrum[] =>
    Array.from({ length: Math.ceil(bits / using.points) }, () => using.blank());
  const [inputs, outputs] = [spectra(key.length), spectra(outputBits)];
  try {
    yield* loadBlocks(inputs, key, using);
    yield* addUp(inputs, outputs, { seed, keyBits: key.length, using });
    const out = new Bits(outputBits);
    for (const [block, sum] of outputs.entries()) {
      using.backward(sum);
      readBlock(out, block * using.points, sum);
      yield;
    }
    return out;
  } finally {
    wipeAll(inputs);
    wipeAll(outputs);
  }
}

// Few blocks for a long key, and blocks that stay in a processor's cache: found by measuring.
function pointsFor(keyBits: number): number {
  if (keyBits <= 2 ** 12) return 2 ** 8;
  return keyBits <= 2 ** 17 ? 2 ** 12 : 2 ** 16;
}

/** The spectra of the key, cut in blocks of as many bits as there are points. */
function* loadBlocks(blocks: readonly Spectrum[], key: Bits, using: Transform): Generator<void, void, void> {
  for (const [at, block] of blocks.entries()) {
    load(block.re, key, at * using.points);
    using.forward(block);
    yield;
  }
}

/**
 * Cut into square blocks, the matrix is the same all along a diagonal of blocks, so that each diagonal is transformed
 * once: output block u gains, from input block v, the product with diagonal u - v.
 */
function* addUp(
  inputs: readonly Spectrum[],
  outputs: readonly Spectrum[],
  { seed, keyBits, using }: { readonly seed: Bits; readonly keyBits: number; readonly using: Transform },
): Generator<void, void, void> {
  const size = using.points;
  const diagonal = using.blank();
  for (let d = 1 - inputs.length; d < outputs.length; d++) {
    // Row r and column s of the block meet seed bit first + (r - s + size - 1).
    const first = d * size + keyBits - size;
    load(diagonal.re, seed, first);
    load(diagonal.im, seed, first + size);
    using.forward(diagonal);
    for (let u = Math.max(0, d); u < outputs.length && u - d < inputs.length; u++) {
      addProduct(outputs[u] as Spectrum, inputs[u - d] as Spectrum, diagonal);
    }
    yield;
  }
}

/** Puts the bits from `first` on into the row; what lies outside of the string is 0. */
function load(row: Float64Array, bits: Bits, first: number): void {
  for (let at = 0; at < row.length; at++) {
    const place = first + at;
    row[at] = place >= 0 && place < bits.length ? bits.get(place) : 0;
  }
}

/** Row r of a block is coefficient r + size - 1: nothing that was wrapped around reaches these. */
function readBlock(out: Bits, first: number, { re, im }: Spectrum): void {
  const count = Math.min(re.length, out.length - first);
  for (let row = 0; row < count; row++) {
    const sum = row === 0 ? (re.at(-1) as number) : (im[row - 1] as number);
    if ((Math.round(sum) & 1) === 1) out.flip(first + row);
  }
}

function wipeAll(spectra: readonly Spectrum[]): void {
  for (const { re, im } of spectra) {
    re.fill(0);
    im.fill(0);
  }
}
