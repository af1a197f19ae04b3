import { chmodSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kmeAddress } from "../../src/cli/key-options.ts";
import { fromHex } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { client, file, kme, server } from "../support/command-line.ts";

const KEY = "00112233445566778899aabbccddeeff";

describe("pre-shared keys", () => {
  test("as they are, with their hash", () => {
    expect(client("--psk", `me:${KEY}`, "--psk", `a:b:${KEY}${KEY}`, "--psk-hash", "sha384").psk).toEqual([
      { identity: "me", key: fromHex(KEY), hash: "sha384" },
      { identity: "a:b", key: fromHex(KEY + KEY), hash: "sha384" },
    ]);
  });

  test("imported, with and without a context", () => {
    expect(client("--psk", `me:${KEY}`, "--psk-import").psk).toEqual([
      { identity: "me", key: fromHex(KEY), importContext: new Uint8Array(0) },
    ]);
    expect(client("--psk", `me:${KEY}`, "--psk-context", "ab").psk).toEqual([
      { identity: "me", key: fromHex(KEY), importContext: Uint8Array.of(0x61, 0x62) },
    ]);
  });

  test("from a file that is ours alone", () => {
    const path = file("keys.txt");
    writeFileSync(path, `# one a line\nme:${KEY}\n`, { mode: 0o600 });
    expect(server("--psk-file", path, "--psk-ke")).toMatchObject({
      psk: [{ identity: "me", key: fromHex(KEY) }],
      pskKe: true,
    });
    if (process.platform === "win32") return;
    chmodSync(path, 0o644);
    expect(() => server("--psk-file", path)).toThrow(expect.objectContaining({ code: "ERR_FILE_UNSAFE" }));
  });
});

describe("QKD", () => {
  test("a client's source, its peer and how keys are announced", () => {
    const { qkd } = client(...kme("sae-a"), "--peer-sae", "sae-b", "--qkd-raw", "--qkd-authenticates");
    expect(qkd).toMatchObject({ peer: "sae-b", form: "raw", authenticates: true });
    expect(qkd?.source).toMatchObject({ kind: "etsi-qkd-014", sae: "sae-a" });
    qkd?.source.close();
  });

  test("a server's source and whom it allows", () => {
    const { qkd } = server(...kme("sae-b"), "--peer-sae", "sae-a", "--peer-sae", "sae-c");
    expect(qkd).toMatchObject({ allow: ["sae-a", "sae-c"] });
    expect(qkd?.source.sae).toBe("sae-b");
    qkd?.source.close();
  });

  test("the identity for the KME is our own unless another is given", () => {
    const own = ["--ca", file("ca.crt"), "--cert", file("sae-a.crt"), "--key", file("sae-a.key")];
    const { qkd } = client("--kme", "https://localhost:1", "--sae", "sae-a", "--peer-sae", "sae-b", ...own);
    expect(qkd?.source.sae).toBe("sae-a");
    qkd?.source.close();
  });
});

test("a KME is at an https URL or at a path of a Unix domain socket", () => {
  expect(kmeAddress("https://localhost:8443")).toEqual({ url: "https://localhost:8443" });
  expect(kmeAddress("unix:/run/kme")).toEqual({ url: "https://localhost", socketPath: "/run/kme" });
  expect(() => kmeAddress("http://localhost", "kme")).toThrow(/^kme: "http:/);
});

describe("what is wrong is refused by name, and no key is repeated", () => {
  const cases: [string, string[], RegExp][] = [
    ["psk without colon", ["--psk", KEY], /^--psk: value 1 is not identity:hex$/],
    ["psk without identity", ["--psk", `:${KEY}`], /^--psk: value 1 is not identity:hex$/],
    ["psk not hex", ["--psk", "me:not-a-secret"], /^--psk: the key of "me" is not hexadecimal$/],
    ["psk short", ["--psk", "me:0011223344"], /^--psk: the key of "me" has 5 bytes; 16 are the least/],
    [
      "psk twice",
      ["--psk", `me:${KEY}`, "--psk", `me:${KEY}00`],
      /^--psk: the identity "me" stands for two keys$/,
    ],
    [
      "psk hash",
      ["--psk", `me:${KEY}`, "--psk-hash", "md5"],
      /^--psk-hash: "md5" is none of sha256, sha384$/,
    ],
    ["hash of nothing", ["--psk-hash", "sha384"], /^--psk is missing: --psk-hash needs/],
    ["context of nothing", ["--psk-context", "x"], /^--psk is missing: --psk-context needs/],
    ["psk_ke of nothing", ["--psk-ke"], /^--psk is missing: --psk-ke needs/],
    ["psk file", ["--psk-file", "/nonexistent/keys"], /\/nonexistent\/keys cannot be opened/],
    ["sae without kme", ["--sae", "x"], /^--kme is missing: --sae needs a KME$/],
    ["kme without sae", ["--kme", "https://localhost:1"], /^--sae is missing: /],
    ["kme in the clear", ["--kme", "http://localhost:1", "--sae", "x"], /^--kme: .* is neither https:/],
    ["a kme at no path", ["--kme", "unix:", "--sae", "x"], /^--kme: "unix:" is neither https:/],
    ["kme nonsense", ["--kme", "localhost", "--sae", "x"], /^--kme: "localhost" is neither https:/],
    ["kme without ca", ["--kme", "https://localhost:1", "--sae", "x"], /^--kme-ca is missing: /],
  ];
  test.each(cases)("%s", (_, words, message) => {
    for (const side of [client, server]) {
      const error = caught(() => side(...words));
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toMatch(message);
      expect(error.message).not.toMatch(/00112233|not-a-secret/);
    }
  });

  test("of a client, which has one peer", () => {
    const own = kme("sae-a");
    expect(caught(() => client(...own)).message).toMatch(/^--peer-sae is missing: /);
    expect(caught(() => client(...own, "--peer-sae", "a", "--peer-sae", "b")).message).toBe(
      "--peer-sae: a client has one peer",
    );
    expect(caught(() => client(...own, "--peer-sae", "a", "--qkd-reserve", "0")).message).toMatch(
      /^--qkd-reserve: /,
    );
  });
});

function caught(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
