import { expect, test } from "vitest";
import { isTally, jsonObject, kindOf, wordsOf } from "../../src/kme/format.ts";
import { NOTHING } from "../../src/kme/records.ts";
import { utf8 } from "../../src/protocol/bytes.ts";

test("the words of a store differ with whatever must not be mixed up", () => {
  const content = { blockBytes: 32, simulated: true };
  const all = [
    wordsOf("id", content),
    wordsOf("other", content),
    wordsOf("id", { ...content, blockBytes: 16 }),
    wordsOf("id", { ...content, simulated: false }),
  ];
  expect(new Set(all).size).toBe(4);
  expect([kindOf(content), kindOf({ ...content, simulated: false })]).toEqual([
    "simulated blocks of 32 bytes",
    "real blocks of 32 bytes",
  ]);
});

test("what is no JSON object, or no tally, is none", () => {
  expect(jsonObject(utf8('{"a":1}'))).toEqual({ a: 1 });
  for (const text of ["", "{", "[]", "null", "7"]) expect(jsonObject(utf8(text))).toBeUndefined();
  expect(jsonObject(Uint8Array.of(0xff))).toBeUndefined();
  expect(isTally(NOTHING)).toBe(true);
  for (const value of [undefined, null, {}, { ...NOTHING, lost: 0.5 }, { ...NOTHING, made: "1" }])
    expect(isTally(value)).toBe(false);
});
