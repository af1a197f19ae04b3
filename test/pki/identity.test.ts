import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AsnConvert } from "@peculiar/asn1-schema";
import { Certificate, Version } from "@peculiar/asn1-x509";
import { describe, expect, test } from "vitest";
import type { KeyKind } from "../../src/crypto/provider.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { loadIdentity, loadRawIdentity } from "../../src/pki/identity.ts";
import { certificatesFromPem, toPem } from "../../src/pki/pem.ts";
import { verifyChain } from "../../src/pki/verify.ts";
import { trustAnchors } from "../../src/pki/anchors.ts";
import { authority, issue, issueFor, type Party, provider, server } from "./bed.ts";

const root = authority();
const middle = issue(root, { subject: { CN: "middle" }, isCa: true });
const leaf = issue(middle, server);
const bundle = (...parties: Party[]) =>
  parties.map(({ certificate }) => toPem("CERTIFICATE", certificate.der)).join("");
const keyOf = ({ pkcs8 }: Party) => toPem("PRIVATE KEY", pkcs8);

describe("loadIdentity", () => {
  test.each([
    ["in order", [leaf, middle, root]],
    ["backwards", [root, middle, leaf]],
    ["in disorder", [middle, leaf, root]],
  ])("puts a chain %s leaf first", (_, parties) => {
    const identity = loadIdentity(provider, { cert: bundle(...parties), key: keyOf(leaf) });
    expect(identity.chain).toEqual([leaf, middle, root].map(({ certificate }) => certificate.der));
    expect(identity.leaf.subject.commonName).toBe("server");
    expect(identity.schemes[0]).toBe("ecdsa_secp256r1_sha256");
  });

  test("takes bytes, PEM or DER, and leaves a caller's key alone", () => {
    const der = leaf.pkcs8.slice();
    expect(loadIdentity(provider, { cert: leaf.certificate.der, key: der }).chain).toHaveLength(1);
    expect(der).toEqual(leaf.pkcs8);
    expect(loadIdentity(provider, { cert: utf8(bundle(leaf)), key: utf8(keyOf(leaf)) }).chain).toHaveLength(
      1,
    );
  });

  test.each<[KeyKind, string]>([
    ["secp256r1", "ecdsa_secp256r1_sha256"],
    ["secp384r1", "ecdsa_secp384r1_sha384"],
    ["ed25519", "ed25519"],
    ["rsa", "rsa_pss_rsae_sha256"],
    ["rsa-pss", "rsa_pss_pss_sha256"],
    ["ml-dsa-44", "mldsa44"],
    ["ml-dsa-65", "mldsa65"],
    ["ml-dsa-87", "mldsa87"],
  ])("knows what a %s key signs with", (kind, scheme) => {
    const party = issue(root, server, kind);
    const identity = loadIdentity(provider, { cert: bundle(party), key: keyOf(party) });
    expect(identity.schemes).toContain(scheme);
    expect(identity.key.kind).toBe(kind);
  });

  test("RFC 9846 §4.5.1.2: a leaf that is not X.509v3 is refused", () => {
    const old = AsnConvert.parse(leaf.certificate.der, Certificate);
    old.tbsCertificate.version = Version.v1;
    delete old.tbsCertificate.extensions;
    // What is outside the signed part is as it was; nobody checks the signature of his own certificate.
    const cert = toPem("CERTIFICATE", new Uint8Array(AsnConvert.serialize(old)));
    expect(certificatesFromPem(cert, "cert")[0]?.version).toBe(1);
    expect(() => loadIdentity(provider, { cert, key: keyOf(leaf) })).toThrow(
      expect.objectContaining({ option: "cert", code: "ERR_OPTION_INVALID" }),
    );
  });

  test("RFC 8017 §9.1.1: an RSA key that is too short for a hash does not claim the scheme", () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const pkcs8 = new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" }));
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    const short = issueFor({ pkcs8, spki }, root, server);
    const { schemes } = loadIdentity(provider, { cert: bundle(short), key: keyOf(short) });
    expect(schemes).toEqual(["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384"]);
  });

  test("RFC 9846 §4.5.1.2: a leaf whose key usage is not to sign is refused", () => {
    const party = issue(root, { ...server, keyUsage: ["keyAgreement"] });
    expect(() => loadIdentity(provider, { cert: bundle(party), key: keyOf(party) })).toThrow(
      expect.objectContaining({ option: "cert", code: "ERR_OPTION_INVALID" }),
    );
  });

  test("names the field at fault", () => {
    const good = { cert: bundle(leaf), key: keyOf(leaf) };
    const refuses = (changes: Partial<typeof good>, option: string, code = "ERR_FILE_INVALID") =>
      expect(() => loadIdentity(provider, { ...good, ...changes })).toThrow(
        expect.objectContaining({ option, code }),
      );
    refuses({ key: keyOf(middle) }, "key", "ERR_OPTION_INVALID");
    refuses({ cert: "" }, "cert");
    refuses({ key: "" }, "key");
    refuses({ key: toPem("PRIVATE KEY", Uint8Array.of(0x30, 3, 2, 1, 0)) }, "key");
    refuses({ cert: toPem("CERTIFICATE", Uint8Array.of(0x30, 0)) }, "cert");
  });
});

