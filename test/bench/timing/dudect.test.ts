import { describe, expect, test } from "vitest";
import { examine, welch } from "./dudect.ts";

describe("Welch's t", () => {
  test("is the difference of the means over its standard error", () => {
    expect(welch([1, 2, 3, 4, 5], [2, 3, 4, 5, 6])).toBeCloseTo(-1, 12);
    expect(welch([27.5, 21, 19, 23.6, 17], [27.1, 22, 20.8, 23.4])).toBeCloseTo(-0.746_256_44, 8);
  });

  test("is 0 where nothing varies or too little was measured", () => {
    expect([welch([3, 3], [3, 3]), welch([1], [2, 3]), welch([], [])]).toEqual([0, 0, 0]);
  });
});

test("both kinds are prepared and measured, about as often, and each run follows its preparation", () => {
  const prepared = [0, 0];
  let runs = 0;
  let ready = false;
  const { measurements } = examine(
    {
      name: "counts",
      calls: 2,
      prepare(kind) {
        prepared[kind]!++;
        ready = true;
      },
      run() {
        if (!ready) throw new Error("it was not prepared");
        runs++;
      },
    },
    0,
  );
  expect(runs).toBe(2 * (prepared[0]! + prepared[1]!));
  expect(measurements).toBeLessThan(prepared[0]! + prepared[1]!);
  // A coin decides: a hundred times the standard deviation lies between.
  for (const count of prepared) expect(count).toBeGreaterThan(1000);
});
