import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { certificatesFromPem, pemBlocks, privateKeyFromPem, toPem } from "../../src/pki/pem.ts";
import { authority } from "./bed.ts";

const root = authority();
const pem = toPem("CERTIFICATE", root.certificate.der);
const key = toPem("PRIVATE KEY", root.pkcs8);
const refusal = (option: string, message: RegExp) =>
  expect.objectContaining({ code: "ERR_FILE_INVALID", option, message: expect.stringMatching(message) });

describe("PEM", () => {
  test("comes back as it went, whatever the bytes and line ends", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        (der, end) => {
          const text = `a comment${end}${toPem("SOME THING", der).replaceAll("\n", end)}and more`;
          expect(pemBlocks(text, "cert")).toEqual([{ label: "SOME THING", der }]);
        },
      ),
    );
    for (const line of pem.trim().split("\n")) expect(line.length).toBeLessThanOrEqual(64);
  });

  test("certificates and keys may share a file", () => {
    const both = `${key}${pem}${pem}`;
    expect(certificatesFromPem(both, "cert").map(({ der }) => der)).toEqual([
      root.certificate.der,
      root.certificate.der,
    ]);
    expect(privateKeyFromPem(both, "key")).toEqual(root.pkcs8);
    expect(privateKeyFromPem(new TextEncoder().encode(both), "key")).toEqual(root.pkcs8);
  });

  test("DER files are taken as they are", () => {
    expect(certificatesFromPem(root.certificate.der, "cert")).toHaveLength(1);
    expect(privateKeyFromPem(root.pkcs8, "key")).toBe(root.pkcs8);
  });

  test.each([
    ["nothing", "", /holds no certificate/],
    ["a key", key, /holds no certificate/],
    ["no end", pem.replace(/-----END.*/, ""), /without an end/],
    ["another end", pem.replace("END CERTIFICATE", "END PUBLIC KEY"), /out of place/],
    ["a block within a block", `-----BEGIN CERTIFICATE-----\n${pem}`, /out of place/],
    ["no base64", pem.replace(/\n[A-Za-z]/, "\n!"), /not base64/],
    ["half a base64 group", pem.replace(/(\n[^\n]*)[^\n]\n-----END/, "$1\n-----END"), /not base64/],
    ["an empty block", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", /not base64/],
    [
      "bytes that are no certificate",
      toPem("CERTIFICATE", Uint8Array.of(0x30, 0)),
      /number 1.*cannot be read/,
    ],
  ])("refuses %s as certificate", (_, text, message) => {
    expect(() => certificatesFromPem(text, "ca")).toThrow(refusal("ca", message));
  });

  test.each([
    ["no key", pem, /holds no private key/],
    [
      "an encrypted one",
      toPem("ENCRYPTED PRIVATE KEY", Uint8Array.of(1)),
      /encrypted private key; an unencrypted PKCS #8/,
    ],
    ["an EC one", toPem("EC PRIVATE KEY", Uint8Array.of(1)), /form "EC PRIVATE KEY"; an unencrypted PKCS #8/],
    ["an RSA one", toPem("RSA PRIVATE KEY", Uint8Array.of(1)), /form "RSA PRIVATE KEY"/],
    [
      "an old encrypted one",
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----",
      /encrypted "RSA PRIVATE KEY"/,
    ],
  ])("refuses %s as key", (_, text, message) => {
    expect(() => privateKeyFromPem(text, "key")).toThrow(refusal("key", message));
  });

  test("errors do not quote the key", () => {
    const broken = key.replace(/\n-----END.*/, "");
    const secret = key.split("\n")[1] ?? "";
    expect(() => privateKeyFromPem(broken, "key")).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(secret) }),
    );
  });
});
