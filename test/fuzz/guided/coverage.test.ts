import { afterAll, expect, test } from "vitest";
import { Coverage } from "./coverage.ts";

const coverage = new Coverage((url) => url.endsWith("/planted.ts"));
const { planted } = await import("./planted.ts");
afterAll(() => coverage.stop());

test("what runs in a way that it never ran before is new, once; other code does not count", () => {
  coverage.take();
  const isNew = (...bytes: number[]): boolean => {
    planted(Uint8Array.from(bytes));
    return coverage.take();
  };
  expect(isNew(0)).toBe(true);
  expect(isNew(0)).toBe(false);
  expect(isNew(1, 2, 3)).toBe(false);
  const before = coverage.blocks.size;
  expect(isNew(0x7f)).toBe(true);
  expect(isNew(0x7f, 1)).toBe(false);
  expect(isNew(0x7f, 0x80)).toBe(true);
  expect(coverage.blocks.size).toBeGreaterThan(before);
  for (let i = 0; i < 100; i++) JSON.parse("[1]");
  expect(coverage.take()).toBe(false);
});

test("a block counts once, however it is reached and with what", () => {
  coverage.forget();
  const isNew = (...inputs: number[][]): boolean => {
    for (const bytes of inputs) planted(Uint8Array.from(bytes));
    return coverage.takeBlocks();
  };
  expect(isNew([0])).toBe(true);
  expect(isNew([0], [0], [1])).toBe(false);
  expect(isNew([0], [0x7f], [1])).toBe(true);
  expect(isNew([0x7f], [0x7f, 1])).toBe(false);
  expect(isNew([0x7f, 0x80])).toBe(true);
});

test("what was forgotten is new again", () => {
  planted(new Uint8Array(2));
  coverage.forget();
  expect(coverage.blocks.size).toBe(0);
  planted(new Uint8Array(2));
  expect(coverage.take()).toBe(true);
  planted(new Uint8Array(2));
  expect(coverage.take()).toBe(false);
});

test("much more often is another way, a little more is none", () => {
  const isNew = (times: number): boolean => {
    for (let i = 0; i < times; i++) planted(new Uint8Array(1));
    return coverage.take();
  };
  isNew(1);
  expect(isNew(5)).toBe(true);
  expect(isNew(6)).toBe(false);
  expect(isNew(20)).toBe(true);
  expect(isNew(0)).toBe(false);
});
