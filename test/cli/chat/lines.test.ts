import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeLine,
  LineReader,
  type LineFromRoom,
  type LineToRoom,
  readLineFromRoom,
  readLineToRoom,
} from "../../../src/cli/chat/lines.ts";
import { utf8 } from "../../../src/protocol/bytes.ts";
import { clean } from "../../../src/cli/chat/text.ts";

const bad = expect.objectContaining({ code: "ERR_CHAT_LINE" });
const text = fc.string({ unit: "grapheme", maxLength: 20 }).map(clean);
const person = fc.record({ name: text, protection: text });
const people = fc.array(person, { maxLength: 5 });
const kind = <K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name);

const toRoom: fc.Arbitrary<LineToRoom> = fc.oneof(
  fc.record({ kind: kind("join"), name: text }),
  fc.record({ kind: kind("say"), text }),
  fc.record({ kind: kind("who") }),
  fc.record({ kind: kind("leave") }),
);
const fromRoom: fc.Arbitrary<LineFromRoom> = fc.oneof(
  fc.record({ kind: kind("welcome"), name: text, people }),
  fc.record({ kind: kind("joined"), person }),
  fc.record({ kind: kind("left"), name: text }),
  fc.record({ kind: kind("said"), name: text, text }),
  fc.record({ kind: kind("people"), people }),
  fc.record({ kind: kind("notice"), text }),
  fc.record({ kind: kind("refused"), text }),
  fc.record({ kind: kind("closed") }),
);

describe("lines", () => {
  test("come back as they were", () => {
    const bare = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, -1);
    fc.assert(
      fc.property(toRoom, fromRoom, (to, from) => {
        expect(readLineToRoom(bare(encodeLine(to)))).toEqual(to);
        expect(readLineFromRoom(bare(encodeLine(from)))).toEqual(from);
      }),
    );
  });

  test.each([
    ["", "no JSON"],
    ["hello", "no JSON"],
    ["[]", "no JSON object"],
    ["null", "no JSON object"],
    ["{}", "no line of the kind undefined"],
    ['{"kind":"said","name":"a","text":"b"}', "no line of the kind said"],
    ['{"kind":"toString"}', "no line of the kind toString"],
    ['{"kind":"say"}', "say: text is no text"],
    ['{"kind":"say","text":7}', "say: text is no text"],
    [`{"kind":"say","text":"${"x".repeat(1001)}"}`, "say: text is longer than 1000"],
    ['{"kind":"join","name":["a"]}', "join: name is no text"],
  ])("%#: what is wrong is named", (line, why) => {
    expect(() => readLineToRoom(utf8(line))).toThrow(bad);
    expect(() => readLineToRoom(utf8(line))).toThrow(why);
  });

  test.each([
    ['{"kind":"say","text":"a"}', "no line of the kind say"],
    ['{"kind":"people","people":{}}', "people: people is no list"],
    ['{"kind":"people","people":[null]}', "people: people is no person"],
    [`{"kind":"people","people":[${Array(257).fill("0").join()}]}`, "people: people has more than 256"],
    ['{"kind":"joined","person":{"name":"a"}}', "joined: person is no text"],
  ])("from the room, %#: what is wrong is named", (line, why) => {
    expect(() => readLineFromRoom(utf8(line))).toThrow(why);
  });

  test("that are no UTF-8 are refused", () => {
    expect(() => readLineToRoom(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(bad);
  });

  test("carry nothing that drives a terminal, either way", () => {
    const hostile = "\u001b[2Ja\r\nb\u0007\u202ec\u009b31m";
    expect(readLineToRoom(utf8(JSON.stringify({ kind: "say", text: hostile })))).toEqual({
      kind: "say",
      text: "[2Ja bc31m",
    });
    const person = { name: hostile, protection: hostile };
    expect(JSON.stringify(readLineFromRoom(utf8(JSON.stringify({ kind: "joined", person }))))).not.toMatch(
      /\\u|\\r|\\n|\p{Cc}/u,
    );
    // What nobody declared does not come through.
    expect(readLineToRoom(utf8('{"kind":"who","__proto__":{"x":1},"more":2}'))).toEqual({ kind: "who" });
  });

  test("come out whole, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(toRoom, { maxLength: 6 }), fc.array(fc.nat(40)), (lines, cuts) => {
        const bytes = Buffer.concat(lines.map(encodeLine));
        const reader = new LineReader(4096);
        const read: LineToRoom[] = [];
        let at = 0;
        for (const length of [...cuts, bytes.length]) {
          for (const line of reader.take(bytes.subarray(at, at + length))) read.push(readLineToRoom(line));
          at = Math.min(bytes.length, at + length);
        }
        expect(read).toEqual(lines);
      }),
    );
  });

  test("longer than the bound are refused before they end", () => {
    const reader = new LineReader(10);
    expect([...reader.take(utf8("0123456789\n"))]).toHaveLength(1);
    expect([...reader.take(utf8("01234"))]).toEqual([]);
    expect(() => [...reader.take(utf8("567890"))]).toThrow(bad);
  });
});
