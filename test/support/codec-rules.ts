/** The rules that every declared structure obeys, as tests to run over its codec. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, equal } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { decode, encode, type Codec } from "../../src/wire/codec.ts";
import { fuzz } from "./fuzz.ts";

/** A length-prefixed field, written without any of the code under test and without its bounds. */
export function field(prefix: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  return concat([number(prefix, body.length), body]);
}

/** A big-endian number of so many bytes. */
export const number = (size: 1 | 2 | 3 | 4, value: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** (size - 1 - i)) % 256);

/** An extension, written as `field` is. */
export const extension = (type: number, ...body: readonly Uint8Array[]): Uint8Array =>
  concat([number(2, type), field(2, ...body)]);

export const filled = (length: number, byte = 0x5a): Uint8Array => new Uint8Array(length).fill(byte);

export const someBytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
export const code16 = fc.nat(0xffff);
export const someCodes = (maxLength = 12): fc.Arbitrary<number[]> =>
  fc.array(code16, { minLength: 1, maxLength });

/** The error that refuses these bytes; undefined when they are a value. */
export function refusal(codec: Codec<unknown>, bytes: Uint8Array): Error | undefined {
  try {
    decode(codec, bytes);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

export const decodeError = { name: "ProtocolError", code: "ERR_TLS_DECODE", alert: "decode_error" };

/** A value without what a decoder adds to it. */
export function withoutPresent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPresent);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, part]) =>
      name === "present" ? [] : [[name, withoutPresent(part)]],
    ),
  );
}

/** A field whose length has bounds, in bytes. */
export interface Bounded<T> {
  readonly field: string;
  readonly min: number;
  /** Absent where only what surrounds the field sets an end. */
  readonly max?: number;
  /** A value whose field has so many bytes. */
  readonly sized: (bytes: number) => T;
  /** The same on the wire, bounds disregarded; absent where a prefix cannot say more than the maximum. */
  readonly wire: (bytes: number) => Uint8Array;
  /** How many bytes one item of the field has. */
  readonly step?: number;
}

export interface CodecRules<T> {
  readonly codec: Codec<T>;
  readonly values: fc.Arbitrary<T>;
  readonly bounds?: readonly Bounded<T>[];
  /** The lengths at which a shorter encoding is a valid one too; by default there is none. */
  readonly validAt?: (encoded: Uint8Array, value: T) => readonly number[];
  /** True when the last field takes whatever is left, so that more bytes belong to it. */
  readonly openEnd?: boolean;
}

export function holdsCodecRules<T>(name: string, rules: CodecRules<T>): void {
  const { codec, values, bounds = [], validAt = () => [], openEnd = false } = rules;

  describe(name, () => {
    test("any value survives encoding and decoding", () => {
      fc.assert(
        fc.property(values, (value) => {
          expect(withoutPresent(decode(codec, encode(codec, value)))).toEqual(withoutPresent(value));
        }),
        fuzz(60),
      );
    });

    test("every truncation is a decode_error", () => {
      fc.assert(
        fc.property(values, (value) => {
          const encoded = encode(codec, value);
          const allowed = openEnd ? [...encoded.keys()] : validAt(encoded, value);
          for (let length = 0; length < encoded.length; length++) {
            const error = refusal(codec, encoded.subarray(0, length));
            if (allowed.includes(length)) expect(error, `cut to ${length}`).toBeUndefined();
            else expect(error, `cut to ${length}`).toMatchObject(decodeError);
          }
        }),
        fuzz(8),
      );
    });

    if (!openEnd) {
      test("one byte more is a decode_error", () => {
        fc.assert(
          fc.property(values, fc.nat(255), (value, byte) => {
            const longer = concat([encode(codec, value), Uint8Array.of(byte)]);
            expect(refusal(codec, longer)).toMatchObject(decodeError);
          }),
          fuzz(40),
        );
      });
    }

    test("any bytes are a value, or a ProtocolError with decode_error or illegal_parameter", () => {
      const mutated = fc
        .tuple(values, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
        .map(([value, changes]) => {
          const bytes = encode(codec, value).slice();
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
          return bytes;
        });
      fc.assert(
        fc.property(fc.oneof(mutated, someBytes(0, 120)), (bytes) => {
          const error = refusal(codec, bytes);
          if (error === undefined) return;
          expect(error).toBeInstanceOf(ProtocolError);
          expect(["decode_error", "illegal_parameter"]).toContain((error as ProtocolError).alert);
        }),
        fuzz(200),
      );
    });

    for (const { field, min, max, sized, wire, step = 1 } of bounds) {
      test(`${field} has at least ${min} bytes${max === undefined ? "" : ` and at most ${max}`}`, () => {
        const fitting = max === undefined ? [min] : [min, max];
        for (const bytes of fitting) {
          const encoded = encode(codec, sized(bytes));
          expect(equal(encoded, wire(bytes)), `${bytes} written`).toBe(true);
          expect(equal(encode(codec, decode(codec, encoded)), encoded), `${bytes} read`).toBe(true);
        }
        const unfit = [...(min === 0 ? [] : [min - step]), ...(max === undefined ? [] : [max + step])];
        for (const bytes of unfit) {
          expect(() => encode(codec, sized(bytes)), `${bytes} written`).toThrow(RangeError);
        }
        const shorter = min === 0 ? [] : [min - 1];
        const longer = max === undefined || isFull(max) ? [] : [max + 1];
        for (const bytes of [...shorter, ...longer]) {
          expect(refusal(codec, wire(bytes)), `${bytes} read`).toMatchObject(decodeError);
        }
      });
    }
  });
}

/** Whether a length prefix can say no more than this. */
const isFull = (max: number): boolean => [0xff, 0xffff, 0xffffff].includes(max);
