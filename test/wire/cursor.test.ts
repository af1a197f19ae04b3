import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { Reader, Writer, type Prefix } from "../../src/wire/cursor.ts";
import { decodeError, field, filled, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const SIZES = [1, 2, 3, 4] as const;
const PREFIXES: readonly Prefix[] = [1, 2, 3];

const thrown = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe("numbers", () => {
  test.each(SIZES)("%i bytes, big-endian, both ways", (size) => {
    const max = 256 ** size - 1;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat().map((n) => n % (max + 1)),
          fc.constantFrom(0, 1, max),
        ),
        (value) => {
          const to = new Writer();
          to.uint(size, value);
          const written = to.done();
          expect(written).toEqual(number(size, value));
          const from = new Reader(written);
          expect(from.uint(size)).toBe(value);
          expect(from.left).toBe(0);
        },
      ),
      fuzz(60),
    );
  });

  test.each(SIZES)("%i bytes hold no more than they can, and nothing but whole numbers", (size) => {
    const max = 256 ** size - 1;
    for (const value of [-1, max + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => new Writer().uint(size, value), `${value}`).toThrow(RangeError);
    }
  });

  test.each(SIZES)("%i bytes that are not there are a decode_error", (size) => {
    for (let length = 0; length < size; length++) {
      expect(thrown(() => new Reader(filled(length)).uint(size))).toMatchObject(decodeError);
    }
  });
});

describe("bytes", () => {
  test("take gives views in order and refuses more than is left", () => {
    const input = Uint8Array.of(1, 2, 3, 4, 5);
    const from = new Reader(input);
    const first = from.take(2);
    expect(first).toEqual(Uint8Array.of(1, 2));
    expect(first.buffer).toBe(input.buffer);
    expect(thrown(() => from.take(4))).toMatchObject(decodeError);
    expect(from.rest()).toEqual(Uint8Array.of(3, 4, 5));
    expect(from.rest()).toEqual(new Uint8Array(0));
  });

  test("a view into a larger buffer is read from its own start", () => {
    const from = new Reader(Uint8Array.of(9, 9, 0x12, 0x34, 9).subarray(2, 4));
    expect(from.uint(2)).toBe(0x1234);
    expect(() => from.finish()).not.toThrow();
  });

  test("finish refuses what is left over, and the error names the field", () => {
    const from = new Reader(filled(3));
    from.field = "legacy_version";
    from.uint(2);
    const error = thrown(() => from.finish());
    expect(error).toMatchObject(decodeError);
    expect((error as Error).message).toContain("legacy_version");
  });

  test("a Writer grows to whatever is put into it", () => {
    fc.assert(
      fc.property(
        fc.array(someBytes(0, 3000), { maxLength: 6 }),
        fc.integer({ min: 1, max: 8192 }),
        (parts, size) => {
          const to = new Writer(size);
          for (const part of parts) to.put(part);
          expect(to.done()).toEqual(Uint8Array.from(parts.flatMap((part) => [...part])));
        },
      ),
      fuzz(40),
    );
  });
});

test("two Writers at once do not share memory, and what is done stays as it is", () => {
  const [first, second] = [new Writer(), new Writer()];
  first.put(filled(9));
  second.put(new Uint8Array(9));
  const [one, other] = [first.done(), second.done()];
  const third = new Writer();
  third.put(new Uint8Array(9).fill(0xff));
  third.done();
  expect(one).toEqual(filled(9));
  expect(other).toEqual(new Uint8Array(9));
});

describe("length prefixes", () => {
  test.each(PREFIXES)("%i bytes in front of a body, both ways", (prefix) => {
    fc.assert(
      fc.property(someBytes(0, 255), (body) => {
        const to = new Writer();
        to.within(prefix, 0, 255, () => to.put(body));
        const written = to.done();
        expect(written).toEqual(field(prefix, body));
        expect(new Reader(written).within(prefix, 0, 255, (from) => from.rest())).toEqual(body);
      }),
      fuzz(40),
    );
  });

  test.each(PREFIXES)(
    "%i bytes: outside the bounds it is RangeError on writing, decode_error on reading",
    (prefix) => {
      for (const length of [1, 4, 5]) {
        const to = new Writer();
        const write = () => to.within(prefix, 2, 3, () => to.put(filled(length)));
        expect(write, `${length} written`).toThrow(RangeError);
        const from = new Reader(field(prefix, filled(length)));
        expect(thrown(() => from.within(prefix, 2, 3, (body) => body.rest()))).toMatchObject(decodeError);
      }
      for (const length of [2, 3]) {
        const from = new Reader(field(prefix, filled(length)));
        expect(from.within(prefix, 2, 3, (body) => body.rest())).toHaveLength(length);
      }
    },
  );

  test("a body is confined: it reads neither past its end nor less than all of it", () => {
    const input = field(2, field(1, filled(3)), filled(2));
    const over = new Reader(input);
    expect(
      thrown(() => over.within(2, 0, 99, (outer) => outer.within(1, 0, 99, (inner) => inner.take(4)))),
    ).toMatchObject(decodeError);
    const under = new Reader(input);
    expect(
      thrown(() => under.within(2, 0, 99, (outer) => outer.within(1, 0, 99, (inner) => inner.take(2)))),
    ).toMatchObject(decodeError);
    const whole = new Reader(input);
    expect(
      whole.within(2, 0, 99, (outer) => [outer.within(1, 0, 99, (inner) => inner.rest()), outer.rest()]),
    ).toEqual([filled(3), filled(2)]);
  });

  test("an announced length that goes past the enclosing field is a decode_error", () => {
    // The inner field announces 4 bytes; 3 are left in its field, although more follow outside.
    const from = new Reader(Uint8Array.from([...field(1, Uint8Array.of(4, 1, 2, 3)), 5, 6]));
    expect(
      thrown(() => from.within(1, 0, 99, (outer) => outer.within(1, 0, 99, (inner) => inner.rest()))),
    ).toMatchObject(decodeError);
  });

  test("nothing but a ProtocolError comes out of a Reader, whatever the bytes and the plan", () => {
    const plan = fc.array(fc.constantFrom("u8", "u16", "u24", "u32", "within1", "within2", "take", "rest"), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(someBytes(0, 24), plan, (bytes, steps) => {
        const from = new Reader(bytes);
        const error = thrown(() => {
          for (const step of steps) {
            if (step === "take") from.take(3);
            else if (step === "rest") from.rest();
            else if (step === "within1")
              from.within(1, 0, 20, (body) => body.within(1, 0, 20, (b) => b.rest()));
            else if (step === "within2") from.within(2, 1, 20, (body) => body.rest());
            else from.uint(({ u8: 1, u16: 2, u24: 3, u32: 4 } as const)[step as "u8"]);
          }
          from.finish();
        });
        if (error === undefined) return;
        expect(error).toBeInstanceOf(ProtocolError);
        expect(error).toMatchObject(decodeError);
      }),
      fuzz(200),
    );
  });
});
