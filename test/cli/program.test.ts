import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { makePki } from "../../src/cli/pki-files.ts";
import { program, run } from "../../src/cli/program.ts";

const KEY = "00112233445566778899aabbccddeeff";
let directory = "";
const file = (name: string): string => join(directory, name);
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  makePki({ directory });
  writeFileSync(file("junk.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  writeFileSync(file("session"), "not a session", { mode: 0o600 });
});
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** The exit code and what was printed. */
async function outcome(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    });
  }
  const code = await run(words);
  vi.restoreAllMocks();
  return { code, ...printed };
}

describe("help", () => {
  test("teaches: every command, examples and exit codes", async () => {
    const { code, stdout, stderr } = await outcome("--help");
    expect(code).toBe(0);
    expect(stderr).toBe("");
    for (const { name } of program().commands.map((each) => ({ name: each.name() }))) {
      if (!name.startsWith("demo-")) expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
    }
    expect(stdout).toMatch(/Examples:[^]*qkd-tls serve[^]*Exit codes:[^]*130 /);
    expect(stdout).not.toMatch(/demo-part/);
  });

  test("of each command names its options and the global ones", async () => {
    for (const name of ["serve", "connect"]) {
      const { code, stdout } = await outcome(name, "--help");
      expect(code).toBe(0);
      for (const option of ["--policy", "--kme", "--psk", "--keylog", "--timeout", "--verbose"])
        expect(stdout).toContain(option);
    }
  });

  test("is what one gets without a command", async () => {
    const { code, stderr } = await outcome();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Usage: qkd-tls /);
    expect(stderr).not.toMatch(/^qkd-tls: /m);
  });

  test("the version is the package's", async () => {
    expect((await outcome("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("a wrong command line is one line and a hint", () => {
  test.each<[string[], RegExp]>([
    [["conect"], /^qkd-tls: unknown command 'conect'\nhint: Did you mean connect\?\n$/],
    [["serve", "--lisen", "x"], /^qkd-tls: unknown option '--lisen'\nhint: Did you mean --listen\?\n$/],
    [["serve", "-cert", "x"], /^qkd-tls: unknown option '-cert'\nhint: options have two hyphens: --cert\n$/],
    [
      ["connect"],
      /^qkd-tls: missing required argument 'host:port'\nhint: qkd-tls connect --help explains the options\n$/,
    ],
    [["connect", "a:1", "b:2"], /^qkd-tls: too many arguments/],
    [["connect", "a:1", "--psk"], /^qkd-tls: option '--psk <identity:hex>' argument missing\n/],
    [["serve", "--www", "--echo"], /^qkd-tls: option '--www' cannot be used with option '--echo'\n/],
    [
      ["serve", "--echo", "--exec", "cat"],
      /^qkd-tls: option '--echo' cannot be used with option '--exec <command>'\n/,
    ],
    [["serve"], /^qkd-tls: --listen is missing: /],
    [["serve", "--listen", "4433"], /^qkd-tls: --listen: "4433" is not host:port/],
    [["serve", "--listen", "localhost:0"], /^qkd-tls: .*certificate.*\nhint: --cert FILE/],
    [
      ["serve", "--listen", "localhost:0", "--psk", `a:${KEY}`, "--max-connections", "0"],
      /^qkd-tls: --max-connections: /,
    ],
    [
      ["serve", "--listen", "localhost:0", "--psk", `a:${KEY}`, "--groups", "x25519"],
      /^qkd-tls: groups: policy pqc does not allow x25519\nhint: .*--dangerously-allow-classical/,
    ],
    [
      ["serve", "--listen", "localhost:0", "--psk", `a:${KEY}`, "--policy", "hybrid"],
      /^qkd-tls: policy hybrid requires QKD.*\nhint: this policy needs a key source: --kme/,
    ],
    [["connect", "localhost"], /^qkd-tls: host:port: "localhost" is not host:port/],
    [["connect", "localhost:0"], /^qkd-tls: host:port: there is no port 0\n/],
    [["connect", "localhost:1", "--max-time", "x"], /^qkd-tls: --max-time: /],
    [
      ["connect", "localhost:1", "--resume", "/nonexistent/dir/s", "--max-time", "0"],
      /^qkd-tls: --max-time: /,
    ],
    [["demo", "--size", "big"], /^qkd-tls: --size: "big" is not a size/],
    [["demo", "--file", "/nonexistent"], /^qkd-tls: --file: \/nonexistent does not exist\n/],
    [["demo", "--file", "/"], /^qkd-tls: --file: \/ is not a regular file\n/],
  ])("%j", async (words, expected) => {
    const { code, stdout, stderr } = await outcome(...words);
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/^qkd-tls: [^\n]+\n(hint: [^\n]+\n)?$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test.each([
    ["junk for a certificate", ["--cert", "junk.pem", "--key", "server.key"]],
    ["a key that is none", ["--cert", "server.crt", "--key", "junk.pem"]],
    ["another's key", ["--cert", "server.crt", "--key", "client.key"]],
    ["junk for anchors", ["--cert", "server.crt", "--key", "server.key", "--ca", "junk.pem"]],
  ])("%s", async (_, words) => {
    const paths = words.map((word) => (word.startsWith("--") ? word : file(word)));
    const { code, stderr } = await outcome("serve", "--listen", "127.0.0.1:0", "--once", ...paths);
    expect(stderr).toMatch(/^qkd-tls: [^\n]*\b(cert|key|ca|certificate)\b[^\n]*\n(hint: [^\n]+\n)?$/);
    expect(code).toBe(2);
  });

  test("a file that is no session", async () => {
    const { code, stderr } = await outcome("connect", "localhost:1", "--resume", file("session"));
    expect(stderr).toMatch(/^qkd-tls: .*session.*\nhint: remove the file named by --resume/);
    expect(code).toBe(2);
  });

  test("a key in a misspelt option is not repeated", async () => {
    const { stderr } = await outcome("serve", `--pskk=me:${KEY}`);
    expect(stderr).toMatch(/^qkd-tls: unknown option '--pskk'\n/);
    expect(stderr).not.toContain(KEY);
  });
});

test("failures are JSON for those who asked for it", async () => {
  const { code, stderr } = await outcome("connect", "127.0.0.1:1", "--json");
  expect(JSON.parse(stderr)).toMatchObject({ event: "error", code: "ECONNREFUSED", exitCode: 1 });
  expect(code).toBe(1);
});

test("--verbose adds the stack", async () => {
  const { stderr } = await outcome("connect", "127.0.0.1:1", "--verbose");
  expect(stderr).toMatch(
    /^qkd-tls: connect ECONNREFUSED 127\.0\.0\.1:1\nhint: .*\nerror ECONNREFUSED: Error: /,
  );
});
