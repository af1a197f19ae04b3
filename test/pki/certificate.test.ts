import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CertificateCache, fingerprint256, parseCertificate } from "../../src/pki/certificate.ts";
import { pemBlocks } from "../../src/pki/pem.ts";
import { TrustError } from "../../src/protocol/errors.ts";
import { authority, issue, period, provider, server } from "./bed.ts";

const root = authority();
const leaf = issue(root, {
  subject: { C: "CH", O: "Ex, ample", OU: "Lab+1", CN: "server" },
  dnsNames: ["server.example", "*.server.example"],
  ipAddresses: ["127.0.0.1", "2001:db8::1"],
  uris: ["urn:sae:a"],
  extendedKeyUsage: ["serverAuth", "clientAuth"],
}).certificate;

const decode = (pem: string) => pemBlocks(pem, "ca")[0]?.der ?? new Uint8Array();

describe("parseCertificate", () => {
  test("reads what was issued", () => {
    expect(leaf).toMatchObject({
      version: 3,
      isCa: false,
      pathLength: undefined,
      keyUsage: ["digitalSignature"],
      extendedKeyUsage: ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
      dnsNames: ["server.example", "*.server.example"],
      uris: ["urn:sae:a"],
      emails: [],
      unknownCriticalExtensions: [],
      nameConstraints: undefined,
      publicKey: { kind: "secp256r1", oid: "1.2.840.10045.2.1" },
      signature: { algorithm: "ecdsa-sha256" },
      notBeforeMs: period.notBeforeMs,
      notAfterMs: period.notAfterMs,
    });
    expect(leaf.ipAddresses.map((octets) => octets.length)).toEqual([4, 16]);
    expect(leaf.subject.text).toBe("CN=server,OU=Lab\\+1,O=Ex\\, ample,C=CH");
    expect(leaf.subject.commonName).toBe("server");
    expect(leaf.authorityKeyId).toEqual(root.certificate.subjectKeyId);
    expect(root.certificate).toMatchObject({ isCa: true, keyUsage: ["keyCertSign", "cRLSign"] });
    expect(Object.isFrozen(leaf)).toBe(true);
  });

  test("agrees with OpenSSL about every root that Node carries", () => {
    for (const pem of rootCertificates) {
      const ours = parseCertificate(decode(pem));
      const theirs = new X509Certificate(pem);
      expect(ours.serial.replace(/^0+/, "")).toBe(theirs.serialNumber.replace(/^0+/, ""));
      expect(ours.isCa || ours.version === 1).toBe(true);
      expect(ours.notAfterMs).toBe(Date.parse(theirs.validTo));
      expect(ours.notBeforeMs).toBe(Date.parse(theirs.validFrom));
      expect(fingerprint256(provider, ours)).toBe(theirs.fingerprint256);
      expect(Buffer.from(ours.spki)).toEqual(theirs.publicKey.export({ format: "der", type: "spki" }));
      expect(ours.publicKey.modulusBits).toBe(theirs.publicKey.asymmetricKeyDetails?.modulusLength);
    }
    expect(rootCertificates.length).toBeGreaterThan(100);
  });

  test("keeps its own copy of the bytes", () => {
    const bytes = leaf.der.slice();
    const parsed = parseCertificate(bytes);
    bytes.fill(0);
    expect(parsed.der).toEqual(leaf.der);
    expect(parsed.tbs.buffer).toBe(parsed.der.buffer);
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["no DER", new TextEncoder().encode("-----BEGIN CERTIFICATE-----")],
    ["an empty sequence", Uint8Array.of(0x30, 0)],
    ["another structure", Uint8Array.of(0x30, 3, 2, 1, 5)],
    ["an indefinite length", Uint8Array.of(0x30, 0x80, 0, 0)],
    ["a truncated one", root.certificate.der.subarray(0, -1)],
    ["one with a tail", Uint8Array.of(...root.certificate.der, 0)],
    ["deep nesting", Uint8Array.from({ length: 4000 }, (_, at) => (at % 2 === 0 ? 0x30 : 0x80))],
    ["a length beyond memory", Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff)],
  ])("refuses %s", (_, bytes) => {
    expect(() => parseCertificate(bytes)).toThrow(
      expect.objectContaining({ code: "ERR_CERT_INVALID", alert: "bad_certificate" }),
    );
  });

  test("refuses a long form of a short length", () => {
    const { der } = leaf;
    const padded = Uint8Array.of(0x30, 0x83, 0, der[2] ?? 0, der[3] ?? 0, ...der.subarray(4));
    expect(der[1]).toBe(0x82);
    expect(() => parseCertificate(padded)).toThrow(/shortest form/);
  });

  test("reads or refuses with its own error whatever byte is changed", () => {
    fc.assert(
      fc.property(fc.nat(leaf.der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = leaf.der.slice();
        bytes[at] = (bytes[at] ?? 0) ^ change;
        try {
          parseCertificate(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(TrustError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("reads or refuses with its own error whatever bytes come", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseCertificate(bytes)).toThrow(TrustError);
      }),
    );
  });

  test("makes no control character printable", () => {
    const odd = issue(root, { subject: { CN: "a\u001b[2Jb\n" } }).certificate;
    expect(odd.subject.text).toBe("CN=a\\u{1b}[2Jb\\u{a}");
  });
});

describe("CertificateCache", () => {
  test("parses equal bytes once", () => {
    const cache = new CertificateCache();
    const first = cache.parse(leaf.der.slice());
    expect(cache.parse(Buffer.from(leaf.der))).toBe(first);
    expect(first).toEqual(parseCertificate(leaf.der));
  });

  test("is not fooled by bytes that end alike", () => {
    const cache = new CertificateCache();
    cache.parse(leaf.der);
    const other = leaf.der.slice();
    const at = Buffer.from(other).indexOf("server.example");
    other[at] = 0x53;
    expect(cache.parse(other).dnsNames[0]).toBe("Server.example");
    expect(cache.parse(leaf.der).dnsNames[0]).toBe("server.example");
  });

  test("stays within its bound and forgets the least recently used", () => {
    const cache = new CertificateCache(2);
    const [a, b, c] = ["a", "b", "c"].map(
      (CN) => issue(root, { ...server, subject: { CN } }).certificate.der,
    );
    if (a === undefined || b === undefined || c === undefined) throw new Error("three were issued");
    const first = cache.parse(a);
    const second = cache.parse(b);
    cache.parse(a);
    cache.parse(c);
    expect(cache.size).toBe(2);
    expect(cache.parse(a)).toBe(first);
    expect(cache.parse(b)).not.toBe(second);
  });

  test("does not keep what it could not read", () => {
    const cache = new CertificateCache();
    expect(() => cache.parse(leaf.der.subarray(1))).toThrow(TrustError);
    expect(cache.size).toBe(0);
  });
});
