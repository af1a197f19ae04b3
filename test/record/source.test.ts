import * as fc from "fast-check";
import { expect, test } from "vitest";
import { concat } from "../../src/protocol/bytes.ts";
import { Source } from "../../src/record/source.ts";
import { someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

test("whatever the chunks and the pieces, the bytes come out in order", () => {
  fc.assert(
    fc.property(
      fc.array(someBytes(0, 40), { maxLength: 8 }),
      fc.array(fc.nat(30), { maxLength: 20 }),
      (chunks, pieces) => {
        const source = new Source(chunks);
        const whole = concat(chunks);
        const out = new Uint8Array(whole.length + 2).fill(0xee);
        let at = 1;
        for (const wanted of [...pieces, whole.length]) {
          const count = Math.min(wanted, source.left);
          source.read(out, at, at + count);
          at += count;
          expect(source.left).toBe(whole.length - at + 1);
        }
        expect(out.subarray(1, -1)).toEqual(whole);
        expect([out[0], out.at(-1)]).toEqual([0xee, 0xee]);
      },
    ),
    fuzz(100),
  );
});
