import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectNoHarm } from "../support/tamper.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { Pair, type PairOptions } from "../support/pair.ts";
import { afterwards, converse, expectConversation, scenarios } from "./scenarios.ts";

/** Replaces what a side's n-th delivery of bytes carries. */
function onDelivery(
  options: PairOptions,
  n: number,
  change: (bytes: Uint8Array) => Uint8Array,
  pieceBytes = 1 << 20,
): Pair {
  let at = 0;
  const pair = new Pair({
    ...options,
    wire: { onBytes: (_, bytes) => (bytes.length > 0 && at++ === n ? change(bytes) : bytes), pieceBytes },
  });
  // Whatever is kept of borrowed bytes would show.
  pair.borrowing = true;
  return pair;
}

/** Client and server speak in turn; a delivery is one turn. The last ones carry tickets, key updates and data. */
const DELIVERIES = 7;

describe("on the wire", () => {
  const options = scenarios[0]!.options;

  test("any bit of any record: refused, unless it is one that nobody looks at", () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (n, place, bit) => {
        let unread = false;
        const pair = onDelivery(options(), n, (bytes) => {
          const at = place % bytes.length;
          unread = isUnread(bytes, at);
          return bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        }).run();
        const what = `bit ${bit} of byte ${place} in delivery ${n}`;
        const ending = expectNoHarm(pair, what, { alertsMayBeForged: true });
        if (!unread) expect(ending, what).not.toBe("connected");
      }),
      fuzz(300),
    );
  });

  test("random bytes before, in, behind or instead of what is sent, in every state", () => {
    const record = fc
      .tuple(fc.constantFrom(20, 21, 22, 23, 24), fc.constantFrom(0x0301, 0x0303), someBytes(0, 40))
      .map(([type, version, body]) =>
        concat([Uint8Array.of(type, version >> 8, version & 0xff, 0, body.length), body]),
      );
    const garbage = fc.oneof(
      someBytes(1, 60),
      record,
      fc.array(record, { minLength: 1, maxLength: 40 }).map((all) => concat(all)),
    );
    const where = fc.record({
      scenario: fc.constantFrom(afterwards, ...scenarios),
      n: fc.nat(DELIVERIES - 1),
      how: fc.constantFrom("before", "in", "behind", "instead"),
      place: fc.nat(),
      pieceBytes: fc.constantFrom(1 << 20, 1000, 7, 1),
    });
    fc.assert(
      fc.property(where, garbage, ({ scenario, n, how, place, pieceBytes }, bytes) => {
        const change = (sent: Uint8Array): Uint8Array => {
          if (how === "instead") return bytes;
          const at = { before: 0, in: place % sent.length, behind: sent.length }[how];
          return concat([sent.subarray(0, at), bytes, sent.subarray(at)]);
        };
        const pair = onDelivery(scenario.options(), n, change, pieceBytes);
        converse(pair);
        // Of what was cut off at the end, the rest may still come.
        const what = `${scenario.name}: ${bytes.length} bytes ${how} delivery ${n}`;
        expectConversation(pair, what, expectNoHarm(pair, what, { alertsMayBeForged: true }), false);
      }),
      fuzz(300),
    );
  });

  test.each([afterwards, ...scenarios])("$name: untouched, it connects whatever the pieces", (scenario) => {
    for (const pieceBytes of [1, 7, 1000]) {
      const pair = onDelivery(scenario.options(), 0, (bytes) => bytes, pieceBytes);
      converse(pair);
      expect(expectConversation(pair, `pieces of ${pieceBytes}`)).toBe("connected");
    }
  });

  test("random bytes to a client that has not begun", () => {
    fc.assert(
      fc.property(someBytes(1, 80), (bytes) => {
        const { client } = new Pair(afterwards.options());
        const events = client.receive(bytes);
        expect(events.length).toBeLessThan(2);
        for (const event of events) {
          expect(event).toMatchObject({ event: "error" });
          expect((event as { error: Error }).error).toBeInstanceOf(ProtocolError);
        }
        expect(client.takeOutput()).toEqual([]);
      }),
      fuzz(100),
    );
  });

  test("random bytes while a question to the host is open", () => {
    const asks = ["draw_qkd_key", "redeem_qkd_key", "verify_peer"] as const;
    const size = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.constantFrom(20_000, 200_000));
    fc.assert(
      fc.property(fc.constantFrom(...asks), size, fc.constantFrom(0, 22, 23, 255), (ask, size, byte) => {
        let asked = 0;
        const pair: Pair = new Pair({
          ...options(),
          wire: {
            onQuestion: (side, question) => {
              if (question.ask !== ask || asked++ > 0) return undefined;
              const bytes = new Uint8Array(size).fill(byte);
              pair.take(side, pair[side].receive(bytes));
              bytes.fill(0xff);
              return undefined;
            },
          },
        });
        converse(pair);
        expect(asked, ask).toBeGreaterThan(0);
        expect(expectNoHarm(pair, `${size} bytes at ${ask}`)).not.toBe("connected");
      }),
      fuzz(60),
    );
  });
});

/** The low byte of the version of a record in the clear, which RFC 9846 §5.1 says to ignore. */
function isUnread(bytes: Uint8Array, at: number): boolean {
  for (let start = 0; start < bytes.length; start += 5 + ((bytes[start + 3]! << 8) | bytes[start + 4]!)) {
    if (at === start + 2) return bytes[start] !== 23;
  }
  return false;
}
