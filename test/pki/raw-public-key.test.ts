import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { holdsKey, publicKeysFromPem, readRawPublicKey } from "../../src/pki/raw-public-key.ts";
import { toPem } from "../../src/pki/pem.ts";
import { credentials } from "../support/credentials.ts";

const { spki } = credentials().identity.leaf;
const other = credentials("ed25519").identity.leaf.spki;
const x25519 = new Uint8Array(
  generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "der" }),
);

test.each(["secp256r1", "secp384r1", "ed25519", "rsa", "rsa-pss", "ml-dsa-44"] as const)(
  "a SubjectPublicKeyInfo of %s is known for what it is",
  (kind) => {
    expect(readRawPublicKey(credentials(kind).identity.leaf.spki)).toBe(kind);
  },
);

test("a key of another use has no kind here", () => {
  expect(readRawPublicKey(x25519)).toBeUndefined();
});

test("what is no SubjectPublicKeyInfo is decode_error", () => {
  for (const bytes of [
    new Uint8Array(0),
    spki.subarray(1),
    new Uint8Array([...spki, 0]),
    credentials().ca.der,
  ]) {
    expect(() => readRawPublicKey(bytes)).toThrow(expect.objectContaining({ alert: "decode_error" }));
  }
});

test("keys come from PEM, text or bytes, or from DER, in memory of their own", () => {
  const pem = `${toPem("PUBLIC KEY", spki)}${toPem("PUBLIC KEY", other)}`;
  expect(publicKeysFromPem(pem, "keys")).toEqual([spki, other]);
  expect(publicKeysFromPem(new TextEncoder().encode(pem), "keys")).toEqual([spki, other]);
  const [der] = publicKeysFromPem(spki, "keys");
  expect(der).toEqual(spki);
  expect(der).not.toBe(spki);
});

test.each([
  ["nothing", ""],
  ["a certificate", credentials().certPem],
  ["a private key", credentials().keyPem],
  ["bytes that are none", toPem("PUBLIC KEY", Uint8Array.of(0x30, 1, 2))],
  ["a key of another use", toPem("PUBLIC KEY", x25519)],
])("%s is a UsageError about the option", (_, pem) => {
  expect(() => publicKeysFromPem(pem, "keys")).toThrow(
    expect.objectContaining({ code: "ERR_FILE_INVALID", option: "keys" }),
  );
});

test("a key is among others when it is the same, byte by byte", () => {
  expect(holdsKey([other, spki.slice()], spki)).toBe(true);
  expect(holdsKey([other], spki)).toBe(false);
  expect(holdsKey([], spki)).toBe(false);
});
