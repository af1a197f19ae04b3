import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { PostgresOptions } from "../../src/kme/postgres.ts";
import { CONTENT, ids, postgresStores, put } from "../support/postgres-stores.ts";

const stores = await postgresStores();
const { isThere, server, sql, open } = stores;
const database = () => new URL(stores.url()).pathname.slice(1);

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
    await sql(`CREATE ROLE reader_${database()} LOGIN`);
    await refused("ERR_STORE_UNWRITABLE", {
      url: stores.url().replace("postgres@", `reader_${database()}@`),
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
