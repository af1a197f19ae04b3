import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amplification, amplificationSeedBits, amplify } from "../../src/link/amplify.ts";
import { Bits } from "../../src/link/bits.ts";
import { fuzz } from "../support/fuzz.ts";
import { randomBits, steadyRandom } from "./noise.ts";

/** The definition, bit by bit. */
function naive(key: Bits, seed: Bits, row: number): number {
  let sum = 0;
  for (let j = 0; j < key.length; j++) sum ^= seed.get(row - j + key.length - 1) & key.get(j);
  return sum;
}

const sizes = fc
  .tuple(fc.integer({ min: 1, max: 1100 }), fc.integer({ min: 1, max: 1100 }), fc.integer())
  .map(([a, b, from]) => {
    const [n, l] = [Math.max(a, b), Math.min(a, b)];
    const random = steadyRandom(from);
    return { n, l, random, seed: randomBits(amplificationSeedBits(n, l), random) };
  });

describe("privacy amplification is a Toeplitz matrix over GF(2)", () => {
  test("equal to the definition, whatever the lengths", () => {
    fc.assert(
      fc.property(sizes, ({ n, l, random, seed }) => {
        const key = randomBits(n, random);
        const out = amplify(key, seed, l);
        expect(out.length).toBe(l);
        for (let row = 0; row < l; row++) expect(out.get(row), `row ${row}`).toBe(naive(key, seed, row));
      }),
      fuzz(60),
    );
  });

  test("linear: the output of a sum is the sum of the outputs, in the key and in the seed", () => {
    fc.assert(
      fc.property(sizes, ({ n, l, random, seed }) => {
        const [a, b] = [randomBits(n, random), randomBits(n, random)];
        const other = randomBits(seed.length, random);
        const sum = amplify(a, seed, l).xor(amplify(b, seed, l));
        expect(amplify(a.copy().xor(b), seed, l).toBytes()).toEqual(sum.toBytes());
        const both = amplify(a, seed, l).xor(amplify(a, other, l));
        expect(amplify(a, seed.copy().xor(other), l).toBytes()).toEqual(both.toBytes());
      }),
      fuzz(60),
    );
  });

  test.each([
    [4097, 4096],
    [65_537, 12_345],
    [300_001, 99_999],
    [2_200_003, 70_001],
  ])("exact for %d bits onto %d: every size of transform, at odd lengths", (n, l) => {
    const random = steadyRandom(n);
    const key = randomBits(n, random);
    const seed = randomBits(n + l - 1, random);
    const out = amplify(key, seed, l);
    for (const row of [0, 1, 4095, 4096, l >> 1, l - 2, l - 1].filter((each) => each < l)) {
      expect(out.get(row), `row ${row}`).toBe(naive(key, seed, row));
    }
  });

  test("the largest sums there can be are still exact: all ones", () => {
    const [n, l] = [1_000_001, 1000];
    const ones = (length: number) => Bits.fromBytes(new Uint8Array(Math.ceil(length / 8)).fill(255), length);
    expect(amplify(ones(n), ones(n + l - 1), l).weight()).toBe(l);
    expect(amplify(ones(n - 1), ones(n + l - 2), l).weight()).toBe(0);
  });

  test("the key and the seed are left as they were", () => {
    const random = steadyRandom(3);
    const [key, seed] = [randomBits(500, random), randomBits(599, random)];
    const before = [key.toBytes(), seed.toBytes()];
    amplify(key, seed, 100);
    expect([key.toBytes(), seed.toBytes()]).toEqual(before);
  });

  test("comes to the same in slices, other work of its kind between them, and may be given up", () => {
    const random = steadyRandom(4);
    const inputs = [1, 2].map(() => ({ key: randomBits(6000, random), seed: randomBits(8999, random) }));
    const [one, two] = inputs.map(({ key, seed }) => amplification(key, seed, 3000));
    let [slices, out] = [0, new Bits(0)];
    for (let at = one!.next(); ; at = one!.next()) {
      if (slices === 2) two!.return(out);
      else two!.next();
      slices++;
      if (at.done !== true) continue;
      out = at.value;
      break;
    }
    expect(slices).toBeGreaterThan(3);
    expect(two!.next()).toEqual({ done: true, value: undefined });
    expect(out.toBytes()).toEqual(amplify(inputs[0]!.key, inputs[0]!.seed, 3000).toBytes());
  });

  test.each([
    ["no output", 10, 9, 0],
    ["half a bit", 10, 10, 1.5],
    ["more than there is", 10, 20, 11],
    ["a seed one bit short", 10, 12, 4],
    ["a seed one bit long", 10, 14, 4],
  ])("%s is a RangeError", (_, n, seedBits, outputBits) => {
    expect(() => amplify(new Bits(n), new Bits(seedBits), outputBits)).toThrow(RangeError);
  });
});
