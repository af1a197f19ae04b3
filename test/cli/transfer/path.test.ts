import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPath, isPart, makeDirectory, partName, shown } from "../../../src/cli/transfer/path.ts";
import { directory, tree } from "./bed.ts";

const refused = expect.objectContaining({ code: "ERR_TRANSFER_PATH" });

describe("checkPath", () => {
  test.each([
    ["", /empty name/],
    ["/etc/passwd", /absolute/],
    ["//server/share", /absolute/],
    ["..", /name \.\./],
    ["../up", /name \.\./],
    ["a/../../up", /name \.\./],
    ["a/..", /name \.\./],
    [".", /name \./],
    ["a/./b", /name \./],
    ["a//b", /empty name/],
    ["a/", /empty name/],
    ["C:/windows", /drive letter/],
    ["c:evil", /drive letter/],
    ["..\\up", /backslash/],
    ["a\\b", /backslash/],
    ["a\0b", /control/],
    ["a\nb", /control/],
    ["\u001b[2Ja", /control/],
    ["\u0085", /control/],
    ["\ud800", /control/],
    ["a\u2028b", /control/],
    ["n".repeat(256), /longer than 255/],
    ["ü".repeat(128), /longer than 255/],
    [`${"d/".repeat(64)}f`, /deeper/],
    [`${`${"x".repeat(200)}/`.repeat(25)}f`, /4096/],
    [".film.mkv.0123456789abcdef.part", /reserved/],
    ["a/.b.0123456789abcdef.part/c", /reserved/],
  ])("refuses %j", (path, why) => {
    expect(() => checkPath(path, "linux")).toThrow(refused);
    expect(() => checkPath(path, "linux")).toThrow(why);
  });

  test.each(["con", "NUL.txt", "aux .c", "COM1", "lpt¹.x", "a:stream", "what?", "end.", "end ", 'q"q'])(
    "refuses %j on Windows and takes it elsewhere",
    (name) => {
      expect(() => checkPath(`dir/${name}`, "win32")).toThrow(refused);
      expect(checkPath(`dir/${name}`, "linux")).toEqual(["dir", name]);
    },
  );

  test.each(["a", "a/b/c", "...", ".hidden", "Grüße 你好 🗝️.txt", "a b", "~", "-rf", "%2e%2e", "‮abc"])(
    "takes %j",
    (path) => {
      expect(checkPath(path, "linux")).toEqual(path.split("/"));
    },
  );

  test("whatever it takes stays inside", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom("..", ".", "", "a", "\\", "C:", "/"), fc.string()), {
          maxLength: 6,
        }),
        (parts) => {
          let names: readonly string[] = [];
          try {
            names = checkPath(parts.join("/"), "linux");
          } catch (error) {
            expect(error).toEqual(refused);
            return;
          }
          expect(join("/root", ...names)).toBe(`/root/${names.join("/")}`);
        },
      ),
    );
  });

  test("says what it refuses without driving the terminal", () => {
    expect(shown("\u001b[2J\u202e")).toBe('"\\u001b[2J\\u{202e}"');
    expect(shown("x".repeat(500)).length).toBeLessThan(120);
  });
});

describe("makeDirectory", () => {
  test("makes what is missing and passes what is there", async () => {
    const root = directory();
    expect(await makeDirectory(root, ["a", "b"])).toBe(join(root, "a", "b"));
    expect(await makeDirectory(root, ["a", "b", "c"])).toBe(join(root, "a", "b", "c"));
    expect(tree(root)).toEqual(["a/", "a/b/", "a/b/c/"]);
  });

  test("follows a link that stays inside and refuses one that leads out", async () => {
    const root = directory();
    const outside = directory();
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "inner"));
    symlinkSync(outside, join(root, "outer"));
    symlinkSync("..", join(root, "up"));
    symlinkSync(root, join(root, "self"));
    expect(await makeDirectory(root, ["inner", "x"])).toBe(join(root, "real", "x"));
    expect(await makeDirectory(root, ["self", "real"])).toBe(join(root, "real"));
    await expect(makeDirectory(root, ["outer", "x"])).rejects.toThrow(refused);
    await expect(makeDirectory(root, ["outer"])).rejects.toThrow(refused);
    await expect(makeDirectory(root, ["up", "x"])).rejects.toThrow(refused);
    expect(tree(outside)).toEqual([]);
  });

  test("refuses a file in the way and a link to nowhere", async () => {
    const root = directory();
    writeFileSync(join(root, "file"), "");
    symlinkSync("nowhere", join(root, "dangling"));
    await expect(makeDirectory(root, ["file", "x"])).rejects.toMatchObject({ code: "ERR_TRANSFER_EXISTS" });
    await expect(makeDirectory(root, ["dangling", "x"])).rejects.toMatchObject({ code: "ERR_TRANSFER_FILE" });
  });
});

describe("partName", () => {
  test("is reserved, fits a directory, and differs with path, size and time", () => {
    const file = { path: "a/film.mkv", size: 5, mtimeMs: 7 };
    expect(partName(file)).toMatch(/^\.film\.mkv\.[0-9a-f]{16}\.part$/);
    const others = [{ path: "b/film.mkv" }, { size: 6 }, { mtimeMs: 8 }].map((each) =>
      partName({ ...file, ...each }),
    );
    expect(new Set([partName(file), partName({ ...file }), ...others]).size).toBe(4);
    const long = partName({ ...file, path: "ü".repeat(127) });
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(isPart(long)).toBe(true);
  });
});
