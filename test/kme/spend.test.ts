import { beforeEach, describe, expect, test } from "vitest";
import { memoryBackend } from "../../src/kme/memory.ts";
import { type Backend, NOTHING } from "../../src/kme/records.ts";
import { discard, forget, join } from "../../src/kme/spend.ts";

let backend: Backend;
beforeEach(async () => {
  backend = memoryBackend();
  await backend.transact(async (records) => {
    for (const [n, id] of ["one", "two", "three"].entries()) {
      records.put("outgoing", id, { key: new Uint8Array(4).fill(n + 1), at: n });
    }
  });
});
const left = () => backend.transact((records) => records.oldest("outgoing", Infinity));

describe("joining", () => {
  test.each([
    [["one"], 4, "01010101"],
    [["two", "one"], 8, "0202020201010101"],
    [["one", "two"], 6, "010101010202"],
  ])("%j to %d bytes takes the blocks in this order and leaves none of them", async (ids, bytes, hex) => {
    const { key, found } = await backend.transact((records) => join(records, "outgoing", ids, bytes));
    expect(Buffer.from(key!).toString("hex")).toBe(hex);
    expect(found).toBe(ids.length);
    expect(await left()).toEqual(["one", "two", "three"].filter((id) => !ids.includes(id)));
  });

  test.each([
    ["a block that is not there", ["one", "four"], 8, 1],
    ["one block twice", ["one", "one"], 8, 1],
    ["too few blocks", ["one"], 5, 1],
    ["no block", [], 4, 0],
  ])("%s gives no key, and spends what was found", async (_, ids, bytes, found) => {
    const joined = await backend.transact((records) => join(records, "outgoing", ids, bytes));
    expect(joined).toEqual({ found });
    expect(await left()).toHaveLength(3 - found);
  });
});

test("discarding counts what was there, and once", async () => {
  const ids = ["one", "four", "one", "two"];
  await backend.transact((records) => discard(records, "outgoing", ids, "expired"));
  expect(await left()).toEqual(["three"]);
  expect(backend.tally).toEqual({ ...NOTHING, expired: 2 });
});

test("forgetting a key counts its blocks, unless somebody has taken it or it is not there", async () => {
  const key = { master: "m", slaves: ["s", "t"], at: 0 };
  await backend.transact(async (records) => {
    records.put("held", "untaken", { ...key, key: new Uint8Array(4), waiting: ["s", "t"], blocks: 3 });
    records.put("held", "taken", { ...key, key: new Uint8Array(4), waiting: ["t"], blocks: 0 });
    records.count("waiting", 3);
  });
  await backend.transact(async (records) => {
    for (const id of ["untaken", "taken", "none"]) await forget(records, id, "wasted");
  });
  expect(backend.size("held")).toBe(0);
  expect(backend.tally).toEqual({ ...NOTHING, wasted: 3 });
});
