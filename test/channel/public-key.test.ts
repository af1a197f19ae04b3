import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { keyResolver } from "../../src/channel/public-key.ts";
import { CertificateCache, parseCertificate } from "../../src/pki/certificate.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { credentials, provider } from "../support/credentials.ts";

const der = credentials().identity.chain[0]!;

test("the key of a certificate verifies, and is made once as long as the certificate is remembered", () => {
  const resolve = keyResolver(provider, new CertificateCache());
  const key = resolve(der, "X509");
  expect(key.kind).toBe("secp256r1");
  expect(resolve(der.slice(), "X509")).toBe(key);
});

test("§4.5.1: a key that this provider does not support is unsupported_certificate", () => {
  const without: CryptoProvider = { ...provider, verifyingKey: () => undefined };
  const resolve = keyResolver(without, new CertificateCache());
  expect(() => resolve(der, "X509")).toThrow(
    expect.objectContaining({ code: "ERR_CERT_UNSUPPORTED", alert: "unsupported_certificate" }),
  );
});

test("bytes that are no certificate are refused with an alert", () => {
  const resolve = keyResolver(provider, new CertificateCache());
  expect(() => resolve(der.subarray(0, 40), "X509")).toThrow(
    expect.objectContaining({ alert: expect.any(String) }),
  );
  expect(parseCertificate(der).der).toEqual(der);
});

test("RFC 7250 §3: a raw public key is the key itself; what is none is decode_error", () => {
  const resolve = keyResolver(provider, new CertificateCache());
  const { spki } = parseCertificate(der);
  expect(resolve(spki, "RawPublicKey").kind).toBe("secp256r1");
  for (const bytes of [der, spki.subarray(0, 40), new Uint8Array([...spki, 0]), new Uint8Array(0)]) {
    expect(() => resolve(bytes, "RawPublicKey")).toThrow(
      expect.objectContaining({ code: "ERR_TLS_DECODE", alert: "decode_error" }),
    );
  }
});

test("RFC 7250: a raw key of a kind that is not used here is unsupported_certificate", () => {
  const { publicKey } = generateKeyPairSync("x25519");
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  expect(() => keyResolver(provider, new CertificateCache())(spki, "RawPublicKey")).toThrow(
    expect.objectContaining({ code: "ERR_CERT_UNSUPPORTED", alert: "unsupported_certificate" }),
  );
});
