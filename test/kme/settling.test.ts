import { expect, test } from "vitest";
import { memoryBackend } from "../../src/kme/memory.ts";
import { NOTHING } from "../../src/kme/records.ts";
import { Settling } from "../../src/kme/settling.ts";
import type { KmeLink } from "../../src/kme/issue.ts";
import { clock } from "../support/scripted-source.ts";

/** Two blocks, and a key in doubt that was made of a third. */
async function setUp(isShared: boolean) {
  const backend = memoryBackend();
  const time = clock();
  const settling = new Settling({
    isShared,
    now: time.now,
    work: (wanted, work) => backend.transact(work, wanted),
  });
  await backend.transact(async (records) => {
    for (const id of ["one", "two"]) records.put("outgoing", id, { key: new Uint8Array(4), at: time.now() });
    records.put("doubt", "key", { key: new Uint8Array(), at: time.now(), blocks: ["three"] });
    records.count("doubtful", 1);
  });
  const told: string[] = [];
  const link: KmeLink = {
    announce: async () => undefined,
    withdraw: async (keys) => void told.push(`withdraw ${keys.map(({ id }) => id).join()}`),
    agree: async (blocks) => {
      told.push(`agree ${blocks.join()}`);
      return [];
    },
  };
  const notice = () => backend.transact((records) => settling.notice(records));
  return { backend, settling, time, told, link, notice };
}
const KEY = [{ id: "key", blocks: ["three"] }];

test("after a start a key in doubt is withdrawn, once; then there is nothing to settle", async () => {
  const { backend, settling, told, link } = await setUp(false);
  expect(await Promise.all([settling.settle(link), settling.settle(link)])).toEqual([true, true]);
  expect(await settling.settle(link)).toBe(true);
  expect(told).toEqual(["withdraw key", "agree one,two"]);
  expect(backend.tally).toEqual({ ...NOTHING, lost: 1 });
});

test("a key that we are announcing is not in doubt, until that fails", async () => {
  const { settling, told, link } = await setUp(true);
  settling.begin(KEY);
  expect(await settling.settle(link)).toBe(true);
  expect(told.splice(0)).toEqual(["agree one,two,three"]);
  settling.fail(KEY);
  settling.end(KEY);
  expect(await settling.settle(link)).toBe(true);
  expect(told).toEqual(["withdraw key", "agree one,two"]);
});

test("another process gets time to announce; what it leaves behind is noticed", async () => {
  const { settling, time, told, link, notice } = await setUp(true);
  expect(await settling.settle(link)).toBe(true);
  await notice();
  expect(await settling.settle(link)).toBe(true);
  expect(told.splice(0)).toEqual(["agree one,two,three"]);
  time.add(30_000);
  await notice();
  expect(await settling.settle(link)).toBe(true);
  expect(told).toEqual(["withdraw key", "agree one,two"]);
});

test("an other end that cannot be reached leaves all as it is, and is asked again", async () => {
  const { backend, settling, told, link } = await setUp(false);
  const away = { ...link, withdraw: () => Promise.reject(new Error("away")) };
  expect(await settling.settle(away)).toBe(false);
  expect(backend.tally.doubtful).toBe(1);
  expect(await settling.settle(link)).toBe(true);
  expect(told).toEqual(["withdraw key", "agree one,two"]);
});

test("what gives reason to doubt while notes are compared is settled by the next comparison", async () => {
  const { settling, told, link } = await setUp(false);
  const busy: KmeLink = {
    ...link,
    agree: (blocks) => {
      settling.doubt();
      return link.agree(blocks);
    },
  };
  expect(await settling.settle(busy)).toBe(true);
  expect(await settling.settle(link)).toBe(true);
  expect(told).toEqual(["withdraw key", "agree one,two", "agree one,two"]);
});
