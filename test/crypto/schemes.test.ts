import { expect, test } from "vitest";
import { fits } from "../../src/crypto/keys.ts";
import { nobleProvider } from "../../src/crypto/noble.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import { schemeOf, schemes, schemesFor, verifiableSchemes } from "../../src/crypto/schemes.ts";
import { SignatureScheme } from "../../src/protocol/iana.ts";

test("every scheme of the registry is described by its own code, and fits its key", () => {
  for (const [name, code] of Object.entries(SignatureScheme))
    expect(schemeOf(code)).toMatchObject({ name, code });
  expect(schemes.length).toBe(Object.keys(SignatureScheme).length);
  for (const scheme of schemes) expect(fits(scheme.kind, scheme.algorithm), scheme.name).toBe(true);
  expect(schemeOf(0x0203)).toBeUndefined();
});

test("RFC 9846 §4.3.3: rsa_pkcs1 is for certificates alone", () => {
  const withheld = schemes.filter((scheme) => !scheme.handshake).map(({ name }) => name);
  expect(withheld).toEqual(["rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"]);
  expect(schemesFor("rsa")).toEqual(["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"]);
});

test("RFC 9846 §4.3.3: no scheme of TLS 1.2 with MD5, SHA-1 or SHA-224, and no DSA", () => {
  const old = schemes.filter(({ code }) => code >> 8 < 4 || (code >> 8 < 7 && (code & 0xff) === 2));
  expect(old).toEqual([]);
});

test("a key kind knows its schemes", () => {
  expect(schemesFor("secp256r1")).toEqual(["ecdsa_secp256r1_sha256"]);
  expect(schemesFor("ml-dsa-65")).toEqual(["mldsa65"]);
  expect(schemesFor("rsa-pss")).toEqual(["rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512"]);
  expect(schemesFor("secp521r1")).toEqual(["ecdsa_secp521r1_sha512"]);
});

test("a provider without RSA does not claim to verify it", () => {
  expect(verifiableSchemes(nodeProvider()).length).toBe(schemes.length);
  expect(verifiableSchemes(nobleProvider()).filter((name) => name.startsWith("rsa"))).toEqual([]);
  expect(verifiableSchemes(nobleProvider())[0]).toBe("mldsa65");
});
