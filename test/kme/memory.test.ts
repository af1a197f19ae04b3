import { expect, test } from "vitest";
import { memoryBackend } from "../../src/kme/memory.ts";
import { isWiped } from "../support/scripted-source.ts";

const block = (fill: number) => ({ key: new Uint8Array(4).fill(fill), at: 1 });

test("rows are handed out as copies, and wiped when they go or are replaced", async () => {
  const backend = memoryBackend();
  const [one, two] = [block(1), block(2)];
  await backend.transact(async (records) => records.put("outgoing", "one", one));
  const copy = await backend.transact((records) => records.get("outgoing", "one"));
  await backend.transact(async (records) => records.put("outgoing", "one", two));
  expect([isWiped(one.key), isWiped(two.key)]).toEqual([true, false]);
  await backend.transact(async (records) => records.remove("outgoing", "one"));
  expect(isWiped(two.key)).toBe(true);
  expect(copy).toEqual(block(1));
});

test("a backend that closes wipes what it holds", async () => {
  const backend = memoryBackend();
  const row = block(1);
  await backend.transact(async (records) => records.put("incoming", "one", row));
  await backend.close();
  expect(isWiped(row.key)).toBe(true);
  expect(backend.size("incoming")).toBe(0);
});
