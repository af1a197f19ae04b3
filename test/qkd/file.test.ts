import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { keyFromText, readEntries, readKeyFile, readPskFile } from "../../src/qkd/file.ts";

const folder = mkdtempSync(join(tmpdir(), "qkd-tls-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HEX = "00112233445566778899aabbccddeeff";
const KEY = Buffer.from(HEX, "hex");
let count = 0;

function file(content: string | Buffer, mode = 0o600): string {
  const path = join(folder, `${++count}.psk`);
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
  return path;
}
const json = (keys: unknown, rest: object = {}): string => file(JSON.stringify({ ...rest, keys }));

describe("the lines form", () => {
  test("identity:hex, comments, blank lines, any line end; the last colon divides", () => {
    const path = file(`# keys\r\n\r\nalice:${HEX}\r\n  etsi-qkd-014:7:${HEX.toUpperCase()}${HEX}\n`);
    expect(readPskFile(path)).toEqual([
      { identity: "alice", key: new Uint8Array(KEY) },
      { identity: "etsi-qkd-014:7", key: new Uint8Array(Buffer.concat([KEY, KEY])) },
    ]);
  });

  test("an empty file holds no keys", () => {
    expect(readPskFile(file("\n# nothing\n"))).toEqual([]);
  });
});

describe("the JSON form", () => {
  test("hexadecimal and base64 keys, and what the pool wants to know", () => {
    const path = json(
      [
        { id: "a", key: HEX },
        { id: "b", key: KEY.toString("base64"), peer: "sae-b", initiator: "sae-a" },
      ],
      { simulated: true },
    );
    expect(readPskFile(path)).toEqual([
      { identity: "a", key: new Uint8Array(KEY) },
      { identity: "b", key: new Uint8Array(KEY) },
    ]);
    expect(readEntries(path)).toMatchObject({
      simulated: true,
      entries: [{ at: "keys[0]" }, { at: "keys[1]", peer: "sae-b", initiator: "sae-a" }],
    });
  });
});

test.runIf(process.platform !== "win32").each([0o640, 0o604, 0o620, 0o602, 0o610, 0o644])(
  "a file of mode %o is refused",
  (mode) => {
    expect(() => readPskFile(file(`a:${HEX}`, mode))).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_FILE_UNSAFE" }),
    );
  },
);

const SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
const BAD: [name: string, path: () => string, where: string][] = [
  ["no such file", () => join(folder, "none"), "ENOENT"],
  ["a folder", () => folderAlone(), "not a regular file"],
  ["no UTF-8", () => file(Buffer.from([0x61, 0x3a, 0xff])), "not text in UTF-8"],
  ["a line without colon", () => file(`a:${HEX}\n${SECRET}`), "in line 2"],
  ["a line without identity", () => file(`:${SECRET}`), "in line 1"],
  ["a key that is not hexadecimal", () => file(`\n\nb:${SECRET}zz`), "not hexadecimal in line 3"],
  ["an odd number of digits", () => file(`b:${SECRET}0`), "not hexadecimal in line 1"],
  ["a short key", () => file(`b:${SECRET.slice(0, 30)}`), "key of 15 bytes in line 1"],
  [
    "an identity given twice",
    () => file(`a:${SECRET}\n#\na:${SECRET}`),
    "identity of line 1 again in line 3",
  ],
  ["an endless identity", () => file(`${"x".repeat(65_536)}:${SECRET}`), "longer than 65535 bytes in line 1"],
  ["broken JSON", () => file(`{"keys":[{"id":"a","key":"${SECRET}"`), "not JSON"],
  ["a bare array", () => file(`[{"id":"a","key":"${SECRET}"}]`), "no object in the file"],
  ["no keys", () => file("{}"), "no array keys"],
  ["a member that is none of ours", () => json([{ id: "a", key: SECRET, [SECRET]: 1 }]), "in keys[0]"],
  ["an entry that is no object", () => json([SECRET]), "no object in keys[0]"],
  ["no id", () => json([{ key: SECRET }]), "no identity in keys[0]"],
  ["no key", () => json([{ id: "a" }]), "in keys[0]"],
  [
    "a key of neither form",
    () => json([{ id: "a", key: `${SECRET}!` }]),
    "neither hexadecimal nor base64 in keys[0]",
  ],
  ["a bad peer", () => json([{ id: "a", key: SECRET, peer: "" }]), "no SAE ID in keys[0].peer"],
  ["a bad mark", () => json([], { simulated: 1 }), "simulated"],
];

function folderAlone(): string {
  const path = join(folder, "folder");
  mkdirSync(path, { mode: 0o700, recursive: true });
  return path;
}

test.each(BAD)("%s is refused by its place, never by its key", (_, path, where) => {
  let caught: unknown;
  try {
    readPskFile(path());
  } catch (error) {
    caught = error;
  }
  expect(caught).toMatchObject({ name: "UsageError", code: "ERR_FILE_INVALID" });
  const { message } = caught as Error;
  expect(message).toContain(where);
  expect(message.toLowerCase()).not.toContain(SECRET.slice(0, 8));
});

describe("a file that holds one key", () => {
  const bounds = { min: 16, max: 17 };
  const of = (path: string) => readKeyFile(path, { ...bounds, option: "some-file" });

  test.each([HEX, ` ${HEX}\n`, KEY.toString("base64")])("%j", (text) => {
    expect(of(file(text))).toEqual(new Uint8Array(KEY));
    expect(keyFromText(text, bounds)).toEqual(new Uint8Array(KEY));
  });

  test.each(["", HEX.slice(2), `${HEX}0011`, "no key at all", Buffer.from([0xff, 0xfe])])(
    "not %j",
    (content) => {
      const refused = expect.objectContaining({ code: "ERR_FILE_INVALID", option: "some-file" });
      expect(() => of(file(content))).toThrow(refused);
    },
  );

  test.runIf(process.platform !== "win32")("nor one that others may read", () => {
    expect(() => of(file(HEX, 0o644))).toThrow(expect.objectContaining({ code: "ERR_FILE_UNSAFE" }));
  });
});
