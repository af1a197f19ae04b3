import { describe, expect, test } from "vitest";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";
import {
  checkDelegatedCredential,
  issueDelegatedCredential,
  loadDelegatedIdentity,
  type Delegation,
  type DelegationWishes,
} from "../../src/pki/delegated-credential.ts";
import { DELEGATION_USAGE } from "../../src/pki/extensions.ts";
import { toPem } from "../../src/pki/pem.ts";
import type { SignatureSchemeName } from "../../src/protocol/iana.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { DelegatedCredential } from "../../src/wire/delegated.ts";
import { authority, issue, now, type Party, provider, server, type Wishes } from "./bed.ts";

const DAY_MS = 86_400_000;
const NULL = Uint8Array.of(5, 0);
const usage = (critical = false, value = NULL) => ({
  extensions: [{ oid: DELEGATION_USAGE, critical, value }],
});
const root = authority();
const delegating = (wishes: Wishes = {}) => issue(root, { ...server, ...usage(), ...wishes });
const owner = delegating();
const schemes = [
  "ecdsa_secp256r1_sha256",
  "ecdsa_secp384r1_sha384",
  "ed25519",
  "rsa_pss_rsae_sha256",
] as const;

/** A credential by this party for a fresh key. */
function delegate(
  by: Party = owner,
  kind: KeyKind = "ed25519",
  scheme: SignatureSchemeName = "ed25519",
  changes: Partial<DelegationWishes> = {},
) {
  const { spki, pkcs8 } = generateKeyPair(kind);
  const bytes = issueDelegatedCredential({
    signer: "server",
    leaf: by.certificate,
    signingKey: by.key,
    algorithm: "ecdsa_secp256r1_sha256",
    spki,
    scheme,
    notAfterMs: now + DAY_MS,
    ...changes,
  });
  return { bytes, delegated: decode(DelegatedCredential, bytes), pkcs8 };
}

/** Checks it as a client would, unless told otherwise. */
function check(delegated: DelegatedCredential, changes: Partial<Delegation> = {}, by: Party = owner) {
  const key = provider.verifyingKey(by.certificate.spki);
  if (key === undefined) throw new Error("the leaf has a key");
  const leaf = by.certificate;
  return checkDelegatedCredential(provider, delegated, {
    leaf,
    key,
    signer: "server",
    schemes,
    nowMs: now,
    ...changes,
  });
}

const illegal = expect.objectContaining({ code: "ERR_TLS_ILLEGAL_PARAMETER", alert: "illegal_parameter" });

describe("RFC 9345 §4.1.3: a peer's delegated credential", () => {
  test.each<[KeyKind, SignatureSchemeName]>([
    ["ed25519", "ed25519"],
    ["secp256r1", "ecdsa_secp256r1_sha256"],
    ["secp384r1", "ecdsa_secp384r1_sha384"],
  ])("gives a key of %s that verifies with %s", (kind, scheme) => {
    const { delegated, pkcs8 } = delegate(owner, kind, scheme);
    const key = check(delegated);
    expect(key).toMatchObject({ kind, scheme });
    const message = Uint8Array.of(1, 2, 3);
    const algorithm = kind === "ed25519" ? "ed25519" : kind === "secp256r1" ? "ecdsa-sha256" : "ecdsa-sha384";
    expect(key.verify(algorithm, message, provider.signingKey(pkcs8).sign(algorithm, message))).toBe(true);
  });

  test("holds to the second of its end, and for seven days at most", () => {
    const { delegated } = delegate();
    for (const nowMs of [now + DAY_MS, now - 6 * DAY_MS])
      expect(() => check(delegated, { nowMs })).not.toThrow();
    for (const nowMs of [now + DAY_MS + 1, now - 6 * DAY_MS - 1])
      expect(() => check(delegated, { nowMs }), `${nowMs - now}`).toThrow(illegal);
  });

  test.each<[string, Wishes]>([
    ["does not say that it may delegate", { extensions: [] }],
    ["is not meant to sign", { ...usage(), keyUsage: ["keyAgreement"] }],
  ])("§4.2: one by a certificate that %s is illegal_parameter", (_, wishes) => {
    const by = delegating(wishes);
    expect(() => check(delegate(by).delegated, {}, by)).toThrow(illegal);
  });

  test.each<[string, (delegated: DelegatedCredential) => DelegatedCredential]>([
    [
      "a changed time",
      ({ cred, ...rest }) => ({ ...rest, cred: { ...cred, valid_time: cred.valid_time + 1 } }),
    ],
    [
      "a changed signature",
      (it) => ({ ...it, signature: it.signature.map((byte, at) => byte ^ (at === 9 ? 1 : 0)) }),
    ],
    ["another algorithm of the signature", (it) => ({ ...it, algorithm: 0x0807 })],
    ["a signature by PKCS #1", (it) => ({ ...it, algorithm: 0x0401 })],
    ["an algorithm of nobody", (it) => ({ ...it, algorithm: 0x0a0a })],
    [
      "another scheme of the key",
      ({ cred, ...rest }) => ({ ...rest, cred: { ...cred, dc_cert_verify_algorithm: 0x0403 } }),
    ],
  ])("with %s it is illegal_parameter", (_, change) => {
    expect(() => check(change(delegate().delegated))).toThrow(illegal);
  });

  test("of a scheme that was not offered, or signed with one, it is illegal_parameter", () => {
    const { delegated } = delegate();
    expect(() => check(delegated, { schemes: ["ecdsa_secp256r1_sha256"] })).toThrow(illegal);
    expect(() => check(delegated, { schemes: ["ed25519"] })).toThrow(illegal);
  });

  test("§4: an RSA key that does not say that it is for PSS alone is illegal_parameter", () => {
    expect(() => check(delegate(owner, "rsa", "rsa_pss_rsae_sha256").delegated)).toThrow(illegal);
  });

  test("with a key that is none, or of another kind than its scheme, it is illegal_parameter", () => {
    expect(() => check(delegate(owner, "secp256r1", "ed25519").delegated)).toThrow(illegal);
    expect(() =>
      check(delegate(owner, "ed25519", "ed25519", { spki: Uint8Array.of(0x30, 0) }).delegated),
    ).toThrow(illegal);
  });

  test("by another certificate, or for the other role, it is illegal_parameter", () => {
    expect(() => check(delegate().delegated, {}, delegating())).toThrow(illegal);
    expect(() => check(delegate().delegated, { signer: "client" })).toThrow(illegal);
    const ofClient = delegate(owner, "ed25519", "ed25519", { signer: "client" });
    expect(() => check(ofClient.delegated, { signer: "client" })).not.toThrow();
  });
});

