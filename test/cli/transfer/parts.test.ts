import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sweepParts } from "../../../src/cli/transfer/parts.ts";
import { directory, tree } from "./bed.ts";

const NOW_MS = Date.UTC(2026, 0, 10);
const DAY_MS = 86_400_000;

/** A file of so many bytes, last written to so many days ago. */
function aged(path: string, bytes: number, days: number): void {
  writeFileSync(path, Buffer.alloc(bytes));
  const then = new Date(NOW_MS - days * DAY_MS);
  utimesSync(path, then, then);
}

test("old unfinished files go, young ones and all others stay, at any depth", async () => {
  const root = directory();
  mkdirSync(join(root, "a/b"), { recursive: true });
  aged(join(root, ".film.0123456789abcdef.part"), 10, 8);
  aged(join(root, "a/b/.x.fedcba9876543210.part"), 5, 30);
  aged(join(root, "a/.y.0123456789abcdef.part"), 3, 6);
  aged(join(root, "film.part"), 7, 99);
  aged(join(root, ".film.0123.part"), 7, 99);
  mkdirSync(join(root, ".d.0123456789abcdef.part"));
  expect(await sweepParts(root, NOW_MS - 7 * DAY_MS)).toEqual({
    kept: { files: 1, bytes: 3 },
    removed: { files: 2, bytes: 15 },
  });
  expect(tree(root)).toEqual([
    ".d.0123456789abcdef.part/",
    ".film.0123.part",
    "a/",
    "a/.y.0123456789abcdef.part",
    "a/b/",
    "film.part",
  ]);
});

test("a symbolic link is neither followed nor removed", async () => {
  const [root, elsewhere] = [directory(), directory()];
  aged(join(elsewhere, ".x.0123456789abcdef.part"), 1, 99);
  symlinkSync(elsewhere, join(root, "out"));
  symlinkSync(join(elsewhere, ".x.0123456789abcdef.part"), join(root, ".y.0123456789abcdef.part"));
  const nothing = { files: 0, bytes: 0 };
  expect(await sweepParts(root, NOW_MS)).toEqual({ kept: nothing, removed: nothing });
  expect(tree(elsewhere)).toEqual([".x.0123456789abcdef.part"]);
});

test("a directory that is missing holds none, and one without end holds nobody up", async () => {
  const root = directory();
  const nothing = { files: 0, bytes: 0 };
  expect(await sweepParts(join(root, "none"), NOW_MS)).toEqual({ kept: nothing, removed: nothing });
  for (const name of ["1", "2", "3"]) aged(join(root, `.${name}.0123456789abcdef.part`), 1, 99);
  expect((await sweepParts(root, NOW_MS, 2)).removed.files).toBe(2);
});
