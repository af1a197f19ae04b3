import { createPrivateKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ConnectOptions } from "../../src/node/options.ts";
import { createServer } from "../../src/node/server.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { client, file, kme, server } from "../support/command-line.ts";

test("nothing said leaves the library's defaults", () => {
  expect(client()).toEqual({ allowHalfOpen: true });
  expect(server()).toEqual({ allowHalfOpen: true, keepAlive: true });
});

test.each<[string[], ConnectOptions]>([
  [["--policy", "prefer-hybrid"], { policy: "prefer-hybrid" }],
  [["--production"], { production: true }],
  [["--dangerously-allow-classical"], { dangerous: { allowClassical: true } }],
  [
    ["--groups", "x25519mlkem768:P-256,P-521,mlkem1024"],
    { groups: ["X25519MLKEM768", "secp256r1", "secp521r1", "MLKEM1024"] },
  ],
  [
    ["--suites", "TLS_AES_128_GCM_SHA256:tls_chacha20_poly1305_sha256"],
    { suites: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] },
  ],
  [["--alpn", "h2,http/1.1", "--alpn", "x"], { ALPNProtocols: ["h2", "http/1.1", "x"] }],
  [["--record-size-limit", "512"], { recordSizeLimit: 512 }],
  [["--padding", "256"], { padding: 256 }],
  [["--max-send-fragment", "512"], { maxSendFragment: 512 }],
  [["--certificate-compression", "brotli,zlib"], { certificateCompression: ["brotli", "zlib"] }],
  [["--timeout", "2.5"], { handshakeTimeout: 2500 }],
  [["--keylog", "keys.log"], { keylog: true }],
  [["--grease"], { grease: true }],
  [["--accept-delegated"], { acceptDelegatedCredentials: true }],
])("both sides: %j", (words, expected) => {
  expect(client(...words)).toMatchObject(expected);
  expect(server(...words)).toMatchObject(expected);
});

test("what only one side has", () => {
  expect(client("--servername", "a.example", "--insecure", "--permute-extensions")).toMatchObject({
    servername: "a.example",
    rejectUnauthorized: false,
    permuteExtensions: true,
  });
  expect(server("--request-cert")).toMatchObject({ requestCert: true, rejectUnauthorized: false });
  expect(server("--require-cert", "--ca", file("ca.crt"))).toMatchObject({
    requestCert: true,
    rejectUnauthorized: true,
  });
  expect(server("--tickets", "0")).toMatchObject({ tickets: 0 });
});

describe("what is wrong is refused by name", () => {
  const cases: [string, string[], RegExp][] = [
    ["policy", ["--policy", "none"], /^--policy: "none" is none of hybrid, prefer-hybrid, pqc, qkd$/],
    ["group", ["--groups", "x25519:kyber"], /^--groups: "kyber" is none of /],
    ["no group", ["--groups", ""], /^--groups: "" is none of /],
    ["group twice", ["--groups", "x25519:X25519"], /^--groups: names something twice$/],
    ["suite", ["--suites", "RC4"], /^--suites: "RC4" is none of /],
    ["protocol", ["--alpn", "h2,,x"], /^--alpn: /],
    ["protocol's length", ["--alpn", "x".repeat(256)], /^--alpn: /],
    ["record size", ["--record-size-limit", "63"], /^--record-size-limit: .* from 64 to 16385$/],
    ["padding", ["--padding", "many"], /^--padding: /],
    ["fragment", ["--max-send-fragment", "511"], /^--max-send-fragment: .* from 512 to 16384$/],
    ["compression", ["--certificate-compression", "gzip"], /^--certificate-compression: "gzip" is none of /],
    ["compression twice", ["--certificate-compression", "zlib,zlib"], /: names something twice$/],
    ["timeout", ["--timeout", "0"], /^--timeout: /],
    ["certificate without key", ["--cert2", "x"], /^--key2 is missing: /],
    ["key without certificate", ["--key", "x"], /^--cert is missing: /],
    ["file", ["--ca", "/nonexistent/ca.crt"], /^--ca: .* does not exist$/],
  ];
  test.each(cases)("%s", (_, words, message) => {
    for (const side of [client, server]) {
      const error = caught(() => side(...words));
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toMatch(message);
    }
  });

  test("of one side", () => {
    expect(caught(() => client("--servername", "a b")).message).toMatch(/^--servername: /);
    expect(caught(() => server("--require-cert")).message).toMatch(/^--ca is missing: /);
    expect(caught(() => server("--tickets", "17")).message).toMatch(/^--tickets: /);
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

describe("--passphrase-file", () => {
  const PASSPHRASE = "open sesame";
  const write = (name: string, text: string, mode = 0o600): string => {
    writeFileSync(file(name), text, { mode });
    return file(name);
  };
  /** The private key of an SAE or the server, encrypted. */
  function encrypted(name: string): string {
    const key = createPrivateKey(readFileSync(file(`${name}.key`)));
    const cipher = { cipher: "aes-256-cbc", passphrase: PASSPHRASE };
    return write(`${name}.enc`, key.export({ type: "pkcs8", format: "pem", ...cipher }).toString());
  }

  test("opens the keys of the channel and of the KME; plain keys need none", () => {
    const key = encrypted("server");
    const given = write("passphrase", `${PASSPHRASE}\n`);
    const options = server("--cert", file("server.crt"), "--key", key, "--passphrase-file", given);
    expect(options).toMatchObject({ passphrase: PASSPHRASE });
    createServer(options);
    createServer(
      server("--cert", file("server.crt"), "--key", file("server.key"), "--passphrase-file", given),
    );
    const words = kme("sae-a").map((word) => (word === file("sae-a.key") ? encrypted("sae-a") : word));
    client(...words, "--peer-sae", "sae-b", "--passphrase-file", given).qkd?.source.close();
  });

  test("an encrypted key without it, or with another, is refused", () => {
    const words = ["--cert", file("server.crt"), "--key", encrypted("server")];
    expect(() => createServer(server(...words))).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "key" }),
    );
    const other = write("other", "wrong");
    expect(() => createServer(server(...words, "--passphrase-file", other))).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "key" }),
    );
  });

  test.each([
    ["a missing file", () => file("nowhere"), "ERR_FILE_INVALID"],
    ["an empty file", () => write("empty", "\n"), "ERR_FILE_INVALID"],
    ["two lines", () => write("two", "one\ntwo\n"), "ERR_FILE_INVALID"],
    ["a file that is no passphrase", () => write("long", "x".repeat(1025)), "ERR_FILE_INVALID"],
    ["a file that others may read", () => write("open", PASSPHRASE, 0o644), "ERR_FILE_UNSAFE"],
  ])("%s is refused", (_, path, code) => {
    const words = ["--cert", file("server.crt"), "--key", file("server.key"), "--passphrase-file", path()];
    expect(() => server(...words)).toThrow(expect.objectContaining({ code, option: "--passphrase-file" }));
  });

  test("without a key there is nothing to open", () => {
    const given = write("lonely", PASSPHRASE);
    expect(() => client("--passphrase-file", given)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_MISSING", option: "--key" }),
    );
  });
});
