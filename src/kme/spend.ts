/** How blocks and keys leave their tables: each is counted once. */

import { wipe } from "../protocol/bytes.ts";
import type { Direction } from "./feed.ts";
import type { Transaction } from "./records.ts";

/** Takes blocks out of a table and joins them to a key; what is left over of them is wiped. No key when one lacks. */
export async function join(
  records: Transaction,
  direction: Direction,
  ids: readonly string[],
  bytes: number,
): Promise<{ readonly key?: Uint8Array; readonly found: number }> {
  const key = new Uint8Array(bytes);
  let at = 0;
  let found = 0;
  for (const id of ids) {
    const block = await records.get(direction, id);
    if (block === undefined) continue;
    records.remove(direction, id);
    const part = block.key.subarray(0, bytes - at);
    key.set(part, at);
    at += part.length;
    found++;
    wipe(block.key);
  }
  if (found === ids.length && at === bytes) return { key, found };
  wipe(key);
  return { found };
}

/** Why a block is not there any more without having been delivered. */
type Fate = "expired" | "wasted" | "lost";

/** Wipes the blocks of these that are there. */
export async function discard(
  records: Transaction,
  direction: Direction,
  ids: readonly string[],
  fate: Fate,
): Promise<void> {
  for (const id of ids) {
    if (!(await records.has(direction, id))) continue;
    records.remove(direction, id);
    records.count(fate, 1);
  }
}

/** Wipes a key that waits, if it does. */
export async function forget(records: Transaction, id: string, fate: Fate): Promise<void> {
  const row = await records.get("held", id);
  if (row === undefined) return;
  wipe(row.key);
  records.remove("held", id);
  records.count("waiting", -row.blocks);
  records.count(fate, row.blocks);
}
