import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bytes,
  decode,
  empty,
  encode,
  opaque,
  rest,
  struct,
  u16,
  u24,
  u32,
  u8,
  vector,
} from "../../src/wire/codec.ts";
import {
  code16,
  decodeError,
  field,
  filled,
  holdsCodecRules,
  number,
  refusal,
  someBytes,
} from "../support/codec-rules.ts";

holdsCodecRules("uint8", { codec: u8, values: fc.nat(0xff) });
holdsCodecRules("uint16", { codec: u16, values: code16 });
holdsCodecRules("uint24", { codec: u24, values: fc.nat(0xffffff) });
holdsCodecRules("uint32", { codec: u32, values: fc.integer({ min: 0, max: 0xffffffff }) });
holdsCodecRules("opaque[8]", { codec: bytes(8), values: someBytes(8, 8) });
holdsCodecRules("the rest", { codec: rest, values: someBytes(1, 64), openEnd: true });

const bounded = (prefix: 1 | 2 | 3, min: number, max: number) => ({
  field: `opaque<${min}..${max}>`,
  min,
  max,
  sized: filled,
  wire: (length: number) => field(prefix, filled(length)),
});
holdsCodecRules("opaque of one length byte", {
  codec: opaque(1, 2, 40),
  values: someBytes(2, 40),
  bounds: [bounded(1, 2, 40)],
});
holdsCodecRules("opaque of two length bytes", {
  codec: opaque(2, 1),
  values: someBytes(1, 300),
  bounds: [bounded(2, 1, 0xffff)],
});
holdsCodecRules("opaque of three length bytes", {
  codec: opaque(3),
  values: someBytes(0, 300),
  bounds: [bounded(3, 0, 0xffffff)],
});

const pairs = (count: number) => Array.from({ length: count / 2 }, () => 0x5a5a);
holdsCodecRules("a vector of numbers", {
  codec: vector(1, u16, 2, 8),
  values: fc.array(code16, { minLength: 1, maxLength: 4 }),
  bounds: [{ field: "the vector", min: 2, max: 8, step: 2, sized: pairs, wire: (n) => field(1, filled(n)) }],
});
holdsCodecRules("a vector of opaque fields", {
  codec: vector(2, opaque(1, 1)),
  values: fc.array(someBytes(1, 20), { maxLength: 5 }),
});
holdsCodecRules("a struct in a vector in a struct", {
  codec: struct({ kind: u8, list: vector(2, struct({ code: u16, body: opaque(1) })), tail: bytes(2) }),
  values: fc.record({
    kind: fc.nat(255),
    list: fc.array(fc.record({ code: code16, body: someBytes(0, 9) }), { maxLength: 4 }),
    tail: someBytes(2, 2),
  }),
});

describe("what one declaration says", () => {
  test("fields stand in the order of their declaration, whatever the order in the value", () => {
    const codec = struct({ first: u8, second: u16 });
    expect(encode(codec, { second: 0x0203, first: 1 })).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("opaque[length] takes no other length", () => {
    for (const length of [0, 7, 9]) expect(() => encode(bytes(8), filled(length))).toThrow(RangeError);
  });

  test("a vector whose length is no multiple of its items is a decode_error", () => {
    expect(refusal(vector(1, u16), field(1, filled(3)))).toMatchObject(decodeError);
  });

  test("a field without bytes is true, and anything in it is too much", () => {
    expect(encode(empty, true)).toHaveLength(0);
    expect(decode(empty, new Uint8Array(0))).toBe(true);
    expect(refusal(empty, filled(1))).toMatchObject(decodeError);
  });

  test("an error names the field it is about", () => {
    const codec = struct({ legacy_version: u16, cookie: opaque(2, 1) });
    expect(refusal(codec, Uint8Array.from([...number(2, 0x0303), ...field(2)]))?.message).toMatch(
      /^cookie: /,
    );
  });

  test("decoded bytes are views of the input", () => {
    const input = field(1, filled(4));
    const view = decode(opaque(1), input);
    input[1] = 7;
    expect(view[0]).toBe(7);
  });

  test("what is encoded does not hang on the value any more", () => {
    const value = filled(4);
    const encoded = encode(opaque(1), value);
    value.fill(0);
    expect(encoded).toEqual(field(1, filled(4)));
  });
});
