import * as fc from "fast-check";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Bits } from "../../src/link/bits.ts";
import { fuzz } from "../support/fuzz.ts";

const flags = fc.array(fc.constantFrom(0, 1), { maxLength: 200 });
const bitsOf = (values: readonly number[]): Bits => {
  const bits = new Bits(values.length);
  values.forEach((value, at) => bits.set(at, value));
  return bits;
};
const valuesOf = (bits: Bits): number[] => Array.from({ length: bits.length }, (_, at) => bits.get(at));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total ^ value, 0);

describe("a string of bits does what an array of bits would", () => {
  test("bytes: there and back, the first bit is the highest of the first byte, and the rest is zero", () => {
    expect(valuesOf(Bits.fromBytes(Uint8Array.of(0xa0), 3))).toEqual([1, 0, 1]);
    expect(Bits.fromBytes(Uint8Array.of(0xff), 3).toBytes()).toEqual(Uint8Array.of(0xe0));
    fc.assert(
      fc.property(flags, (values) => {
        const bits = bitsOf(values);
        const back = Bits.fromBytes(bits.toBytes(), bits.length);
        expect(valuesOf(back)).toEqual(values);
        expect(back.weight()).toBe(values.filter((value) => value === 1).length);
      }),
      fuzz(200),
    );
  });

  test("slice, parity, and the set bits next to a place", () => {
    fc.assert(
      fc.property(flags, fc.nat(200), fc.nat(200), (values, a, b) => {
        const bits = bitsOf(values);
        const [start, end] = [Math.min(a, b, values.length), Math.min(Math.max(a, b), values.length)];
        expect(valuesOf(bits.slice(start, end))).toEqual(values.slice(start, end));
        expect(bits.slice(start, end).weight()).toBe(values.slice(start, end).filter(Boolean).length);
        expect(bits.parity(start, end)).toBe(sum(values.slice(start, end)));
        const next = values.indexOf(1, start);
        expect(bits.nextSet(start)).toBe(next === -1 ? values.length : next);
        if (start < values.length) expect(bits.lastSet(start)).toBe(values.lastIndexOf(1, start));
      }),
      fuzz(500),
    );
  });

  test("select, and the parity of chosen places", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 200 }),
        fc.array(fc.nat()),
        (values, raw) => {
          const places = raw.map((place) => place % values.length);
          const chosen = places.map((place) => values[place]!);
          expect(valuesOf(bitsOf(values).select(places))).toEqual(chosen);
          expect(bitsOf(values).parityOf(places)).toBe(sum(chosen));
        },
      ),
      fuzz(200),
    );
  });

  test("concat, xor, flip and copy", () => {
    fc.assert(
      fc.property(fc.array(flags, { maxLength: 6 }), (parts) => {
        const whole = Bits.concat(parts.map(bitsOf));
        expect(valuesOf(whole)).toEqual(parts.flat());
        const twin = whole.copy();
        for (let at = 0; at < twin.length; at += 3) twin.flip(at);
        const difference = twin.copy().xor(whole);
        expect(valuesOf(difference)).toEqual(parts.flat().map((_, at) => (at % 3 === 0 ? 1 : 0)));
      }),
      fuzz(200),
    );
  });
});

describe("a string of bits refuses what it has not", () => {
  test.each([
    ["a negative length", () => new Bits(-1)],
    ["half a bit", () => new Bits(0.5)],
    ["too few bytes", () => Bits.fromBytes(new Uint8Array(1), 9)],
    ["a slice beyond the end", () => new Bits(8).slice(0, 9)],
    ["a parity that ends before it starts", () => new Bits(8).parity(5, 4)],
    ["a place outside", () => new Bits(8).select([8])],
    ["another length", () => new Bits(8).xor(new Bits(9))],
  ])("%s is a RangeError", (_, act) => {
    expect(act).toThrow(RangeError);
  });

  test("it prints its length and no bit, and can be wiped", () => {
    const bits = Bits.fromBytes(Uint8Array.of(0xff, 0xff));
    expect(inspect(bits)).toBe("[16 bits]");
    bits.wipe();
    expect(bits.weight()).toBe(0);
  });
});
