import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { NOTHING } from "../../src/kme/records.ts";
import { type KeyStore, openKeyStore } from "../../src/kme/store.ts";
import { fuzz } from "../support/fuzz.ts";
import { block, held, ids, KEY, postgresStores, put, SECRET } from "../support/postgres-stores.ts";

const stores = await postgresStores();
const { isThere, server, sql, open, closeLater } = stores;
const database = () => new URL(stores.url()).pathname.slice(1);

describe.runIf(isThere)("records in PostgreSQL", () => {
  test("are there again with what was counted, oldest first, and for other processes at once", async () => {
    const [one, two] = [await open(), await open()];
    await put(one, "z", "a");
    await one.transact(async (records) => {
      records.put("held", "h", { ...block(4), ...held(["t"]) });
      records.put("doubt", "d", { ...block(5), blocks: ["x"] });
      records.remove("outgoing", "nothing");
      records.count("lost", 1);
    });
    expect(await ids(two)).toEqual(["z", "a"]);
    expect(two.tally).toEqual({ ...NOTHING, made: 2, lost: 1 });
    expect([two.size("outgoing"), two.size("held"), two.size("doubt")]).toEqual([2, 1, 1]);
    await one.close();
    const again = await open();
    await again.transact(async (records) => {
      expect(await records.get("held", "h")).toEqual({ ...block(4), ...held(["t"]) });
      expect(await records.get("doubt", "d")).toEqual({ ...block(5), blocks: ["x"] });
      expect(await records.size("outgoing")).toBe(2);
    });
    expect(again.tally).toEqual(two.tally);
    await again.close();
    await expect(ids(again)).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
  });

  test("that are changed at once share a transaction; what fails leaves nothing, and the others go on", async () => {
    const backend = await open();
    const all = await Promise.allSettled([
      put(backend, "one"),
      backend.transact(async (records) => {
        records.put("outgoing", "two", block(2));
        expect(await records.has("outgoing", "one")).toBe(true);
        throw new RangeError("no");
      }),
      put(backend, "three"),
      backend.transact((records) => records.has("outgoing", "two")),
    ]);
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(all[3]).toMatchObject({ value: false });
    expect(await ids(backend)).toEqual(["one", "three"]);
    expect(backend.tally.made).toBe(2);
  });

  test("are encrypted: neither a key nor a name of an SAE is in the database", async () => {
    const backend = await open();
    await put(backend, "one");
    await backend.transact(async (records) => records.put("held", "k", { ...block(1), ...held(["s"]) }));
    const rows = await sql(
      "SELECT r::text FROM qkd_tls.record r UNION ALL SELECT s::text FROM qkd_tls.store s",
    );
    const text = rows.map(({ r }) => String(r)).join();
    expect(text).toContain("one");
    for (const secret of [SECRET, Buffer.from("the-master"), KEY])
      expect(text).not.toContain(Buffer.from(secret).toString("hex"));
  });

  test("of two ends of a link do not mix", async () => {
    const [a, b] = [await open({ name: "a" }), await open({ name: "b" })];
    await put(a, "one");
    expect([await ids(a), await ids(b)]).toEqual([["one"], []]);
  });

  test("are written durably whatever the server's own setting is", async () => {
    await sql(`ALTER DATABASE ${database()} SET synchronous_commit = off`);
    const backend = await open();
    await put(backend, "one");
    await server.stop("at once");
    await server.start();
    expect(await ids(await open())).toEqual(["one"]);
  });
});

describe.runIf(isThere)("two KME processes over one store", () => {
  const ROUNDS = fuzz(40).numRuns;
  const KEYS = 10;
  const storeKey = new Uint8Array(32).fill(7);

  /** A store with keys that wait for `s`; their ids. */
  async function stocked(
    count: number,
  ): Promise<{ readonly store: KeyStore; readonly waiting: readonly string[] }> {
    let sink: any;
    const feed = { simulated: true, blockBytes: 32, start: (to: any) => (sink = to), stop: () => undefined };
    const place = { url: stores.url(), name: "b", key: storeKey };
    const store = await openKeyStore({ feed, place, maxStored: count, maxHeld: count });
    closeLater(store);
    const waiting = Array.from({ length: count }, () => crypto.randomUUID());
    for (const [n, id] of waiting.entries()) {
      sink.put("incoming", { id: `block of ${id}`, key: new Uint8Array(32).fill(1 + (n % 255)) });
    }
    const keys = waiting.map((id) => ({ id, blocks: [`block of ${id}`] }));
    expect(await store.accept({ master: "m", slaves: ["s"], bytes: 32, keys })).toBe(true);
    return { store, waiting };
  }

  async function kme() {
    const child = fork("test/support/postgres-end.mjs", [stores.url(), "b"], { execArgv: [] });
    const gone = once(child, "exit");
    const asked = new Map<string, (keys: string | string[]) => void>();
    const opened = new Promise((resolve) => asked.set("open", resolve));
    child.on("message", ({ id, keys }: any) => asked.get(id)?.(keys));
    child.on("exit", () => {
      for (const answer of asked.values()) answer("gone");
    });
    await opened;
    let number = 0;
    return {
      deliver: (of: readonly string[]) =>
        new Promise<string | string[]>((resolve) => {
          const id = String(number++);
          asked.set(id, resolve);
          child.send({ id, slave: "s", master: "m", ids: of }, (error) => error && resolve("gone"));
        }),
      async end() {
        child.kill("SIGKILL");
        await gone;
      },
    };
  }

  test(`that race for the same key_IDs give each once (${ROUNDS * KEYS} keys, each asked for four times)`, async () => {
    const { store, waiting } = await stocked(ROUNDS * KEYS);
    const [one, two] = await Promise.all([kme(), kme()]);
    try {
      const answers = await Promise.all(
        waiting.flatMap((id) => [one, two, one, two].map((each) => each.deliver([id]))),
      );
      for (let at = 0; at < answers.length; at += 4) {
        const four = answers.slice(at, at + 4);
        expect(four.filter((each) => typeof each !== "string")).toHaveLength(1);
        expect(four.filter((each) => each === "unknown")).toHaveLength(3);
      }
      expect(await store.deliver("s", "m", [waiting[0]!])).toBe("unknown");
      expect(store.counters).toMatchObject({ made: waiting.length, delivered: waiting.length, waiting: 0 });
    } finally {
      await Promise.all([one.end(), two.end()]);
    }
  });
});
