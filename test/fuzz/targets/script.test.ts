import * as fc from "fast-check";
import { expect, test } from "vitest";
import { concat, toHex } from "../../../src/protocol/bytes.ts";
import { encodeHandshake, KeyUpdate } from "../../../src/wire/handshake.ts";
import { field, filled } from "../../support/codec-rules.ts";
import { fuzz } from "../../support/fuzz.ts";
import { Script, scriptOf, type Change } from "./script.ts";

const message = concat([Uint8Array.of(20), field(3, Uint8Array.of(1, 2, 3, 4))]);
const bytes = Uint8Array.of(9, 8);
const after = (...changes: readonly Change[]): string[] =>
  new Script(scriptOf([5], ...changes)).change(1, message, [filled(2), message]).map(toHex);

test("each change does what it says, and puts the right length before the body", () => {
  const change = (how: Change["how"], place = 1): string[] => after({ at: 1, how, place, bytes });
  expect(change("write")).toEqual(["1400000401090804"]);
  expect(change("insert")).toEqual(["14000006010908020304"]);
  expect(change("cut")).toEqual(["1400000101"]);
  expect(change("double")).toEqual(["1400000701020304020304"]);
  expect(change("type")).toEqual(["0900000401020304"]);
  expect(change("follow")).toEqual(["1400000401020304", "0900000108"]);
  expect(change("precede")).toEqual(["0900000108", "1400000401020304"]);
  expect(change("drop")).toEqual([]);
  expect(change("repeat")).toEqual(["1400000401020304", "1400000401020304"]);
  expect(change("earlier", 2)).toEqual(["5a5a"]);
  expect(change("length")).toEqual(["1409080401020304"]);
});

test("a change of a field knows what the message means, and changes nothing where it means nothing", () => {
  const update = encodeHandshake("key_update", KeyUpdate, { request_update: 1 });
  const changed = (of: Uint8Array): Set<string> =>
    new Set(
      Array.from({ length: 20 }, (_, place) => {
        const script = new Script(scriptOf([0], { at: 0, how: "field", place, bytes: new Uint8Array() }));
        return toHex(script.change(0, of, [of])[0]!);
      }),
    );
  expect(changed(update).size).toBeGreaterThan(10);
  expect(changed(update.subarray(0, 4))).toEqual(new Set([toHex(update.subarray(0, 4))]));
});

test("changes go one after the other, each to its own message", () => {
  const insert: Change = { at: 1, how: "insert", place: 0, bytes };
  expect(after(insert, insert)).toEqual(["140000080908090801020304"]);
  expect(after({ ...insert, at: 2 })).toEqual([toHex(message)]);
  expect(after({ ...insert, how: "drop" }, insert)).toEqual([]);
});

test("any bytes are a script", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(6), (input, number) => {
      const script = new Script(input);
      expect(script.first).toBe(input[0] ?? 0);
      for (const each of script.change(number, message, [message])) expect(each).toBeInstanceOf(Uint8Array);
    }),
    fuzz(100),
  );
});
