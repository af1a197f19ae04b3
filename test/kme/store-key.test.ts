import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { storeKey } from "../../src/kme/store-key.ts";

const directory = mkdtempSync(join(tmpdir(), "qkd-tls-store-key-"));
afterAll(() => rmSync(directory, { recursive: true }));
const KEY = Buffer.from(Uint8Array.from({ length: 32 }, (_, n) => 255 - n));

function file(content: string | Uint8Array, mode = 0o600): string {
  const path = join(directory, `key-${Math.random()}`);
  writeFileSync(path, content, { mode });
  return path;
}

describe("the key of a store", () => {
  test.each([
    ["hexadecimal", KEY.toString("hex")],
    ["hexadecimal in capitals", KEY.toString("hex").toUpperCase()],
    ["hexadecimal with the end of a line", `${KEY.toString("hex")}\n`],
    ["base64", KEY.toString("base64")],
  ])("is 32 bytes in %s, from a file or from the environment", (_, text) => {
    expect(Buffer.from(storeKey({ file: file(text) }))).toEqual(KEY);
    expect(Buffer.from(storeKey({ environment: { QKD_TLS_STORE_KEY: text } }))).toEqual(KEY);
  });

  test("of the file counts when both are there", () => {
    const environment = { QKD_TLS_STORE_KEY: Buffer.alloc(32).toString("hex") };
    expect(Buffer.from(storeKey({ file: file(KEY.toString("hex")), environment }))).toEqual(KEY);
  });

  test.each([
    ["is short", KEY.toString("hex").slice(2)],
    ["is long", `${KEY.toString("hex")}00`],
    ["is short in base64", KEY.subarray(1).toString("base64")],
    ["is words", "correct horse battery staple"],
    ["is empty", ""],
    ["is no text", Uint8Array.of(0xff, 0xfe)],
  ])("that %s is refused, and not quoted", (_, content) => {
    const invalid = expect.objectContaining({ code: "ERR_FILE_INVALID", option: "store-key-file" });
    expect(() => storeKey({ file: file(content) })).toThrow(invalid);
    try {
      storeKey({ file: file(content) });
    } catch (error) {
      if (content.length > 0) expect((error as Error).message).not.toContain(content.toString());
    }
  });

  test("that is wrong in the environment is refused", () => {
    expect(() => storeKey({ environment: { QKD_TLS_STORE_KEY: "00" } })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID" }),
    );
  });

  test("has to be somewhere", () => {
    for (const environment of [{}, { QKD_TLS_STORE_KEY: "" }]) {
      expect(() => storeKey({ environment })).toThrow(
        expect.objectContaining({ code: "ERR_OPTION_MISSING" }),
      );
    }
    expect(() => storeKey({ file: join(directory, "none") })).toThrow(
      expect.objectContaining({ code: "ERR_FILE_INVALID" }),
    );
  });

  test.skipIf(process.platform === "win32")(
    "that others may read is refused (Windows has no such bits)",
    () => {
      const path = file(KEY.toString("hex"));
      for (const mode of [0o640, 0o604, 0o660]) {
        chmodSync(path, mode);
        expect(() => storeKey({ file: path })).toThrow(expect.objectContaining({ code: "ERR_FILE_UNSAFE" }));
      }
    },
  );
});