describe("RFC 9345 §4.2: DelegationUsage", () => {
  test("is read, and is absent by default", () => {
    expect(owner.certificate.delegationUsage).toBe(true);
    expect(root.certificate.delegationUsage).toBe(false);
  });

  test.each([
    ["critical", usage(true)],
    ["with a value", usage(false, Uint8Array.of(4, 0))],
  ])("%s it is bad_certificate", (_, wishes) => {
    expect(() => delegating(wishes)).toThrow(expect.objectContaining({ alert: "bad_certificate" }));
  });
});

describe("an identity of ours with a delegated key", () => {
  const pem = (...parties: Party[]) =>
    parties.map(({ certificate }) => toPem("CERTIFICATE", certificate.der)).join("");
  const made = delegate();
  const good = { cert: pem(owner, root), key: made.pkcs8, delegatedCredential: made.bytes };

  test("signs with the delegated key under its one scheme, and shows the certificate's chain", () => {
    const identity = loadDelegatedIdentity(provider, good);
    expect(identity).toMatchObject({ schemes: ["ed25519"], delegatedCredential: made.bytes });
    expect(identity.key.kind).toBe("ed25519");
    expect(identity.chain).toEqual([owner.certificate.der, root.certificate.der]);
  });

  test("of another key, of RSA, of another kind than its scheme, or of no syntax is refused by name", () => {
    const refuses = (changes: Partial<typeof good>, option: string) =>
      expect(() => loadDelegatedIdentity(provider, { ...good, ...changes })).toThrow(
        expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
      );
    refuses({ key: delegate().pkcs8 }, "key");
    const rsa = delegate(owner, "rsa", "rsa_pss_rsae_sha256");
    refuses({ key: rsa.pkcs8, delegatedCredential: rsa.bytes }, "delegatedCredential");
    const crossed = delegate(owner, "secp256r1", "ed25519");
    refuses({ key: crossed.pkcs8, delegatedCredential: crossed.bytes }, "delegatedCredential");
    refuses({ delegatedCredential: made.bytes.subarray(1) }, "delegatedCredential");
    refuses({ delegatedCredential: new Uint8Array([...made.bytes, 0]) }, "delegatedCredential");
  });

  test("a time that does not fit is the caller's mistake", () => {
    expect(() => delegate(owner, "ed25519", "ed25519", { notAfterMs: now - 30 * DAY_MS })).toThrow(
      RangeError,
    );
    expect(encode(DelegatedCredential, made.delegated)).toEqual(made.bytes);
  });
});
