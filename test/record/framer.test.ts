import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { HandshakeJoiner, RecordFramer } from "../../src/record/framer.ts";
import { field, filled, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

/** A record as bytes, its length announced truly or not. */
const record = (type: number, fragment: Uint8Array, length = fragment.length): Uint8Array =>
  concat([Uint8Array.of(type, 3, 3), number(2, length), fragment]);

/** Takes all records there are, copied since a framer only lends them, each as the bytes it had. */
function takeAll(framer: RecordFramer): string[] {
  const all: string[] = [];
  for (let next = framer.next(); next !== undefined; next = framer.next()) {
    expect(next.type).toBe(next.header[0]);
    all.push(toHex(concat([next.header, next.fragment])));
  }
  return all;
}

/** Feeds the pieces one after the other and overwrites each as soon as it was read. */
function frame(framer: RecordFramer, pieces: readonly Uint8Array[]): string[] {
  return pieces.flatMap((piece) => {
    const lent = piece.slice();
    framer.feed(lent);
    const records = takeAll(framer);
    lent.fill(0xff);
    return records;
  });
}

/** The bytes cut at these places, taken modulo the length. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

const refusal = (bytes: Uint8Array): unknown => {
  const framer = new RecordFramer();
  try {
    framer.feed(bytes);
    takeAll(framer);
    return undefined;
  } catch (error) {
    return error;
  }
};

const decodeError = { name: "ProtocolError", code: "ERR_TLS_DECODE", alert: "decode_error" };
const overflow = { name: "ProtocolError", code: "ERR_TLS_RECORD_OVERFLOW", alert: "record_overflow" };

const someRecord = fc
  .tuple(fc.constantFrom(20, 21, 22, 23), someBytes(0, 60))
  .map(([type, body]) => record(type, body));

describe("records", () => {
  test("come out the same wherever the stream is cut in two", () => {
    const records = [
      record(22, filled(30, 1)),
      record(20, filled(1, 1)),
      record(23, filled(40, 2)),
      record(21, filled(0)),
    ];
    const stream = concat(records);
    for (let at = 0; at <= stream.length; at++) {
      expect(frame(new RecordFramer(), [stream.subarray(0, at), stream.subarray(at)])).toEqual(
        records.map(toHex),
      );
    }
  });

  test("come out the same byte by byte", () => {
    const records = [record(22, filled(30, 1)), record(23, filled(300, 2))];
    expect(frame(new RecordFramer(), cut(concat(records), [...concat(records).keys()]))).toEqual(
      records.map(toHex),
    );
  });

  test("come out the same from any pieces, which are only borrowed", () => {
    fc.assert(
      fc.property(
        fc.array(someRecord, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (records, places) => {
          const framer = new RecordFramer();
          expect(frame(framer, cut(concat(records), places))).toEqual(records.map(toHex));
          expect(framer.buffered).toBe(0);
        },
      ),
      fuzz(150),
    );
  });

  test("that lie whole in what was fed are views of it", () => {
    const framer = new RecordFramer();
    const input = record(23, filled(9));
    framer.feed(input);
    expect(framer.next()?.fragment.buffer).toBe(input.buffer);
  });

  test("that are still to come are counted as they wait", () => {
    const framer = new RecordFramer();
    const stream = concat([record(22, filled(10)), record(22, filled(20))]);
    expect(framer.buffered).toBe(0);
    framer.feed(stream.subarray(0, 18));
    expect(framer.buffered).toBe(18);
    expect(framer.next()).toBeDefined();
    expect(framer.buffered).toBe(3);
    expect(framer.next()).toBeUndefined();
    expect(framer.buffered).toBe(3);
    framer.feed(stream.subarray(18, 30));
    expect(framer.next()).toBeUndefined();
    expect(framer.buffered).toBe(15);
    framer.feed(stream.subarray(30));
    expect(framer.next()).toBeDefined();
    expect(framer.buffered).toBe(0);
  });

  test("survive their lender taking the memory back, and what is appended stands behind them", () => {
    fc.assert(
      fc.property(
        fc.array(someRecord, { minLength: 2, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.nat(3),
        (records, places, early) => {
          const framer = new RecordFramer();
          const [first, ...others] = cut(concat(records), places).map((piece) => piece.slice());
          framer.feed(first!);
          const out: string[] = [];
          for (let n = 0; n < early; n++) {
            const next = framer.next();
            if (next !== undefined) out.push(toHex(concat([next.header, next.fragment])));
          }
          framer.keep();
          first!.fill(0xff);
          for (const piece of others) {
            framer.append(piece);
            piece.fill(0xff);
          }
          out.push(...takeAll(framer));
          expect(out).toEqual(records.map(toHex));
        },
      ),
      fuzz(150),
    );
  });

  test("keeping nothing is no matter", () => {
    const framer = new RecordFramer();
    framer.keep();
    expect(framer.next()).toBeUndefined();
    framer.append(record(22, filled(3)));
    expect(takeAll(framer)).toEqual([toHex(record(22, filled(3)))]);
  });
});

describe("§5.1 and §5.2: lengths", () => {
  test.each([20, 21, 22])("a record of type %i in the clear has at most 2^14 bytes", (type) => {
    expect(refusal(record(type, filled(2 ** 14)))).toBeUndefined();
    expect(refusal(record(type, filled(2 ** 14 + 1)))).toMatchObject(overflow);
  });

  test("a protected record has at most 2^14 + 256 bytes", () => {
    expect(refusal(record(23, filled(2 ** 14 + 256)))).toBeUndefined();
    expect(refusal(record(23, filled(2 ** 14 + 257)))).toMatchObject(overflow);
  });

  test("a length is refused as soon as it is there, wherever the header was cut", () => {
    const header = record(23, filled(0), 0xffff);
    for (let at = 0; at <= header.length; at++) {
      const framer = new RecordFramer();
      expect(() => frame(framer, [header.subarray(0, at), header.subarray(at)])).toThrow(
        expect.objectContaining(overflow),
      );
    }
  });

  test("the longest record comes out whole from small pieces", () => {
    const bytes = record(23, filled(2 ** 14 + 256));
    const pieces = Array.from({ length: 17 }, (_, i) => bytes.subarray(i * 1000, (i + 1) * 1000));
    expect(frame(new RecordFramer(), pieces)).toEqual([toHex(bytes)]);
  });
});

describe("§5.1: what is no record", () => {
  test("a type that is none is unexpected_message", () => {
    for (let type = 0; type < 256; type++) {
      const error = refusal(record(type, filled(2)));
      if (type >= 20 && type <= 23) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code: "ERR_TLS_UNEXPECTED_MESSAGE", alert: "unexpected_message" });
    }
  });

  test("legacy_record_version must begin with 3; its second byte is ignored", () => {
    for (let byte = 0; byte < 256; byte++) {
      const [major, minor] = [record(22, filled(2)), record(22, filled(2))];
      major[1] = byte;
      minor[2] = byte;
      expect(refusal(minor)).toBeUndefined();
      if (byte === 3) expect(refusal(major)).toBeUndefined();
      else expect(refusal(major)).toMatchObject(decodeError);
    }
  });

  test("any bytes in any pieces are records, or a ProtocolError, and never more is kept than one record", () => {
    fc.assert(
      fc.property(
        fc.oneof(someBytes(0, 200), someRecord),
        fc.array(fc.nat(), { maxLength: 5 }),
        (bytes, places) => {
          const framer = new RecordFramer();
          try {
            for (const piece of cut(bytes, places)) {
              frame(framer, [piece]);
              expect(framer.buffered).toBeLessThanOrEqual(5 + 2 ** 14 + 256);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
            expect(["decode_error", "record_overflow", "unexpected_message"]).toContain(
              (error as ProtocolError).alert,
            );
          }
        },
      ),
      fuzz(300),
    );
  });
});

describe("handshake messages", () => {
  const message = (type: number, body: Uint8Array): Uint8Array => concat([number(1, type), field(3, body)]);
  const someMessage = fc.tuple(fc.nat(255), someBytes(0, 50)).map(([type, body]) => message(type, body));

  function join(joiner: HandshakeJoiner, maxBytes = 1000): string[] {
    const all: string[] = [];
    for (let next = joiner.next(maxBytes); next !== undefined; next = joiner.next(maxBytes)) {
      expect(next.type).toBe(next.bytes[0]);
      expect(toHex(next.body)).toBe(toHex(next.bytes.subarray(4)));
      all.push(toHex(next.bytes));
    }
    return all;
  }

  test("come out the same however they are spread over fragments", () => {
    fc.assert(
      fc.property(
        fc.array(someMessage, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (messages, places) => {
          const joiner = new HandshakeJoiner();
          const out: string[] = [];
          for (const fragment of cut(concat(messages), places)) {
            if (fragment.length === 0) continue;
            joiner.push(fragment.slice());
            out.push(...join(joiner));
          }
          expect(out).toEqual(messages.map(toHex));
          expect(joiner.idle).toBe(true);
        },
      ),
      fuzz(150),
    );
  });

  test("are read after all fragments are there, too", () => {
    const joiner = new HandshakeJoiner();
    const [first, second] = [message(8, filled(20, 1)), message(20, filled(32, 2))];
    for (const byte of concat([first, second])) joiner.push(Uint8Array.of(byte));
    expect(join(joiner)).toEqual([toHex(first), toHex(second)]);
  });

  test("§5.1: a key may change only between two of them", () => {
    const joiner = new HandshakeJoiner();
    const bytes = message(8, filled(3));
    expect(joiner.idle).toBe(true);
    for (const [i, byte] of bytes.entries()) {
      joiner.push(Uint8Array.of(byte));
      const next = joiner.next(1000);
      expect(next === undefined).toBe(i < bytes.length - 1);
      expect(joiner.idle).toBe(i === bytes.length - 1);
    }
  });

  test("two in one fragment: not before the second is taken", () => {
    const joiner = new HandshakeJoiner();
    joiner.push(concat([message(8, filled(3)), message(20, filled(0))]));
    expect(joiner.next(1000)).toBeDefined();
    expect(joiner.idle).toBe(false);
    expect(joiner.next(1000)?.body).toHaveLength(0);
    expect(joiner.idle).toBe(true);
  });

  test("that announce more than the limit are refused by their header alone", () => {
    const limit = { name: "ProtocolError", code: "ERR_TLS_LIMIT", alert: "illegal_parameter" };
    const announce = (length: number): HandshakeJoiner => {
      const joiner = new HandshakeJoiner();
      joiner.push(concat([number(1, 11), number(3, length)]));
      return joiner;
    };
    expect(announce(100).next(100)).toBeUndefined();
    expect(() => announce(101).next(100)).toThrow(expect.objectContaining(limit));
    expect(() => announce(2 ** 24 - 1).next(131_072)).toThrow(expect.objectContaining(limit));
    expect(announce(0).next(0)?.body).toHaveLength(0);
  });
});
