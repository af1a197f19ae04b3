import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Partition } from "../../src/link/partition.ts";
import { shuffle } from "../../src/link/shuffle.ts";
import { provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";
import { randomBits, steadyRandom } from "./noise.ts";

const order = (length: number) => shuffle(provider.hash("sha256"), new Uint8Array(16), 1, length);

describe("a pass, cut in intervals", () => {
  test("holds the shuffled key, and each block's parity", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 500 }), fc.integer({ min: 1, max: 200 }), (length, blockBits) => {
        const key = randomBits(length, steadyRandom(length));
        const pass = new Partition(key, blockBits, order(length));
        for (let at = 0; at < length; at++) {
          expect(pass.bits.get(pass.place(at))).toBe(key.get(at));
          expect(pass.origin(pass.place(at))).toBe(at);
          expect(pass.startOf(at)).toBe(at - (at % blockBits));
        }
        const parities = pass.parities(pass.blocks);
        for (let block = 0; block < pass.blocks; block++) {
          const start = pass.blockStart(block);
          expect(pass.endOf(start)).toBe(Math.min(length, start + blockBits));
          expect(parities.get(block)).toBe(pass.bits.parity(start, pass.endOf(start)));
        }
      }),
      fuzz(40),
    );
  });

  test("an interval is cut down to single bits, and no further", () => {
    const pass = new Partition(randomBits(100, steadyRandom(1)), 37, undefined);
    let cuts = 0;
    for (let start = 0; start < 100; start++) {
      while (pass.startOf(start) !== start || pass.endOf(start) > start + 1) {
        pass.cut(pass.startOf(start));
        cuts += 1;
      }
    }
    expect(cuts).toBe(100 - 3);
    expect(linkCodeOf(() => pass.cut(5))).toBe("ERR_LINK_MALFORMED");
  });

  test("what starts nowhere cannot be cut, and a wiped pass holds no bit", () => {
    const pass = new Partition(randomBits(100, steadyRandom(1)), 50, undefined);
    for (const start of [1, 99, 100, 2 ** 31])
      expect(linkCodeOf(() => pass.cut(start))).toBe("ERR_LINK_MALFORMED");
    pass.wipe();
    expect(pass.bits.weight()).toBe(0);
  });
});