const folder = join(process.env["QKD_TLS_VECTORS"] ?? "../shared/vectors", "ml-dsa-certificates");
const absent = !existsSync(folder);
if (absent) console.info(`ML-DSA example certificates: skipped, ${folder} is absent (set QKD_TLS_VECTORS)`);

describe("loadRawIdentity", () => {
  test("a raw key is shown as its SubjectPublicKeyInfo alone, whatever kind it is of", () => {
    for (const kind of ["secp256r1", "ed25519", "rsa", "ml-dsa-65"] as const) {
      const party = issue(root, server, kind);
      const identity = loadRawIdentity(provider, keyOf(party));
      const { schemes } = loadIdentity(provider, { cert: bundle(party), key: keyOf(party) });
      expect(identity).toMatchObject({ certificateType: "RawPublicKey", schemes });
      expect(identity.chain).toEqual([party.certificate.spki]);
    }
  });

  test("leaves a caller's key alone, and refuses what is none by name", () => {
    const der = leaf.pkcs8.slice();
    loadRawIdentity(provider, der);
    expect(der).toEqual(leaf.pkcs8);
    for (const bad of ["", bundle(leaf), leaf.certificate.der]) {
      expect(() => loadRawIdentity(provider, bad)).toThrow(expect.objectContaining({ option: "rawKey" }));
    }
  });
});

describe.skipIf(absent)("the examples of RFC 9881", () => {
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  describe.each(["44", "65", "87"])("ML-DSA-%s", (level) => {
    test("the self-signed certificate verifies as its own anchor", () => {
      const [certificate] = certificatesFromPem(read(`ML-DSA-${level}.crt`), "cert");
      if (certificate === undefined) throw new Error("the example holds one certificate");
      expect(certificate.signature.algorithm).toBe(`ml-dsa-${level}`);
      const key = provider.verifyingKey(certificate.spki);
      const signed = [certificate.signature.bytes, certificate.signature.bytes.map((octet) => octet ^ 1)];
      expect(
        signed.map((bytes) => key?.verify(`ml-dsa-${level}` as "ml-dsa-44", certificate.tbs, bytes)),
      ).toEqual([true, false]);
      const request = {
        provider,
        chain: [certificate],
        anchors: trustAnchors([certificate]),
        purpose: "server",
      } as const;
      expect(verifyChain({ ...request, nowMs: certificate.notBeforeMs }).leaf).toBe(certificate);
    });

    test.each(["seed", "expanded", "both"])("its key in the form %s belongs to it", (form) => {
      const identity = loadIdentity(provider, {
        cert: read(`ML-DSA-${level}.crt`),
        key: read(`ML-DSA-${level}-${form}.priv`),
      });
      expect(identity.schemes).toEqual([`mldsa${level}`]);
    });
  });

  test.each(["1", "2"])("the bad key %s is refused by name", (number) => {
    const load = () =>
      loadIdentity(provider, { cert: read("ML-DSA-44.crt"), key: read(`bad-ML-DSA-44-${number}.priv`) });
    expect(load).toThrow(expect.objectContaining({ name: "UsageError", option: "key" }));
  });
});
