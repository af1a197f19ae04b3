import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Detections, MOST_DETECTIONS, Sifting, SiftingMessages } from "../../src/link/sifting-messages.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { decodeError, field, holdsCodecRules, refusal, someBytes } from "../support/codec-rules.ts";

const slot = fc.oneof(fc.nat(500), fc.integer({ min: 0, max: 0xffffffff }));
const slots = fc
  .uniqueArray(slot, { maxLength: 40 })
  .map((all) => Uint32Array.from(all.sort((a, b) => a - b)));

holdsCodecRules("Detections", {
  codec: Detections,
  values: fc.record({ slots, bases: someBytes(0, 10), check_bits: someBytes(0, 10) }),
});
holdsCodecRules("Sifting", {
  codec: Sifting,
  values: fc.record({
    kept: someBytes(0, 10),
    intensities: someBytes(0, 10),
    check_bits: someBytes(0, 10),
  }),
});

describe("slots on the wire", () => {
  const nothing = field(3);
  const withGaps = (...gaps: number[]) =>
    Uint8Array.of(...field(3, Uint8Array.from(gaps)), ...nothing, ...nothing);

  test("are the gaps between them, seven bits a byte", () => {
    const message = {
      slots: Uint32Array.of(0, 1, 129, 130 + 0x4000),
      bases: Uint8Array.of(),
      check_bits: Uint8Array.of(),
    };
    const bytes = withGaps(0, 0, 0x7f, 0x80, 0x80, 1);
    expect(encode(Detections, message)).toEqual(bytes);
    expect(decode(Detections, bytes).slots).toEqual(message.slots);
  });

  test.each<[string, number[]]>([
    ["a gap without an end", [0x80]],
    ["a gap of more bytes than it needs", [0x80, 0]],
    ["a gap of more than 35 bits", [0x80, 0x80, 0x80, 0x80, 0x80, 1]],
    ["a slot beyond 32 bits", [0xff, 0xff, 0xff, 0xff, 0x0f, 0]],
  ])("%s is decode_error", (_, gaps) => {
    expect(refusal(Detections, withGaps(...gaps))).toMatchObject(decodeError);
  });

  test("the last slot of 32 bits is one", () => {
    expect(decode(Detections, withGaps(0xff, 0xff, 0xff, 0xff, 0x0f)).slots).toEqual(
      Uint32Array.of(0xffffffff),
    );
  });

  test("more than a message holds are decode_error", () => {
    const gaps = new Uint8Array(MOST_DETECTIONS + 1);
    const bytes = new Uint8Array(gaps.length + 9);
    bytes.set(field(3, gaps));
    expect(refusal(Detections, bytes)).toMatchObject(decodeError);
  });

  test("that do not rise are the caller's mistake", () => {
    const message = { slots: Uint32Array.of(3, 3), bases: Uint8Array.of(), check_bits: Uint8Array.of() };
    expect(() => encode(Detections, message)).toThrow(RangeError);
  });
});

describe("the messages of sifting", () => {
  const nothing = Uint8Array.of();

  test("say in a byte which they are", () => {
    const detections = { slots: new Uint32Array(0), bases: nothing, check_bits: nothing };
    const sifting = { kept: nothing, intensities: nothing, check_bits: nothing };
    const written = [
      SiftingMessages.write("detections", detections),
      SiftingMessages.write("sifting", sifting),
    ];
    expect(written.map(([code]) => code)).toEqual([1, 2]);
    expect(written.map((bytes) => SiftingMessages.read(bytes).kind)).toEqual(["detections", "sifting"]);
  });

  test.each([
    [[]],
    [[0]],
    [[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    [[1, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0]],
    [[2, 0, 0, 0]],
  ])("%j is ERR_LINK_MALFORMED", (bytes) => {
    expect(() => SiftingMessages.read(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ name: "LinkError", code: "ERR_LINK_MALFORMED" }),
    );
  });
});
