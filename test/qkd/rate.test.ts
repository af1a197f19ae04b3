import { expect, test } from "vitest";
import { rateLimit } from "../../src/qkd/rate.ts";
import { clock } from "../support/scripted-source.ts";

test("so many at once, then at that rate, for each name alone", () => {
  const time = clock();
  const may = rateLimit(6, time.now);
  expect(Array.from({ length: 8 }, () => may("a"))).toEqual([
    true,
    true,
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(may("b")).toBe(true);
  time.add(9_999);
  expect(may("a")).toBe(false);
  time.add(1);
  expect([may("a"), may("a")]).toEqual([true, false]);
  time.add(3_600_000);
  expect(Array.from({ length: 7 }, () => may("a"))).toEqual([true, true, true, true, true, true, false]);
});

test("remembers a bounded number of names, the latest", () => {
  const may = rateLimit(1, clock().now);
  may("old");
  for (let n = 0; n < 4095; n++) may(`other ${n}`);
  expect(may("old")).toBe(false);
  for (let n = 0; n < 4096; n++) may(`another ${n}`);
  expect(may("another 4095")).toBe(false);
  expect(may("old")).toBe(true);
});
