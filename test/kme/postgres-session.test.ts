import { describe, expect, test } from "vitest";
import { block, ids, postgresStores, put } from "../support/postgres-stores.ts";

const { isThere, server, sql, open } = await postgresStores();

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
