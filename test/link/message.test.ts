import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messages, readBody, unexpected } from "../../src/link/message.ts";
import { opaque, struct, u8, u32 } from "../../src/wire/codec.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";

const Sample = messages("sample", {
  number: { code: 1, body: struct({ value: u32 }) },
  text: { code: 7, body: struct({ flag: u8, bytes: opaque(2, 1) }) },
});

describe("the messages of a stage", () => {
  test("are read as they were written", () => {
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 50 }), (value, bytes) => {
        expect(Sample.read(Sample.write("number", { value }))).toEqual({ kind: "number", body: { value } });
        const text = { kind: "text", body: { flag: 3, bytes } };
        expect(Sample.read(Sample.write("text", { flag: 3, bytes }))).toEqual(text);
      }),
      fuzz(50),
    );
  });

  test("every cut and every byte too many is malformed, and so is an unknown kind", () => {
    const whole = Sample.write("text", { flag: 1, bytes: Uint8Array.of(1, 2, 3) });
    for (let at = 0; at < whole.length; at++) {
      expect(linkCodeOf(() => Sample.read(whole.subarray(0, at)))).toBe("ERR_LINK_MALFORMED");
    }
    expect(linkCodeOf(() => Sample.read(Uint8Array.of(...whole, 0)))).toBe("ERR_LINK_MALFORMED");
    expect(linkCodeOf(() => Sample.read(Uint8Array.of(2, 0, 0, 0, 0)))).toBe("ERR_LINK_MALFORMED");
  });

  test("what does not fit is not written", () => {
    expect(() => Sample.write("number", { value: 2 ** 32 })).toThrow(RangeError);
  });

  test("an error that is none of decoding keeps its cause", () => {
    const cause = new TypeError("x");
    const act = () =>
      readBody("sample", new Uint8Array(1), () => {
        throw cause;
      });
    expect(act).toThrow(expect.objectContaining({ code: "ERR_LINK_MALFORMED", cause }));
  });

  test("the wrong kind is unexpected, and says what belongs", () => {
    expect(unexpected("sample", "a", "b")).toMatchObject({ code: "ERR_LINK_UNEXPECTED" });
  });
});
