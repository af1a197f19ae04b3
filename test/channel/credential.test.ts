import { AsnConvert } from "@peculiar/asn1-schema";
import { Certificate, Version } from "@peculiar/asn1-x509";
import { describe, expect, test } from "vitest";
import { credentialsOf } from "../../src/channel/credential.ts";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import { issueDelegatedCredential } from "../../src/pki/delegated-credential.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { credentials } from "../support/credentials.ts";
import { authority, issue, server } from "../pki/bed.ts";

const { identity } = credentials();
const { der } = identity.leaf;
const external = { ...identity, key: "external" };

function refusal(credential: object): UsageError {
  try {
    // Checked for callers whose types nobody checked.
    credentialsOf({ credentials: [credential] as never });
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error("it was accepted");
}

/** The leaf as it would have been before X.509v3. */
function firstVersion(der: Uint8Array): Uint8Array {
  const old = AsnConvert.parse(der, Certificate);
  old.tbsCertificate.version = Version.v1;
  delete old.tbsCertificate.extensions;
  return new Uint8Array(AsnConvert.serialize(old));
}

const unsigning = issue(authority(), { ...server, keyUsage: ["keyAgreement"] }).certificate.der;
const delegated = {
  ...external,
  schemes: ["ed25519"],
  delegatedCredential: issueDelegatedCredential({
    signer: "server",
    leaf: identity.leaf,
    signingKey: identity.key,
    algorithm: "ecdsa_secp256r1_sha256",
    spki: generateKeyPair("ed25519").spki,
    scheme: "ed25519",
    notAfterMs: identity.leaf.notBeforeMs + 1000,
  }),
};
const timestamps = (...lengths: number[]) => ({
  ...identity,
  signedCertificateTimestampList: lengths.map((length) => new Uint8Array(length)),
});

describe("a credential that no peer would take is a UsageError that names `credentials`", () => {
  test.each<[string, object]>([
    ["no credential at all", {}],
    ["no chain", { ...identity, chain: [] }],
    ["a chain in text", { ...identity, chain: ["-----BEGIN CERTIFICATE-----"] }],
    ["a certificate type of nobody", { ...identity, certificateType: "OpenPGP" }],
    [
      "RFC 9846 §4.5.1: two raw public keys",
      { ...identity, certificateType: "RawPublicKey", chain: [der, der] },
    ],
    ["no scheme", { ...identity, schemes: [] }],
    ["a scheme of nobody", { ...identity, schemes: ["rsa_sha1"] }],
    ["RFC 6066 §8: an empty OCSP answer", { ...identity, ocspResponse: new Uint8Array(0) }],
    ["an OCSP answer in text", { ...identity, ocspResponse: "MAMKAQE=" }],
    ["RFC 6962 §3.3: an empty list of timestamps", timestamps()],
    ["RFC 6962 §3.3: an empty timestamp", timestamps(4, 0)],
    ["RFC 6962 §3.3: more timestamps than the list has room for", timestamps(40_000, 40_000)],
    ["timestamps that are no list", { ...identity, signedCertificateTimestampList: new Uint8Array(9) }],
    ["RFC 9846 §4.5.1.2: X.509v1, for a key elsewhere", { ...external, chain: [firstVersion(der)] }],
    [
      "RFC 9846 §4.5.1.2: a leaf that does not sign, for a key elsewhere",
      { ...external, chain: [unsigning] },
    ],
    ["no certificate, for a key elsewhere", { ...external, chain: [Uint8Array.of(0x30, 0)] }],
    ["no public key, for a raw key elsewhere", { ...external, certificateType: "RawPublicKey" }],
    [
      "RFC 9345 §4: a delegated credential of no syntax",
      { ...identity, delegatedCredential: Uint8Array.of(1) },
    ],
    ["a delegated credential in text", { ...identity, delegatedCredential: "AAFRgA==" }],
    ["one beside a raw public key", { ...delegated, certificateType: "RawPublicKey" }],
    [
      "a scheme that does not fit the delegated key, for a key elsewhere",
      { ...delegated, schemes: identity.schemes },
    ],
    ["a scheme for another kind of key, for a key elsewhere", { ...external, schemes: ["ed25519"] }],
  ])("%s", (_, credential) => {
    expect(refusal(credential)).toMatchObject({ option: "credentials", code: "ERR_OPTION_INVALID" });
  });

  test("a good one is taken as it is", () => {
    const stapled = {
      ...external,
      ocspResponse: Uint8Array.of(1),
      signedCertificateTimestampList: [Uint8Array.of(1), Uint8Array.of(2, 3)],
    } as const;
    const raw = { ...external, certificateType: "RawPublicKey", chain: [identity.leaf.spki] } as const;
    const given = [identity, stapled, raw, delegated] as never;
    expect(credentialsOf({ credentials: given })).toBe(given);
    expect(credentialsOf({})).toEqual([]);
  });
});
