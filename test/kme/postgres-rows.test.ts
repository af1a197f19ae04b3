import { describe, expect, test } from "vitest";
import { ids, postgresStores, put } from "../support/postgres-stores.ts";

const { isThere, sql, open } = await postgresStores();

describe.runIf(isThere)("a store", () => {
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
