import { fork } from "node:child_process";
import { once } from "node:events";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Content } from "../../src/kme/format.ts";
import { type PostgresOptions, postgresBackend } from "../../src/kme/postgres.ts";
import { type Backend, NOTHING } from "../../src/kme/records.ts";
import { type KeyStore, openKeyStore } from "../../src/kme/store.ts";
import { fuzz } from "../support/fuzz.ts";
import { postgresServer, type PostgresServer } from "../support/postgres.ts";

const started = await postgresServer();
if (typeof started === "string") console.log(`no test of PostgreSQL: ${started}`);
const isThere = typeof started !== "string";
const server = started as PostgresServer; // every test below is skipped without it
afterAll(() => (isThere ? server.close() : undefined));

const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);
const CONTENT: Content = { blockBytes: 8, simulated: true };
const SECRET = Uint8Array.from(Buffer.from("8Bytes!!"));
const block = (at: number) => ({ key: new Uint8Array(SECRET), at });
const held = (waiting: string[]) => ({ master: "the-master", slaves: ["s", "t"], waiting, blocks: 1 });

let database = "";
const backends: { close(): Promise<void> }[] = [];
beforeEach(async () => void (database = isThere ? await server.database() : ""));
afterEach(async () => {
  for (const backend of backends.splice(0)) await backend.close();
});

async function open(options: Partial<PostgresOptions> = {}, content = CONTENT): Promise<Backend> {
  const backend = await postgresBackend({ url: server.url(database), key: KEY, ...options }, content);
  backends.push(backend);
  return backend;
}
const put = (backend: Backend, ...ids: string[]): Promise<void> =>
  backend.transact(async (records) => {
    for (const [at, id] of ids.entries()) records.put("outgoing", id, block(at));
    records.count("made", ids.length);
  });
const ids = (backend: Backend): Promise<readonly string[]> =>
  backend.transact((records) => records.oldest("outgoing", Infinity));
const sql = (text: string) => server.sql(text, database);

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
    await sql(`ALTER DATABASE ${database} SET synchronous_commit = off`);
    const backend = await open();
    await put(backend, "one");
    await server.stop("at once");
    await server.start();
    expect(await ids(await open())).toEqual(["one"]);
  });
});

describe.runIf(isThere)("a store does not open", () => {
  const refused = (code: string, options: Partial<PostgresOptions> = {}, content = CONTENT) =>
    expect(open(options, content)).rejects.toMatchObject({ name: "StoreError", code });

  test("with another key, and its own opens it afterwards", async () => {
    await put(await open(), "one");
    await refused("ERR_STORE_KEY", { key: new Uint8Array(32) });
    await expect(open({ key: new Uint8Array(16) })).rejects.toMatchObject({ option: "key" });
    expect(await ids(await open())).toEqual(["one"]);
  });

  test("for another kind of link", async () => {
    await open();
    await refused("ERR_STORE_MISMATCH", {}, { ...CONTENT, blockBytes: 16 });
    await refused("ERR_STORE_MISMATCH", {}, { ...CONTENT, simulated: false });
  });

  test("of another version", async () => {
    await open();
    await sql("UPDATE qkd_tls.layout SET version = 2");
    await refused("ERR_STORE_VERSION");
  });

  test.each([
    ["a record is changed", "UPDATE qkd_tls.record SET sealed = sealed || '\\x00' WHERE id = 'two'"],
    ["a record is put under another id", "UPDATE qkd_tls.record SET id = 'other' WHERE id = 'two'"],
    ["a record stands in another table", "UPDATE qkd_tls.record SET kind = 'incoming' WHERE id = 'two'"],
    ["a record stands in no table", "UPDATE qkd_tls.record SET kind = 'note' WHERE id = 'two'"],
    ["a record seems younger", "UPDATE qkd_tls.record SET at = at + 1 WHERE id = 'two'"],
    ["a record is gone", "DELETE FROM qkd_tls.record WHERE id = 'two'"],
    ["the head is an older one", "UPDATE qkd_tls.store SET head = (SELECT head FROM before)"],
    [
      "a block that was taken is put back as it was",
      "INSERT INTO qkd_tls.record (store, kind, id, at, sealed) SELECT store, kind, id, at, sealed FROM taken",
    ],
    ["its version is gone", "DELETE FROM qkd_tls.layout"],
    ["a table is gone", "DROP TABLE qkd_tls.record"],
    ["its row is gone, and its records are not", "DELETE FROM qkd_tls.store"],
  ])("when %s", async (_, spoil) => {
    const backend = await open();
    await put(backend, "one", "two", "three");
    await sql("CREATE TABLE taken AS SELECT * FROM qkd_tls.record WHERE id = 'one'");
    await sql("CREATE TABLE before AS SELECT head FROM qkd_tls.store");
    await backend.transact(async (records) => records.remove("outgoing", "one"));
    await backend.close();
    await sql(spoil);
    await refused("ERR_STORE_CORRUPT");
  });

  test("on a server that may forget what it said it had written", async () => {
    await server.stop();
    await server.start(["fsync=off"]);
    try {
      await refused("ERR_STORE_UNWRITABLE");
    } finally {
      await server.stop();
      await server.start();
    }
  });

  test("where it may not make its tables", async () => {
    await sql(`CREATE ROLE reader_${database} LOGIN`);
    await refused("ERR_STORE_UNWRITABLE", {
      url: server.url(database).replace("postgres@", `reader_${database}@`),
    });
  });

  test("where no server is, and the password is in no error", async () => {
    const nowhere = `postgres://me:hush%20hush@127.0.0.1:1/db?password=hush%20hush`;
    const error = await open({ url: nowhere }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hush/);
    expect(String(error)).toContain("postgres://me@127.0.0.1:1/db");
    for (const url of ["mysql://u:hush@h/d", "hush", "postgres:hush"]) {
      const wrong = await open({ url }).catch((reason: unknown) => reason);
      expect(wrong).toMatchObject({ code: "ERR_OPTION_INVALID", option: "url" });
      expect(inspect(wrong)).not.toMatch(/hush/);
    }
    await expect(open({ name: "a/b" })).rejects.toMatchObject({ option: "name" });
  });

  test("twice at once from nothing: both find the same store", async () => {
    const both = await Promise.all([open(), open(), open()]);
    await Promise.all(both.map((backend, n) => put(backend, `block ${n}`)));
    expect(await ids(await open())).toHaveLength(3);
  });
});

