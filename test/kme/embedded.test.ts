import { describe, expect, test } from "vitest";
import { embedded, type Shelf } from "../../src/kme/embedded.ts";
import { emptyIndex, memoryBackend } from "../../src/kme/memory.ts";
import { type Changes, NOTHING } from "../../src/kme/records.ts";

const block = (at: number, fill = 1) => ({ key: new Uint8Array(4).fill(fill), at });

describe("a piece of work", () => {
  test("sees its own changes, and nobody else does before it is done", async () => {
    const backend = memoryBackend();
    await backend.transact(async (records) => {
      records.put("outgoing", "one", block(1));
      records.put("outgoing", "two", block(2));
      records.remove("outgoing", "one");
      expect(await records.has("outgoing", "one")).toBe(false);
      expect(await records.get("outgoing", "one")).toBeUndefined();
      expect(await records.get("outgoing", "two")).toEqual(block(2));
      expect(await records.oldest("outgoing", 9)).toEqual(["two"]);
      expect(await records.size("outgoing")).toBe(1);
      expect(backend.size("outgoing")).toBe(0);
    });
    expect(backend.size("outgoing")).toBe(1);
  });

  test("that fails leaves nothing behind, and the next one is done", async () => {
    const backend = memoryBackend();
    const failing = backend.transact(async (records) => {
      records.put("outgoing", "one", block(1));
      records.count("made", 1);
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(backend.size("outgoing")).toBe(0);
    expect(backend.tally).toEqual(NOTHING);
    expect(await backend.transact(async () => "next")).toBe("next");
  });

  test("is done alone: two that take the same row do not both get it", async () => {
    const backend = memoryBackend();
    await backend.transact(async (records) => records.put("held", "k", { ...block(1), ...HELD }));
    const take = () =>
      backend.transact(async (records) => {
        const row = await records.get("held", "k");
        await new Promise((resolve) => setImmediate(resolve));
        if (row !== undefined) records.remove("held", "k");
        return row !== undefined;
      });
    expect(await Promise.all([take(), take(), take()])).toEqual([true, false, false]);
  });

  test("finds the oldest first, up to a moment", async () => {
    const backend = memoryBackend();
    await backend.transact(async (records) => {
      for (const at of [1, 2, 3, 4]) records.put("incoming", `at ${at}`, block(at));
    });
    await backend.transact(async (records) => {
      records.remove("incoming", "at 1");
      records.put("incoming", "at 5", block(5));
      expect(await records.oldest("incoming", 2)).toEqual(["at 2", "at 3"]);
      expect(await records.oldest("incoming", 9, 3)).toEqual(["at 2", "at 3"]);
      expect(await records.oldest("incoming", 9)).toEqual(["at 2", "at 3", "at 4", "at 5"]);
      expect(await records.oldest("incoming", 0)).toEqual([]);
      expect(await records.oldest("incoming", -3)).toEqual([]);
    });
  });

  test("tells at the moment when others see its changes, and never when it fails", async () => {
    const backend = memoryBackend();
    const seen: number[] = [];
    await backend.transact(async (records) => {
      records.put("outgoing", "one", block(1));
      records.afterwards(() => seen.push(backend.size("outgoing")));
      expect(seen).toEqual([]);
    });
    const failing = backend.transact(async (records) => {
      records.put("outgoing", "two", block(1));
      records.afterwards(() => seen.push(2));
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(seen).toEqual([1]);
  });

  test("is refused once the backend is closed", async () => {
    const backend = memoryBackend();
    await backend.close();
    await expect(backend.transact(async () => 1)).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
    await backend.close();
  });
});

const HELD = { master: "m", slaves: ["s"], waiting: ["s"], blocks: 1 };

describe("a shelf that fails", () => {
  test("fails the work whose changes it could not write, and the result does not leave", async () => {
    const written: Changes[] = [];
    let failure: Error | undefined;
    const shelf: Shelf = {
      read: () => {
        throw new Error("not there");
      },
      write: async (changes) => {
        if (failure !== undefined) throw failure;
        written.push(changes);
      },
      close: async () => undefined,
    };
    const backend = embedded(shelf, emptyIndex(), NOTHING);
    const work = () =>
      backend.transact(async (records) => {
        records.put("outgoing", "one", block(1));
        records.count("made", 1);
      });
    await work();
    failure = new Error("full");
    await expect(work()).rejects.toThrow("full");
    expect(written).toHaveLength(1);
    // What is counted is what would outlast a crash; and what changes nothing is not written.
    expect(backend.tally).toEqual({ ...NOTHING, made: 1 });
    expect(await backend.transact((records) => records.has("outgoing", "one"))).toBe(true);
  });
});
