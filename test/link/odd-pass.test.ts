import { describe, expect, test } from "vitest";
import { Bits } from "../../src/link/bits.ts";
import { MAX_QUESTIONS } from "../../src/link/cascade.ts";
import { cutsOf, cutsOfAll, levelsFor, oddStarts, sizeOf } from "../../src/link/odd-pass.ts";
import { Partition } from "../../src/link/partition.ts";

const passOf = (length: number, blockBits: number, odd: readonly number[]) => {
  const flags = new Bits(length);
  for (const start of odd) flags.flip(start);
  const partition = new Partition(new Bits(length), blockBits, undefined);
  return { partition, odd: flags, oddCount: odd.length, toldBlocks: partition.blocks };
};

describe("the odd intervals of a pass", () => {
  test("are found by their flags, and cut once where one level is wanted", () => {
    const pass = passOf(100, 16, [0, 32, 96]);
    expect(oddStarts(pass)).toEqual([0, 32, 96]);
    expect(cutsOf(pass, 1)).toEqual([0, 32, 96]);
    expect(
      sizeOf([
        { pass, starts: [0, 32] },
        { pass, starts: [96] },
      ]),
    ).toBe(3);
  });

  test("are cut level by level, a whole before its halves, and no single bit at all", () => {
    expect(cutsOf(passOf(100, 16, [16]), 2)).toEqual([16, 16, 24]);
    expect(cutsOf(passOf(100, 16, [96]), 6)).toEqual([96, 96, 98]);
    expect(cutsOf(passOf(6, 3, [3]), 6)).toEqual([3, 4]);
  });

  test("are asked of as far as one message goes, passes in order and none that is empty", () => {
    const many = Array.from({ length: MAX_QUESTIONS - 1 }, (_, at) => 2 * at);
    const [full, next, last] = [passOf(2 * MAX_QUESTIONS, 2, many), passOf(8, 2, [0, 4]), passOf(8, 2, [2])];
    const cuts = cutsOfAll([full, next, last], 1, false);
    expect(cuts.map(({ pass, starts }) => [pass === next, starts.length])).toEqual([
      [false, MAX_QUESTIONS - 1],
      [true, 1],
    ]);
  });

  test("with patience only those are asked of that are not much longer than the shortest", () => {
    const passes = [passOf(2048, 2, [4, 8]), passOf(2048, 1024, [0]), passOf(2050, 1025, [1025])];
    expect(cutsOfAll(passes, 1, true).map(({ starts }) => starts)).toEqual([[4, 8], [0]]);
    expect(cutsOfAll(passes, 1, false).map(({ starts }) => starts)).toEqual([[4, 8], [0], [1025]]);
  });

  test.each([
    [0, 256, 6],
    [1, 0, 1],
    [1, 256, 6],
    [10, 256, 5],
    [100, 256, 2],
    [300, 256, 1],
  ])("%d of them, a round trip worth %d bits: %d levels at once", (odd, roundTripBits, levels) => {
    expect(levelsFor(odd, roundTripBits)).toBe(levels);
  });
});
