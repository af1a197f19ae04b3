/** Unfinished files that nobody came back for. */
import type { Dirent } from "node:fs";
import { lstat, opendir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isPart } from "./path.ts";

/** Entries looked at, so that a directory of any size holds nobody up. */
const MAX_ENTRIES = 200_000;

/** How much there is of unfinished files. */
export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export interface Parts {
  readonly kept: Amount;
  readonly removed: Amount;
}

/**
 * Removes the unfinished files below a directory that were last written to before a time, and counts the others.
 * Follows no symbolic links; what cannot be read or removed is passed over. The directory may be missing.
 */
export async function sweepParts(
  directory: string,
  beforeMs: number,
  maxEntries = MAX_ENTRIES,
): Promise<Parts> {
  const found = { kept: { files: 0, bytes: 0 }, removed: { files: 0, bytes: 0 } };
  const directories = [directory];
  let left = maxEntries;
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    for await (const entry of entriesOf(next)) {
      if (left-- === 0) return found;
      const path = join(next, entry.name);
      if (entry.isDirectory()) directories.push(path);
      if (!entry.isFile() || !isPart(entry.name)) continue;
      const size = await considered(path, beforeMs);
      if (size === undefined) continue;
      const amount = size.removed ? found.removed : found.kept;
      amount.files++;
      amount.bytes += size.bytes;
    }
  }
  return found;
}

/** Removes an old one; undefined when it cannot be had. */
async function considered(
  path: string,
  beforeMs: number,
): Promise<{ readonly bytes: number; readonly removed: boolean } | undefined> {
  try {
    const { mtimeMs, size } = await lstat(path);
    if (mtimeMs >= beforeMs) return { bytes: size, removed: false };
    await rm(path);
    return { bytes: size, removed: true };
  } catch {
    return undefined;
  }
}

async function* entriesOf(directory: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(directory);
  } catch {
    // Missing, or not ours to read.
  }
}
