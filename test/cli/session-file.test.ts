import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { forgetSession, readSession, writeSession } from "../../src/cli/session-file.ts";

let directory = "";
const path = (): string => join(directory, "session");
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("keeps the newest session, for us alone, and nothing beside it", () => {
  expect(readSession(path())).toBeUndefined();
  writeSession(path(), Uint8Array.of(1, 2, 3));
  writeSession(path(), Uint8Array.of(4, 5));
  expect(readSession(path())).toEqual(Buffer.of(4, 5));
  expect(readdirSync(directory)).toEqual(["session"]);
  if (process.platform !== "win32") expect(statSync(path()).mode & 0o777).toBe(0o600);
  forgetSession(path());
  forgetSession(path());
  expect(existsSync(path())).toBe(false);
});

test.skipIf(process.platform === "win32")("refuses a file that others may read", () => {
  writeFileSync(path(), "x");
  chmodSync(path(), 0o640);
  expect(() => readSession(path())).toThrow(
    expect.objectContaining({ code: "ERR_FILE_UNSAFE", option: "--resume" }),
  );
});

test("refuses what cannot hold a session", () => {
  writeFileSync(path(), "", { mode: 0o600 });
  expect(() => readSession(path())).toThrow("holds no session");
  mkdirSync(join(directory, "folder"), { mode: 0o700 });
  expect(() => readSession(join(directory, "folder"))).toThrow(/is not a regular file|is a directory/);
  expect(() => writeSession(join(directory, "absent", "session"), Uint8Array.of(1))).toThrow(
    "does not exist",
  );
});
