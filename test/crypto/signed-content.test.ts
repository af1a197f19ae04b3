import { expect, test } from "vitest";
import { signatureContext } from "../../src/crypto/signed-content.ts";
import { fromUtf8 } from "../../src/protocol/bytes.ts";

test("RFC 9846 §4.5.2: 64 spaces, the context string and a zero", () => {
  expect(fromUtf8(signatureContext("TLS 1.3, server CertificateVerify"))).toBe(
    `${" ".repeat(64)}TLS 1.3, server CertificateVerify\0`,
  );
});
