import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makePki, pkiAlgorithms } from "../../src/cli/pki-files.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import { trustAnchors } from "../../src/pki/anchors.ts";
import { loadIdentity } from "../../src/pki/identity.ts";
import { certificatesFromPem } from "../../src/pki/pem.ts";
import { verifyChain } from "../../src/pki/verify.ts";

const provider = nodeProvider();
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const read = (name: string) => readFileSync(join(directory, name), "utf8");
const identity = (name: string) =>
  loadIdentity(provider, { cert: read(`${name}.crt`), key: read(`${name}.key`) });
const verify = (name: string, purpose: "server" | "client", host?: string) =>
  verifyChain({
    provider,
    chain: [identity(name).leaf],
    anchors: trustAnchors(certificatesFromPem(read("ca.crt"), "ca")),
    purpose,
    name: host,
    nowMs: Date.now(),
  });

describe("makePki", () => {
  test("makes RSA keys of 3072 bits", () => {
    makePki({ directory, algorithm: "rsa", kmeIds: [], saeIds: [] });
    expect(identity("server").leaf.publicKey).toMatchObject({ kind: "rsa", modulusBits: 3072 });
    expect(verify("server", "server", "localhost").anchor.isCa).toBe(true);
  });

  test.each(["ecdsa", "ed25519", "ml-dsa"] as const)("makes a test bed with %s", (algorithm) => {
    const entries = makePki({ directory, algorithm });
    expect(entries.map(({ role, commonName }) => `${role} ${commonName}`)).toEqual([
      "ca qkd-tls test bed CA",
      "server server",
      "client client",
      "kme kme-a",
      "kme kme-b",
      "sae sae-a",
      "sae sae-b",
    ]);
    expect(readdirSync(directory).toSorted()).toEqual(
      [
        "ca.crt",
        ...["client", "kme-a", "kme-b", "sae-a", "sae-b", "server"].flatMap((n) => [`${n}.crt`, `${n}.key`]),
      ].toSorted(),
    );
    for (const host of ["localhost", "127.0.0.1", "::1"]) {
      for (const name of ["server", "kme-a"]) expect(verify(name, "server", host).name).toBe(host);
    }
    for (const name of ["client", "kme-b", "sae-a"])
      expect(verify(name, "client").leaf.subject.commonName).toBe(name);
    expect(() => verify("sae-a", "server")).toThrow(
      expect.objectContaining({ code: "ERR_CERT_UNSUPPORTED" }),
    );
    expect(identity("server").key.kind).toBe(pkiAlgorithms[algorithm]);
  });

  test("keys are for their owner alone, also where a readable file was before", () => {
    writeFileSync(join(directory, "server.key"), "old", { mode: 0o644 });
    makePki({ directory, force: true });
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).mode & 0o777, name).toBe(name.endsWith(".key") ? 0o600 : 0o644);
    }
  });

  test("names, lifetime and folder are as asked", () => {
    const deep = join(directory, "a", "b");
    const options = {
      directory: deep,
      days: 2,
      hosts: ["*.lab.example", "192.0.2.7"],
      saeIds: ["alice"],
      kmeIds: [],
    };
    const entries = makePki(options);
    expect(entries.map(({ commonName }) => commonName)).toEqual([
      "qkd-tls test bed CA",
      "server",
      "client",
      "alice",
    ]);
    const [leaf] = certificatesFromPem(readFileSync(join(deep, "server.crt")), "cert");
    expect(leaf?.dnsNames).toEqual(["*.lab.example"]);
    expect(leaf?.ipAddresses).toEqual([Uint8Array.of(192, 0, 2, 7)]);
    expect((leaf?.notAfterMs ?? 0) - (leaf?.notBeforeMs ?? 0)).toBe(2 * 86_400_000);
  });

  test("replaces nothing unless told to, and then everything", () => {
    makePki({ directory });
    const before = read("ca.crt");
    expect(() => makePki({ directory })).toThrow(
      expect.objectContaining({ code: "ERR_FILE_UNSAFE", option: "force" }),
    );
    expect(read("ca.crt")).toBe(before);
    makePki({ directory, force: true });
    expect(read("ca.crt")).not.toBe(before);
    expect(verify("server", "server", "localhost").anchor.isCa).toBe(true);
  });

  test.each([
    ["sae", { saeIds: ["../../etc/passwd"] }],
    ["sae", { saeIds: ["a/b"] }],
    ["sae", { saeIds: [""] }],
    ["sae", { saeIds: ["same", "SAME"] }],
    ["kme", { kmeIds: ["server"] }],
    ["sae", { saeIds: ["kme-a"] }],
    ["days", { days: 0 }],
    ["days", { days: 1.5 }],
    ["host", { hosts: [] }],
    ["host", { hosts: ["not a host"] }],
    ["host", { hosts: ["300.1.1.1"] }],
  ])("refuses a bad %s and writes nothing", (option, changes) => {
    expect(() => makePki({ directory, ...changes })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a folder that cannot be one is an error of the system, not a crash of ours", () => {
    writeFileSync(join(directory, "file"), "");
    mkdirSync(join(directory, "ok"));
    expect(() => makePki({ directory: join(directory, "file") })).toThrow(
      expect.objectContaining({ code: "EEXIST" }),
    );
  });
});
