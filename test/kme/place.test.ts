import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openPlace, within } from "../../src/kme/place.ts";

const key = new Uint8Array(32);

test("a place within another: a directory in a directory, a name in a database", () => {
  expect(within({ directory: "keys", key }, "a")).toEqual({ directory: join("keys", "a"), key });
  const url = "postgres://host/db";
  expect(within({ url, key }, "a")).toEqual({ url, key, name: "a" });
  expect(within({ url, key, name: "north" }, "a")).toEqual({ url, key, name: "north.a" });
});

test("is opened as what it is", async () => {
  const content = { blockBytes: 8, simulated: true };
  await expect(openPlace({ url: "mysql://host/db", key }, content)).rejects.toMatchObject({ option: "url" });
  const directory = mkdtempSync(join(tmpdir(), "qkd-tls-place-"));
  try {
    const backend = await openPlace({ directory, key }, content);
    expect(backend.isShared).toBe(false);
    await backend.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
