import { expect, test } from "vitest";
import { memoryBackend } from "../../src/kme/memory.ts";
import { NOTHING, type Rows, type Transaction } from "../../src/kme/records.ts";
import { type Ground, Work } from "../../src/kme/transaction.ts";
import { isWiped } from "../support/scripted-source.ts";

const block = (at: number) => ({ key: new Uint8Array(4).fill(1), at });

/** Three old blocks to stand on. */
const upon = <T>(work: (ground: Ground) => Promise<T>): Promise<T> => {
  const backend = memoryBackend();
  return backend
    .transact(async (records) => {
      for (const at of [1, 2, 3]) records.put("outgoing", `at ${at}`, block(at));
    })
    .then(() => backend.transact((records: Transaction) => work(records as Work)));
};

test("what work upon work has done is seen by neither ground before it is adopted, and by both afterwards", () =>
  upon(async (ground) => {
    const all = new Work(ground, NOTHING);
    const own = new Work(all, all.tally);
    own.remove("outgoing", "at 1");
    own.put("outgoing", "at 4", block(4));
    own.count("made", 1);
    own.afterwards(() => undefined);
    expect(await own.oldest("outgoing", 9)).toEqual(["at 2", "at 3", "at 4"]);
    expect(await own.oldest("outgoing", 9, 2)).toEqual(["at 2"]);
    expect(await own.oldest("outgoing", 1)).toEqual(["at 2"]);
    expect([await own.size("outgoing"), await all.size("outgoing")]).toEqual([3, 3]);
    expect([await all.has("outgoing", "at 1"), await all.has("outgoing", "at 4")]).toEqual([true, false]);
    expect([all.changed, all.tally.made, all.callbacks.length]).toEqual([false, 0, 0]);
    all.adopt(own);
    expect([await all.has("outgoing", "at 1"), await all.has("outgoing", "at 4")]).toEqual([false, true]);
    expect([all.changed, all.tally.made, all.callbacks.length]).toEqual([true, 1, 1]);
    const next = new Work(all, all.tally);
    expect(await next.oldest("outgoing", 9)).toEqual(["at 2", "at 3", "at 4"]);
    expect(await next.get("outgoing", "at 4")).toEqual(block(4));
  }));

test("a row that later work replaces or removes is wiped; so is all that was never made", () =>
  upon(async (ground) => {
    const all = new Work(ground, NOTHING);
    const rows: Rows["outgoing"][] = [block(5), block(6), block(7)];
    all.put("outgoing", "five", rows[0]!);
    all.put("outgoing", "six", rows[1]!);
    const later = new Work(all, all.tally);
    later.remove("outgoing", "five");
    later.put("outgoing", "six", rows[2]!);
    all.adopt(later);
    expect(rows.map(({ key }) => isWiped(key))).toEqual([true, true, false]);
    all.wipe();
    expect(isWiped(rows[2]!.key)).toBe(true);
  }));
