import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readLinkPsk } from "../../../src/kme/site/link-psk.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-psk-"));
afterAll(() => rmSync(root, { recursive: true }));
const file = (text: string | Uint8Array, mode = 0o600): string => {
  const path = join(root, "psk");
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode });
  return path;
};

test("32 bytes or more, in hexadecimal or base64", () => {
  expect(readLinkPsk(file(`${"ab".repeat(32)}\n`))).toEqual(new Uint8Array(32).fill(0xab));
  expect(readLinkPsk(file("ab".repeat(40)))).toEqual(new Uint8Array(40).fill(0xab));
  expect(readLinkPsk(file(Buffer.alloc(33, 0xcd).toString("base64")))).toEqual(new Uint8Array(33).fill(0xcd));
});

test.each<[string, string | Uint8Array]>([
  ["too short", "ab".repeat(31)],
  ["too long", "ab".repeat(257)],
  ["empty", ""],
  ["no text", Uint8Array.of(0xff, 0xfe)],
  ["no digits", "secret!"],
])("a file that is %s is ERR_FILE_INVALID", (_, text) => {
  expect(() => readLinkPsk(file(text))).toThrow(
    expect.objectContaining({ code: "ERR_FILE_INVALID", option: "link-psk-file" }),
  );
});

test.skipIf(process.platform === "win32")("a file that others may read is ERR_FILE_UNSAFE", () => {
  expect(() => readLinkPsk(file("ab".repeat(32), 0o644))).toThrow(
    expect.objectContaining({ code: "ERR_FILE_UNSAFE" }),
  );
});