describe.runIf(isThere)("a database that goes away", () => {
  test("fails what is asked then, and what is asked later is answered", async () => {
    const backend = await open();
    await put(backend, "one", "two");
    await server.stop("at once");
    await expect(ids(backend)).rejects.toMatchObject({ name: "StoreError", code: "ERR_STORE_UNREACHABLE" });
    expect(backend.failure).toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    await server.start();
    expect(await ids(backend)).toEqual(["one", "two"]);
    expect(backend.failure).toBeUndefined();
  });

  test("in the middle of a transaction undoes it", async () => {
    const backend = await open();
    await put(backend, "one");
    const work = backend.transact(async (records) => {
      const row = await records.get("outgoing", "one");
      records.remove("outgoing", "one");
      const others =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'";
      await sql(others);
      return row;
    });
    await expect(work).rejects.toMatchObject({ name: "StoreError", code: "ERR_STORE_UNREACHABLE" });
    expect(await ids(backend)).toEqual(["one"]);
  });

  test("or is locked by a process that stands still: the server ends its transaction, and others go on", async () => {
    const [stuck, other] = [await open({ timeoutMs: 300 }), await open()];
    let goOn = (): void => undefined;
    let failed: Promise<unknown> = Promise.resolve();
    await new Promise<void>((isLocked) => {
      failed = stuck
        .transact((records) => {
          records.put("outgoing", "late", block(1));
          isLocked();
          return new Promise<void>((resolve) => (goOn = resolve));
        })
        .catch((error: unknown) => error);
    });
    expect(await ids(other)).toEqual([]);
    goOn();
    expect(await failed).toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    expect(await ids(stuck)).toEqual([]);
  });

  test("or is locked for longer than we wait is a failure of what we asked", async () => {
    const [holder, waiter] = [await open(), await open({ timeoutMs: 100 })];
    let letGo = (): void => undefined;
    let holding: Promise<unknown> = Promise.resolve();
    await new Promise<void>((isLocked) => {
      holding = holder.transact(() => {
        isLocked();
        return new Promise<void>((resolve) => (letGo = resolve));
      });
    });
    await expect(ids(waiter)).rejects.toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    letGo();
    await holding;
    expect(await ids(waiter)).toEqual([]);
  });

  test("whose disk is full says so, undoes what it could not write, and goes on once there is room", async () => {
    const backend = await open();
    await put(backend, "one");
    await sql(`
      CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER full_disk BEFORE DELETE ON qkd_tls.record EXECUTE FUNCTION full_disk()`);
    const take = () =>
      backend.transact(async (records) => {
        const row = await records.get("outgoing", "one");
        records.remove("outgoing", "one");
        return row;
      });
    await expect(take()).rejects.toMatchObject({ name: "StoreError", code: "ERR_STORE_UNWRITABLE" });
    expect(await ids(backend)).toEqual(["one"]);
    await sql("DROP TRIGGER full_disk ON qkd_tls.record");
    expect(await take()).toEqual({ ...block(0) });
    expect(await ids(backend)).toEqual([]);
  });

  test("with a record that does not open gives nothing out any more", async () => {
    const backend = await open();
    await put(backend, "one", "two");
    await sql("UPDATE qkd_tls.record SET sealed = sealed || '\\x00' WHERE id = 'one'");
    const read = (id: string) => backend.transact((records) => records.get("outgoing", id));
    // Even to work that would go on in spite of it.
    const stubborn = backend.transact(async (records) => {
      await records.get("outgoing", "one").catch(() => undefined);
      return records.get("outgoing", "two");
    });
    await expect(stubborn).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
    await expect(read("two")).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
    expect(backend.failure).toMatchObject({ code: "ERR_STORE_CORRUPT" });
  });

  test("whose records were changed behind the lock gives nothing out any more", async () => {
    const backend = await open();
    await put(backend, "one", "two");
    const work = backend.transact(async (records) => {
      const row = await records.get("outgoing", "one");
      await sql("DELETE FROM qkd_tls.record WHERE id = 'one'");
      records.remove("outgoing", "one");
      return row;
    });
    await expect(work).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
    await expect(ids(backend)).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
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
    const place = { url: server.url(database), name: "b", key: storeKey };
    const store = await openKeyStore({ feed, place, maxStored: count, maxHeld: count });
    backends.push(store);
    const waiting = Array.from({ length: count }, () => crypto.randomUUID());
    for (const [n, id] of waiting.entries()) {
      sink.put("incoming", { id: `block of ${id}`, key: new Uint8Array(32).fill(1 + (n % 255)) });
    }
    const keys = waiting.map((id) => ({ id, blocks: [`block of ${id}`] }));
    expect(await store.accept({ master: "m", slaves: ["s"], bytes: 32, keys })).toBe(true);
    return { store, waiting };
  }

  async function kme() {
    const child = fork("test/support/postgres-end.mjs", [server.url(database), "b"], { execArgv: [] });
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
