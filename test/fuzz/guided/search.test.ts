import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { toHex } from "../../../src/protocol/bytes.ts";
import { Coverage } from "./coverage.ts";
import { search, type Target } from "./search.ts";

const coverage = new Coverage((url) => url.endsWith("/planted.ts"));
const { planted } = await import("./planted.ts");
afterAll(() => coverage.stop());

const few: Omit<Target, "run"> = { name: "few bytes", seeds: () => [new Uint8Array(8)], maxBytes: 8 };

describe("what needs four right bytes, of which each leads one step further,", () => {
  const target: Target = { ...few, run: planted };

  test("is found by a search that sees where its inputs lead", () => {
    const { findings, corpus } = search(target, coverage, { seed: 1, inputs: 8000, findings: 1 });
    expect(findings).toMatchObject([
      { input: expect.stringMatching(/^7f80ff01/), error: { message: "found" } },
    ]);
    // One more for each byte on the way.
    expect(corpus).toBeGreaterThan(3);
  });

  test("is not found by the same search without its eyes, in five times as many", () => {
    const { findings, corpus, inputs } = search(target, undefined, { seed: 1, inputs: 40_000 });
    expect({ findings, corpus, inputs }).toEqual({ findings: [], corpus: 1, inputs: 40_000 });
  });
});

describe("a search", () => {
  test("tries the seeds first, and for the same seed the same inputs", () => {
    const tried = (seed: number): string[] => {
      const inputs: string[] = [];
      const seeds = () => [Uint8Array.of(1, 2, 3), Uint8Array.of(4)];
      search({ ...few, seeds, run: (input) => inputs.push(toHex(input)) }, undefined, { seed, inputs: 300 });
      return inputs;
    };
    const first = tried(7);
    expect(first.slice(0, 2)).toEqual(["010203", "04"]);
    expect(tried(7)).toEqual(first);
    expect(tried(8)).not.toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(100);
    expect(Math.max(...first.map((hex) => hex.length / 2))).toBe(8);
  });

  test("tells two faults from one that it meets again", () => {
    const run = (input: Uint8Array): void => {
      if ((input[0] ?? 0) > 200) throw new TypeError(`first ${input.length}`);
      if ((input[1] ?? 0) > 200) throw new RangeError(`second ${input.length}`);
    };
    const { findings, inputs } = search({ ...few, run }, undefined, { seed: 1, inputs: 2000 });
    expect(findings.map(({ error }) => (error as Error).name).sort()).toEqual(["RangeError", "TypeError"]);
    expect(inputs).toBe(2000);
  });

  test("finds an input that takes more memory than any should", () => {
    const kept: Uint8Array[] = [];
    const run = (input: Uint8Array): void => {
      if ((input[0] ?? 0) > 0) kept.push(new Uint8Array(100 * 2 ** 20));
    };
    const { findings } = search({ ...few, run }, undefined, { seed: 1, inputs: 1000, findings: 1 });
    expect(String(findings[0]?.error)).toMatch(/bytes of memory for/);
    expect(kept).toHaveLength(1);
  });

  test("keeps what led further in a directory, and begins with it the next time", () => {
    const directory = mkdtempSync(join(tmpdir(), "qkd-tls-search-"));
    try {
      let calls = 0;
      const guide = { take: () => ++calls % 3 === 0, takeBlocks: () => false };
      const target = { ...few, run: () => undefined };
      const { corpus } = search(target, guide, { seed: 1, inputs: 100, directory });
      const files = readdirSync(directory);
      expect(files.length).toBeGreaterThan(3);
      expect(corpus).toBe(files.length + 1);
      const again = search(target, undefined, { seed: 1, inputs: 100, directory });
      expect(again.corpus).toBe(corpus);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
