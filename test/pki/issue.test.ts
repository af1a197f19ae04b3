import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { KeyKind, SignatureAlgorithm } from "../../src/crypto/provider.ts";
import { toPem } from "../../src/pki/pem.ts";
import { authority, check, issue, period, server } from "./bed.ts";

const issuers: readonly [KeyKind, SignatureAlgorithm | undefined, string][] = [
  ["secp256r1", undefined, "ecdsa-sha256"],
  ["secp256r1", "ecdsa-sha384", "ecdsa-sha384"],
  ["secp384r1", undefined, "ecdsa-sha384"],
  ["secp521r1", undefined, "ecdsa-sha512"],
  ["ed25519", undefined, "ed25519"],
  ["rsa", undefined, "rsa-pkcs1-sha256"],
  ["rsa", "rsa-pkcs1-sha512", "rsa-pkcs1-sha512"],
  ["rsa", "rsa-pss-sha384", "rsa-pss-sha384"],
  ["rsa-pss", undefined, "rsa-pss-sha256"],
  ["ml-dsa-44", undefined, "ml-dsa-44"],
  ["ml-dsa-65", undefined, "ml-dsa-65"],
  ["ml-dsa-87", undefined, "ml-dsa-87"],
];

const opensslIsAbsent = spawnSync("openssl", ["version"]).status !== 0;
if (opensslIsAbsent)
  console.info("OpenSSL's verdict on issued certificates: skipped, there is no openssl command");

describe("issueCertificate", () => {
  test.each(issuers)("by %s (%s): verifies, and not when changed", (kind, algorithm, expected) => {
    const root = authority({ algorithm }, kind);
    const leaf = issue(root, { ...server, algorithm });
    expect(leaf.certificate.signature.algorithm).toBe(expected);
    expect(root.certificate.publicKey.kind).toBe(kind);
    expect(check([leaf], [root]).anchor).toBe(root.certificate);

    const tbs = leaf.certificate.tbs.slice();
    tbs[tbs.length - 1] = (tbs.at(-1) ?? 0) ^ 1;
    const forged = { ...leaf, certificate: { ...leaf.certificate, tbs } };
    expect(() => check([forged], [root])).toThrow(expect.objectContaining({ code: "ERR_CERT_INVALID" }));

    if (kind.startsWith("ml-dsa")) return; // OpenSSL before 3.5 does not know it.
    const theirs = new X509Certificate(leaf.certificate.der);
    expect(theirs.verify(new X509Certificate(root.certificate.der).publicKey)).toBe(true);
    expect(theirs.checkIssued(new X509Certificate(root.certificate.der))).toBe(true);
    expect(theirs.checkHost("server.example")).toBe("server.example");
  });

  test.skipIf(opensslIsAbsent)("OpenSSL accepts the chain and its extensions under its strict rules", () => {
    const root = authority({ pathLength: 0 });
    const leaf = issue(root, { ...server, ipAddresses: ["127.0.0.1", "::1", "::ffff:1.2.3.4"] });
    const directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
    try {
      const files = [root, leaf].map(({ certificate }, at) => {
        const path = join(directory, `${at}.crt`);
        writeFileSync(path, toPem("CERTIFICATE", certificate.der));
        return path;
      });
      const [ca = "", own = ""] = files;
      const time = String(period.notBeforeMs / 1000 + 60);
      const args = ["verify", "-x509_strict", "-purpose", "sslserver", "-attime", time, "-CAfile", ca, own];
      expect(execFileSync("openssl", args, { encoding: "utf8" })).toMatch(/: OK/);
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(new X509Certificate(leaf.certificate.der).subjectAltName).toBe(
      "DNS:server.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:102:304",
    );
  });

  test("serial numbers are positive, 16 octets and different", () => {
    const root = authority();
    const serials = Array.from({ length: 20 }, () => issue(root, server).certificate.serial);
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(issue(root, { serial: Uint8Array.of(0x12, 0x34) }).certificate.serial).toBe("1234");
  });

  test("names without a subject are critical, dates beyond 2049 are kept", () => {
    const notAfterMs = Date.UTC(2060, 0, 1);
    const { certificate } = issue(authority({ notAfterMs }), { ...server, subject: {}, notAfterMs });
    expect(certificate.subject.text).toBe("");
    expect(certificate.dnsNames).toEqual(["server.example"]);
    expect(certificate.notAfterMs).toBe(notAfterMs);
  });

  test.each<[string, object]>([
    ["dnsNames", { dnsNames: ["not a host"] }],
    ["dnsNames", { dnsNames: ["a.*.example"] }],
    ["ipAddresses", { ipAddresses: ["300.1.1.1"] }],
    ["pathLength", { pathLength: 1 }],
    ["notAfterMs", { notAfterMs: 0 }],
    ["subject", { subject: { XX: "y" } }],
  ])("refuses a bad %s", (option, wishes) => {
    const root = authority();
    expect(() => issue(root, wishes)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
    );
  });

  test("refuses a signature algorithm that does not fit the key", () => {
    expect(() => authority({ algorithm: "ed25519" })).toThrow(
      expect.objectContaining({ name: "UsageError" }),
    );
  });
});
