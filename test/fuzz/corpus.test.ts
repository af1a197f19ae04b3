/**
 * ClientHellos of other programs, as they went over the wire: each is answered, and whatever is done to one is
 * answered or refused. `corpus/*.hex` is one record each, named for the program and its version.
 */
import { readdirSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex } from "../../src/protocol/bytes.ts";
import { HandshakeType } from "../../src/protocol/iana.ts";
import { field } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { Pair } from "../support/pair.ts";
import { changesOf, expectHonest } from "../support/tamper.ts";

const RECORD_HEADER = 5;
const ALERT = 21;
const HANDSHAKE = 22;
const corpus = readdirSync(new URL("corpus/", import.meta.url)).map((file) => {
  const text = readFileSync(new URL(`corpus/${file}`, import.meta.url), "utf8");
  const record = fromHex(text.replaceAll(/\s/g, ""));
  if (record === undefined) throw new Error(`${file} is not hexadecimal`);
  return { name: file.replace(/\.hex$/, ""), record };
});
const messages = corpus.map(({ record }) => record.subarray(RECORD_HEADER));

const options = {
  server: {
    alpn: ["h2", "http/1.1"],
    policy: { mlkem: "preferred", qkd: "off" },
    dangerous: { allowClassical: true },
  },
} as const;

/** What a server makes of these bytes. */
function heard(bytes: Uint8Array): Pair {
  const pair = new Pair(options);
  pair.take("server", pair.server.receive(bytes));
  return pair;
}

/** What must hold whatever it was: an answer, or one error whose alert goes out. */
function expectAnswer(message: Uint8Array, what: string): void {
  const pair = heard(inRecords(message));
  const said = concat(pair.server.takeOutput());
  // Behind a whole ClientHello something may follow that is wrong: then the flight is out, and the alert is in its keys.
  if (pair.error("server") !== undefined) expect([ALERT, HANDSHAKE], what).toContain(said[0]);
  expectHonest(pair, "server", what);
}

/** In as many records as it needs. */
function inRecords(message: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += 2 ** 14) {
    parts.push(Uint8Array.of(22, 3, 1), field(2, message.subarray(at, at + 2 ** 14)));
  }
  return concat(parts);
}

const NAMES = Object.fromEntries(Object.entries(HandshakeType).map(([name, code]) => [code, name]));

describe("ClientHello of", () => {
  test.each(corpus)("$name is answered with a ServerHello", ({ record }) => {
    const pair = heard(record);
    expect(pair.error("server")).toBeUndefined();
    const answer = concat(pair.server.takeOutput());
    expect(NAMES[answer[RECORD_HEADER] ?? 0]).toBe("server_hello");
    // Not an alert, but the whole flight: encrypted records follow.
    expect(answer.length).toBeGreaterThan(100);
  });

  test.each(corpus)("$name with any one field changed is answered or refused with an alert", ({ record }) => {
    for (const { what, apply } of changesOf(record.subarray(RECORD_HEADER))) {
      const changed = apply();
      if (changed !== undefined) expectAnswer(changed, what);
    }
  });

  test("any, with bytes changed, cut out, doubled, moved or taken from another, likewise", () => {
    const place = fc.nat();
    const edit = fc.oneof(
      fc.record({ how: fc.constant("flip" as const), at: place, bit: fc.nat(7) }),
      fc.record({
        how: fc.constant("set" as const),
        at: place,
        byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff),
      }),
      fc.record({ how: fc.constantFrom("cut" as const, "double" as const), at: place, length: fc.nat(40) }),
      fc.record({ how: fc.constant("move" as const), at: place, to: place, length: fc.nat(40) }),
      fc.record({ how: fc.constant("splice" as const), at: place, from: place, length: fc.nat(200) }),
    );
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        (which, other, edits) => {
          let bytes = messages[which % messages.length] ?? new Uint8Array();
          const donor = messages[other % messages.length] ?? new Uint8Array();
          for (const each of edits) bytes = edited(bytes, donor, each);
          // Mostly with a length that fits, so that more than the frame is looked at.
          const framed =
            which % 4 === 0 ? bytes : concat([bytes.subarray(0, 1), field(3, bytes.subarray(4))]);
          expectAnswer(framed, JSON.stringify({ which, other, edits }));
        },
      ),
      fuzz(400),
    );
  });
});

type Edit =
  | { readonly how: "flip"; readonly at: number; readonly bit: number }
  | { readonly how: "set"; readonly at: number; readonly byte: number }
  | { readonly how: "cut" | "double"; readonly at: number; readonly length: number }
  | { readonly how: "move"; readonly at: number; readonly to: number; readonly length: number }
  | { readonly how: "splice"; readonly at: number; readonly from: number; readonly length: number };

function edited(bytes: Uint8Array, donor: Uint8Array, edit: Edit): Uint8Array {
  if (bytes.length === 0) return bytes;
  const at = edit.at % bytes.length;
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (edit.how) {
    case "flip":
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << edit.bit) : byte));
    case "set":
      return bytes.map((byte, i) => (i === at ? edit.byte : byte));
    case "cut":
      return concat([head, tail.subarray(edit.length)]);
    case "double":
      return concat([head, tail.subarray(0, edit.length), tail]);
    case "move": {
      const rest = concat([head, tail.subarray(edit.length)]);
      const to = edit.to % (rest.length + 1);
      return concat([rest.subarray(0, to), tail.subarray(0, edit.length), rest.subarray(to)]);
    }
    case "splice": {
      const from = edit.from % donor.length;
      return concat([head, donor.subarray(from, from + edit.length), tail.subarray(edit.length)]);
    }
  }
}
