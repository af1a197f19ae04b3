import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_SHUFFLE_LENGTH, shuffle } from "../../src/link/shuffle.ts";
import { provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";

const hash = provider.hash("sha256");
const seeds = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe("a shuffle", () => {
  test("is a permutation, and `origin` undoes `place`", () => {
    fc.assert(
      fc.property(seeds, fc.nat(255), fc.integer({ min: 1, max: 3000 }), (seed, index, length) => {
        const order = shuffle(hash, seed, index, length);
        const places = Array.from({ length }, (_, at) => order.place(at));
        expect(new Set(places).size).toBe(length);
        expect(Math.max(...places)).toBe(length - 1);
        places.forEach((each, at) => expect(order.origin(each)).toBe(at));
      }),
      fuzz(50),
    );
  });

  test("puts neighbours apart: of 1000 pairs few stay within a hundredth of the length", () => {
    const length = 100_000;
    const order = shuffle(hash, new Uint8Array(16), 1, length);
    let near = 0;
    for (let at = 0; at < 1000; at++)
      if (Math.abs(order.place(2 * at) - order.place(2 * at + 1)) < length / 100) near += 1;
    expect(near).toBeLessThan(60);
  });

  test("differs by index and by seed", () => {
    const at = (seed: number, index: number) =>
      shuffle(hash, new Uint8Array(16).fill(seed), index, 1e6).place(12_345);
    expect(new Set([at(0, 1), at(0, 2), at(1, 1), at(1, 2)]).size).toBe(4);
  });

  test("of nothing, or of more than 2^27 places, is a RangeError", () => {
    for (const length of [0, MAX_SHUFFLE_LENGTH + 1, Number.NaN]) {
      expect(() => shuffle(hash, new Uint8Array(16), 0, length)).toThrow(RangeError);
    }
  });
});
