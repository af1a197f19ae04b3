import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { lendFresh, LOT_BYTES, Output, type Lend } from "../../src/record/output.ts";
import { filled } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const write = (output: Output, bytes: Uint8Array): void => output.room(bytes.length).set(bytes);

/** Lends lots of one size, or what is asked for where that is more, and notes what was asked. */
function lender(size: number): { readonly lend: Lend; readonly asked: [number, number][] } {
  const asked: [number, number][] = [];
  return {
    asked,
    lend: (least, wanted) => {
      asked.push([least, wanted]);
      return filled(Math.max(size, least), 0xee);
    },
  };
}

describe("what is written", () => {
  test("comes out in order, each byte once, whatever the lots", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(40), { maxLength: 8 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 64 }),
        (rounds, size) => {
          const output = new Output(lender(size).lend);
          let value = 0;
          for (const lengths of rounds) {
            const parts = lengths.map((length) => filled(length, value++ % 200));
            for (const part of parts) write(output, part);
            expect(toHex(concat(output.take()))).toBe(toHex(concat(parts)));
            expect(output.take()).toEqual([]);
          }
        },
      ),
      fuzz(100),
    );
  });

  test("lies in one piece as long as the lot has room", () => {
    const { lend, asked } = lender(10);
    const output = new Output(lend);
    write(output, filled(4, 1));
    write(output, filled(6, 2));
    write(output, filled(1, 3));
    expect(output.take().map((piece) => piece.length)).toEqual([10, 1]);
    expect(asked.map(([least]) => least)).toEqual([4, 1]);
  });

  test("a lot that was taken is not written to again", () => {
    const output = new Output(lender(100).lend);
    write(output, filled(4, 1));
    const [first] = output.take();
    write(output, filled(4, 2));
    output.take();
    expect(toHex(first!)).toBe("01010101");
  });

  test("what is expected is asked for at once, less what was written already", () => {
    const { lend, asked } = lender(0);
    const output = new Output(lend);
    output.expect(100);
    write(output, filled(30));
    write(output, filled(30));
    expect(asked).toEqual([
      [30, 100],
      [30, 70],
    ]);
  });
});

test("fresh memory is as much as is wanted, within a lot, and never too little", () => {
  expect(lendFresh(10, 10)).toHaveLength(10);
  expect(lendFresh(10, 1000)).toHaveLength(1000);
  expect(lendFresh(10, 10 ** 9)).toHaveLength(LOT_BYTES);
  expect(lendFresh(LOT_BYTES + 1, 0)).toHaveLength(LOT_BYTES + 1);
});
