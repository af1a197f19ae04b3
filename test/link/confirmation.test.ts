import { ghash } from "@noble/ciphers/_polyval.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bits } from "../../src/link/bits.ts";
import {
  answerConfirmation,
  askConfirmation,
  confirmationBits,
  keyFingerprint,
  takeVerdict,
} from "../../src/link/confirmation.ts";
import { LinkError } from "../../src/protocol/errors.ts";
import { provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";
import { randomBits, steadyRandom } from "./noise.ts";

const EPSILON = 1e-15;
const seed = () => provider.random(32);
const keyOf = (length: number, from = 1) => randomBits(length, steadyRandom(from));

describe("confirmation of the corrected key", () => {
  test("equal keys pass on both sides and are left as they were", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer(), (length, from) => {
        const [alice, bob] = [keyOf(length, from), keyOf(length, from)];
        const { reply, fault } = answerConfirmation(bob, EPSILON, askConfirmation(alice, EPSILON, seed()));
        expect(fault).toBeUndefined();
        takeVerdict(alice, reply);
        expect(alice.toBytes()).toEqual(bob.toBytes());
        expect(alice.toBytes()).toEqual(keyOf(length, from).toBytes());
      }),
      fuzz(50),
    );
  });

  test("a single different bit, wherever it is, throws the block away on both sides", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 3000 }), fc.nat(), (length, at) => {
        const [alice, bob] = [keyOf(length), keyOf(length)];
        bob.flip(at % length);
        const { reply, fault } = answerConfirmation(bob, EPSILON, askConfirmation(alice, EPSILON, seed()));
        expect(fault).toBeInstanceOf(LinkError);
        expect(fault?.code).toBe("ERR_LINK_MISMATCH");
        expect(linkCodeOf(() => takeVerdict(alice, reply))).toBe("ERR_LINK_MISMATCH");
        expect([alice.weight(), bob.weight()]).toEqual([0, 0]);
      }),
      fuzz(100),
    );
  });

  test("the hash has ceil(log2(1/epsilon)) bits, one more only at the edge", () => {
    expect(confirmationBits(1e6, 1e-15)).toBe(50);
    expect(confirmationBits(1e6, 1e-10)).toBe(34);
    expect(confirmationBits(1e6, 2 ** -40)).toBe(41);
    for (const epsilon of [1, 0, -1, Number.NaN, 2 ** -101]) {
      expect(() => confirmationBits(1e6, epsilon), `${epsilon}`).toThrow(RangeError);
    }
  });

  test("2-universal: over many seeds different keys meet in a hash of 4 bits one time in 16", () => {
    const [a, b] = [keyOf(1000), keyOf(1000)];
    b.flip(500);
    let meetings = 0;
    for (let round = 0; round < 4000; round++) {
      const each = provider.hash("sha256").digest(Uint8Array.of(round >> 8, round & 255));
      if (
        keyFingerprint(a, each, 4)
          .xor(keyFingerprint(b, each, 4))
          .weight() === 0
      )
        meetings += 1;
    }
    expect(meetings).toBeGreaterThan(180);
    expect(meetings).toBeLessThan(320);
  });

  test("it is the polynomial at the first half of the seed, times the second half, cut", () => {
    const key = keyOf(1001);
    const both = seed();
    const whole = ghash(ghash(key.toBytes(), both.subarray(0, 16)), both.subarray(16));
    expect(keyFingerprint(key, both, 128).toBytes()).toEqual(whole);
    expect(keyFingerprint(key, both, 13).toBytes()).toEqual(Uint8Array.of(whole[0]!, whole[1]! & 0xf8));
  });

  test("another seed gives another hash, and a seed of another length is refused", () => {
    const key = keyOf(1000);
    expect(keyFingerprint(key, new Uint8Array(32).fill(1), 50).toBytes()).not.toEqual(
      keyFingerprint(key, new Uint8Array(32).fill(2), 50).toBytes(),
    );
    expect(() => askConfirmation(key, EPSILON, new Uint8Array(31))).toThrow(RangeError);
  });

  test.each([
    [
      "a hash of a key of another length",
      () => askConfirmation(keyOf(999), EPSILON, seed()),
      "ERR_LINK_MALFORMED",
    ],
    ["a hash for another epsilon", () => askConfirmation(keyOf(1000), 1e-5, seed()), "ERR_LINK_MALFORMED"],
    ["a verdict where a hash belongs", () => Uint8Array.of(2, 1), "ERR_LINK_UNEXPECTED"],
    ["nothing", () => new Uint8Array(0), "ERR_LINK_MALFORMED"],
  ] as const)("%s stops Bob's block", (_, message, code) => {
    const bob = keyOf(1000);
    expect(linkCodeOf(() => answerConfirmation(bob, EPSILON, message()))).toBe(code);
    expect(bob.weight()).toBe(0);
  });

  test.each([
    [
      "a hash where a verdict belongs",
      () => askConfirmation(keyOf(1000), EPSILON, seed()),
      "ERR_LINK_UNEXPECTED",
    ],
    ["a verdict that is neither yes nor no", () => Uint8Array.of(2, 2), "ERR_LINK_MALFORMED"],
  ] as const)("%s stops Alice's block", (_, message, code) => {
    const alice = keyOf(1000);
    expect(linkCodeOf(() => takeVerdict(alice, message()))).toBe(code);
    expect(alice.weight()).toBe(0);
  });

  test("any bytes are an answer or a LinkError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (message) => {
        linkCodeOf(() => answerConfirmation(new Bits(100), EPSILON, message));
        linkCodeOf(() => takeVerdict(new Bits(100), message));
      }),
      fuzz(300),
    );
  });
});
