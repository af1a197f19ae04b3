import * as fc from "fast-check";
import { expect, test } from "vitest";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { field, filled, number } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { deepEdits, edited, type Edit } from "./edits.ts";

const bytes = Uint8Array.of(0, 1, 2, 3, 4, 5);
const donor = Uint8Array.of(0xa0, 0xa1, 0xa2);
const after = (edit: Edit): string => toHex(edited(bytes, donor, edit));

test("each edit does what it says, places being taken modulo the length", () => {
  expect(after({ how: "flip", at: 7, bit: 7 })).toBe("008102030405");
  expect(after({ how: "set", at: 5, byte: 0xff })).toBe("0001020304ff");
  expect(after({ how: "insert", at: 6, bytes: donor })).toBe("000102030405a0a1a2");
  expect(after({ how: "cut", at: 1, length: 2 })).toBe("00030405");
  expect(after({ how: "double", at: 4, length: 2 })).toBe("0001020304050405");
  expect(after({ how: "move", at: 0, to: 4, length: 2 })).toBe("020304050001");
  expect(after({ how: "splice", at: 1, from: 1, length: 2 })).toBe("00a1a2030405");
});

test("a field that is resized takes every length around it with it", () => {
  const inner = (body: Uint8Array): Uint8Array => field(2, number(2, 0x1234), field(1, body));
  const outer = (body: Uint8Array): Uint8Array => concat([Uint8Array.of(22), field(3, inner(body))]);
  // The last field, with its one byte of length, is at 8.
  const resize = (by: number): Uint8Array =>
    edited(outer(filled(20)), donor, { how: "resize", at: 8, by, prefix: 1 });
  expect(toHex(resize(3))).toBe(toHex(outer(concat([filled(20), new Uint8Array(3)]))));
  expect(toHex(resize(-3))).toBe(toHex(outer(filled(17))));
  // In DER as well: SEQUENCE { OCTET STRING }, the first length in two bytes behind 0x82.
  const der = (body: Uint8Array): Uint8Array =>
    concat([Uint8Array.of(0x30, 0x82), field(2, Uint8Array.of(4, 0x82), field(2, body))]);
  const changed = edited(der(filled(300)), donor, { how: "resize", at: 6, by: -5, prefix: 2 });
  expect(toHex(changed)).toBe(toHex(der(filled(295))));
});

test("no edit touches what it was given, and any of any bytes gives bytes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.uint8Array({ maxLength: 9 }),
      deepEdits,
      (from, other, edit) => {
        const copies = [from.slice(), other.slice()];
        expect(edited(from, other, edit)).toBeInstanceOf(Uint8Array);
        expect([from, other]).toEqual(copies);
      },
    ),
    fuzz(300),
  );
});
