import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { placeOf } from "../../../src/cli/kme/place.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-place-"));
afterAll(() => rmSync(root, { recursive: true }));
const storeKeyFile = join(root, "store.key");
writeFileSync(storeKeyFile, "5a".repeat(32), { mode: 0o600 });
const key = new Uint8Array(32).fill(0x5a);

test("--store is a directory, or the URL of a database", () => {
  expect(placeOf({})).toBeUndefined();
  expect(placeOf({ store: "keys", storeKeyFile })).toEqual({ directory: "keys", key });
  for (const url of ["postgres://me@host/db", "postgresql:///db?host=/run/postgresql"])
    expect(placeOf({ store: url, storeKeyFile })).toEqual({ url, key });
});

test("another kind of database is refused, and a password in its URL not repeated", () => {
  const wrong = () => placeOf({ store: "mysql://me:hush@host/db", storeKeyFile });
  expect(wrong).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "--store" }));
  expect(wrong).not.toThrow(/hush/);
});

test("a key without a store is refused", () => {
  expect(() => placeOf({ storeKeyFile })).toThrow(expect.objectContaining({ option: "--store" }));
});
