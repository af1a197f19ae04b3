/** ClientHellos of other programs: each is answered, and whatever is done to one is answered or refused. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/protocol/bytes.ts";
import { HandshakeType } from "../../src/protocol/iana.ts";
import { field } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { Pair } from "../support/pair.ts";
import { changesOf, expectHonest } from "../support/tamper.ts";
import { corpus } from "./corpus.ts";
import { edited, edits } from "./edits.ts";

const RECORD_HEADER = 5;
const ALERT = 21;
const HANDSHAKE = 22;
const messages = corpus.map(({ message }) => message);

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

  test.each(corpus)(
    "$name with any one field changed is answered or refused with an alert",
    ({ message }) => {
      for (const { what, apply } of changesOf(message)) {
        const changed = apply();
        if (changed !== undefined) expectAnswer(changed, what);
      }
    },
  );

  test("any, with bytes changed, cut out, doubled, moved or taken from another, likewise", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.array(edits, { minLength: 1, maxLength: 4 }),
        (which, other, changes) => {
          let bytes = messages[which % messages.length] ?? new Uint8Array();
          const donor = messages[other % messages.length] ?? new Uint8Array();
          for (const each of changes) bytes = edited(bytes, donor, each);
          // Mostly with a length that fits, so that more than the frame is looked at.
          const framed =
            which % 4 === 0 ? bytes : concat([bytes.subarray(0, 1), field(3, bytes.subarray(4))]);
          expectAnswer(framed, JSON.stringify({ which, other, changes }));
        },
      ),
      fuzz(400),
    );
  });
});
