import { expect, test } from "vitest";
import { keyResolver } from "../../src/channel/public-key.ts";
import { CertificateCache, parseCertificate } from "../../src/pki/certificate.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { credentials, provider } from "../support/credentials.ts";

const der = credentials().identity.chain[0]!;

test("the key of a certificate verifies, and is made once as long as the certificate is remembered", () => {
  const resolve = keyResolver(provider, new CertificateCache());
  const key = resolve(der);
  expect(key.kind).toBe("secp256r1");
  expect(resolve(der.slice())).toBe(key);
});

test("§4.5.1: a key that this provider does not support is unsupported_certificate", () => {
  const without: CryptoProvider = { ...provider, verifyingKey: () => undefined };
  const resolve = keyResolver(without, new CertificateCache());
  expect(() => resolve(der)).toThrow(
    expect.objectContaining({ code: "ERR_CERT_UNSUPPORTED", alert: "unsupported_certificate" }),
  );
});

test("bytes that are no certificate are refused with an alert", () => {
  const resolve = keyResolver(provider, new CertificateCache());
  expect(() => resolve(der.subarray(0, 40))).toThrow(expect.objectContaining({ alert: expect.any(String) }));
  expect(parseCertificate(der).der).toEqual(der);
});
