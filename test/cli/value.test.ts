import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  byteCount,
  formatEndpoint,
  oneOf,
  parseEndpoint,
  readPem,
  seconds,
  wholeNumber,
} from "../../src/cli/value.ts";
import { UsageError } from "../../src/protocol/errors.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("parseEndpoint", () => {
  test.each([
    ["localhost:4433", "localhost", 4433],
    ["192.0.2.7:0", "192.0.2.7", 0],
    ["[::1]:443", "::1", 443],
    ["[fe80::1%eth0]:1", "fe80::1%eth0", 1],
    ["a-b.example:65535", "a-b.example", 65_535],
  ])("%s", (text, host, port) => {
    expect(parseEndpoint(text)).toEqual({ host, port });
    expect(formatEndpoint(host, port)).toBe(text);
  });

  test.each([
    "",
    "localhost",
    ":4433",
    "localhost:",
    "localhost:65536",
    "localhost:-1",
    "::1:443",
    "[::1]",
    "a b:1",
    "u@h:1",
    "h:1:2",
  ])("refuses %j by name", (text) => {
    expect(() => parseEndpoint(text, "--listen")).toThrow(/^--listen: /);
  });

  test("refuses port 0 to connect to", () => {
    expect(() => parseEndpoint("localhost:0", "host:port", false)).toThrow("host:port: there is no port 0");
  });
});

describe("numbers", () => {
  test("whole numbers in bounds", () => {
    expect(wholeNumber("16", "--n", 1, 16)).toBe(16);
    for (const text of ["0", "17", "1.5", "x", "", "-1", "1e1", "9".repeat(30)]) {
      expect(() => wholeNumber(text, "--n", 1, 16)).toThrow(/^--n: .* is not a whole number from 1 to 16$/);
    }
  });

  test("seconds", () => {
    expect(seconds("1.5", "--t")).toBe(1500);
    expect(seconds("86400", "--t")).toBe(86_400_000);
    for (const text of ["0", "0.0001", "-1", "86401", "1s", ""])
      expect(() => seconds(text, "--t")).toThrow(/^--t: /);
  });

  test("sizes", () => {
    expect(byteCount("65536", "--s", 2 ** 40)).toBe(65_536);
    expect(byteCount("64k", "--s", 2 ** 40)).toBe(65_536);
    expect(byteCount("2GiB", "--s", 2 ** 40)).toBe(2 ** 31);
    expect(byteCount("0", "--s", 1)).toBe(0);
    for (const text of ["", "1.5M", "-1", "1T", "M", "2k"])
      expect(() => byteCount(text, "--s", 2047)).toThrow(/^--s: /);
  });

  test("words", () => {
    expect(oneOf("PQC", "--policy", ["hybrid", "pqc"])).toBe("pqc");
    expect(() => oneOf("none", "--policy", ["hybrid", "pqc"])).toThrow(
      '--policy: "none" is none of hybrid, pqc',
    );
  });
});

describe("readPem", () => {
  const refusal = (path: string): UsageError => {
    try {
      readPem(path, "--ca");
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("it was read");
  };

  test("reads PEM", () => {
    const path = join(directory, "good.pem");
    writeFileSync(path, "-----BEGIN CERTIFICATE-----\n");
    expect(readPem(path, "--ca").toString()).toMatch(/BEGIN CERTIFICATE/);
  });

  test("names what is wrong with a file", () => {
    mkdirSync(join(directory, "folder"));
    writeFileSync(join(directory, "text"), "hello");
    writeFileSync(join(directory, "long"), Buffer.alloc(2 ** 20 + 1));
    expect(refusal(join(directory, "absent")).message).toMatch(/^--ca: .*absent does not exist$/);
    expect(refusal(join(directory, "folder")).message).toMatch(/is not a regular file$/);
    expect(refusal(join(directory, "text")).message).toMatch(/holds nothing in PEM/);
    expect(refusal(join(directory, "long")).message).toMatch(/is longer than/);
    expect(refusal(join(directory, "text"))).toMatchObject({ code: "ERR_FILE_INVALID", option: "--ca" });
  });

  test.skipIf(process.platform === "win32")("does not wait for a named pipe", () => {
    const path = join(directory, "pipe");
    execFileSync("mkfifo", [path]);
    expect(refusal(path).message).toMatch(/is not a regular file$/);
  });
});
