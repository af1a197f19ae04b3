import { chownSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { Client } from "pg";
import { describe, expect, test, vi } from "vitest";
import { type KmeApi, kmeApi } from "../../src/kme/api.ts";
import { openLinkedStores } from "../../src/kme/pair.ts";
import { sessions } from "../../src/kme/postgres-session.ts";
import type { KeyStore } from "../../src/kme/store.ts";
import { authority } from "../support/certificates.ts";
import { block, ids, KEY, postgresStores, put } from "../support/postgres-stores.ts";

const { isThere, server, url, sql, open, closeLater } = await postgresStores();

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

test.each([
  ["postgres://me@db.example/keys", "ERR_OPTION_MISSING"],
  ["postgres://me@[2001:db8::1]/keys", "ERR_OPTION_MISSING"],
  ["postgres:///keys?host=db.example", "ERR_OPTION_MISSING"],
  ["postgres://me@127.0.0.1.example/keys", "ERR_OPTION_MISSING"],
  ["postgres://me@db.example/keys?sslmode=verify-full", undefined],
  ["postgres://me@db.example/keys?sslmode=disable", undefined],
  ["postgresql://me@localhost:5433/keys", undefined],
  ["postgres://me@[::1]/keys", undefined],
  ["postgres:///keys?host=/run/postgresql", undefined],
  ["postgres://me@%2Frun%2Fpostgresql/keys", undefined],
])("%s: the way to another machine needs a word about TLS (%s)", async (url, code) => {
  vi.stubEnv("PGSSLMODE", undefined);
  const make = () => sessions(url, 1000);
  if (code === undefined) await make().close();
  else expect(make).toThrow(expect.objectContaining({ code, option: "url" }));
  vi.unstubAllEnvs();
});

test.runIf(isThere)(
  "sslmode=verify-full takes the server that its CA vouches for, and no other",
  async () => {
    const trusted = authority();
    const { cert, key } = trusted.issue("db");
    const directory = decodeURIComponent(new URL(url()).hostname);
    const file = (name: string, text: string): string => {
      const path = join(directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      const { uid, gid } = statSync(directory);
      chownSync(path, uid, gid);
      return path;
    };
    const port = await freePort();
    const ssl = ["ssl=on", `ssl_cert_file=${file("db.crt", cert)}`, `ssl_key_file=${file("db.key", key)}`];
    await server.stop();
    await server.start(["listen_addresses=127.0.0.1", `port=${port}`, ...ssl]);
    try {
      const at = `postgres://postgres@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=`;
      const rogue = file("rogue.crt", authority().ca);
      await expect(open({ url: at + rogue })).rejects.toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
      const backend = await open({ url: at + file("ca.crt", trusted.ca) });
      await put(backend, "one");
      const inTls =
        "SELECT 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name LIKE 'qkd%'";
      const admin = new Client({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres` });
      await admin.connect();
      expect((await admin.query(inTls)).rows).toHaveLength(1);
      await admin.end();
      await backend.close();
    } finally {
      await server.stop();
      await server.start();
    }
  },
);

describe.runIf(isThere)("a KME over a database", () => {
  test("answers 503 while that is away, gives nothing twice, and goes on afterwards", async () => {
    const place = { url: url(), key: KEY, timeoutMs: 2000 };
    const { a, b } = await openLinkedStores({ initialKeys: 5, keysPerSecond: 0, maxStored: 9 }, place);
    for (const store of [a, b]) closeLater(store);
    const kme = (id: string, sae: string, peer: string, store: KeyStore) =>
      kmeApi({ id, saes: [sae], links: [{ kme: "other", saes: [peer], store }] });
    const [atA, atB] = [kme("kme-a", "sae-a", "sae-b", a), kme("kme-b", "sae-b", "sae-a", b)];
    const ask = async (api: KmeApi, caller: string, path: string): Promise<any> =>
      api.answer({ caller, method: "GET", target: `/api/v1/keys/${path}`, body: new Uint8Array() });
    const { body } = await ask(atA, "sae-a", "sae-b/enc_keys");
    const redeem = `sae-a/dec_keys?key_ID=${body.keys[0].key_ID}`;
    await server.stop("at once");
    const unavailable = { status: 503, body: { message: "the key store is unavailable" } };
    expect(await ask(atB, "sae-b", redeem)).toEqual(unavailable);
    expect(await ask(atA, "sae-a", "sae-b/enc_keys")).toEqual(unavailable);
    await server.start();
    expect(await ask(atB, "sae-b", redeem)).toEqual({ status: 200, body });
    expect((await ask(atB, "sae-b", redeem)).status).toBe(400);
    expect((await ask(atA, "sae-a", "sae-b/enc_keys")).status).toBe(200);
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
});
