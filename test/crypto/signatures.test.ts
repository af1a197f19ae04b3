/** Signatures of both providers: published vectors, every key form, and each other's work. */
import { OneAsymmetricKey } from "@peculiar/asn1-asym-key";
import { AsnConvert } from "@peculiar/asn1-schema";
import { AlgorithmIdentifier } from "@peculiar/asn1-x509";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { readSpki, seedPkcs8, writeSpki } from "../../src/crypto/keys.ts";
import { nobleProvider } from "../../src/crypto/noble.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import type { KeyKind, SignatureAlgorithm, SigningKey } from "../../src/crypto/provider.ts";
import { equal, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { acvp, haveVectors, hex, mlDsaExample, providers, wrong, wycheproof } from "./vectors.ts";

const MESSAGE = utf8("the transcript");
const ML_DSA = ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const;

describe.each(providers)("%s", (_, provider) => {
  describe.skipIf(!haveVectors)("published vectors", () => {
    test.each([
      ["secp256r1", "sha256"],
      ["secp384r1", "sha384"],
    ] as const)("Wycheproof ecdsa_%s_%s_test", (curve, hash) => {
      const failed = wrong(wycheproof(`ecdsa_${curve}_${hash}_test`), 450, (c, group) => {
        const key = provider.verifyingKey(hex(group["publicKeyDer"]));
        const good = key?.verify(`ecdsa-${hash}`, hex(c["msg"]), hex(c["sig"])) ?? false;
        return key?.kind === curve && good === (c.result === "valid");
      });
      expect(failed).toEqual([]);
    });

    test("Wycheproof ed25519_test", () => {
      const failed = wrong(wycheproof("ed25519_test"), 150, (c, group) => {
        const key = provider.verifyingKey(hex(group["publicKeyDer"]));
        return (key?.verify("ed25519", hex(c["msg"]), hex(c["sig"])) ?? false) === (c.result === "valid");
      });
      expect(failed).toEqual([]);
    });

    test.each([44, 65] as const)("Wycheproof mldsa_%i_verify_test", (strength) => {
      const kind = `ml-dsa-${strength}` as const;
      // The context string is empty in TLS and in X.509, and the seam has none.
      const groups = wycheproof(`mldsa_${strength}_verify_test`).map((group) => ({
        ...group,
        tests: group.tests.filter((c) => (c["ctx"] ?? "") === ""),
      }));
      const failed = wrong(groups, 150, (c, group) => {
        const key = provider.verifyingKey(writeSpki({ kind, bytes: hex(group["publicKey"]) }));
        return (key?.verify(kind, hex(c["msg"]), hex(c["sig"])) ?? false) === (c.result === "valid");
      });
      expect(failed).toEqual([]);
    });

    test("ACVP ML-DSA key generation", () => {
      const groups = acvp("ML-DSA-keyGen-FIPS204");
      const failed = wrong(groups, 75, (c, group) => {
        const kind = String(group["parameterSet"]).toLowerCase() as (typeof ML_DSA)[number];
        const key = provider.signingKey(seedPkcs8(kind, hex(c["seed"])));
        return (
          key.kind === kind && toHex(readSpki(key.spki)?.bytes ?? utf8("")) === String(c["pk"]).toLowerCase()
        );
      });
      expect(failed).toEqual([]);
    });

    test.each(ML_DSA)("RFC 9881 examples: %s from seed, expanded and both", (kind) => {
      const name = kind.toUpperCase();
      const spki = mlDsaExample(`${name}.pub`);
      const verifier = provider.verifyingKey(spki);
      expect(verifier?.kind).toBe(kind);
      for (const form of ["seed", "expanded", "both"]) {
        const key = provider.signingKey(mlDsaExample(`${name}-${form}.priv`));
        expect(toHex(key.spki), form).toBe(toHex(spki));
        expect(verifier?.verify(kind, MESSAGE, key.sign(kind, MESSAGE)), form).toBe(true);
      }
    });

    const refused = expect.objectContaining({ name: "UsageError", code: "ERR_FILE_INVALID" });

    test.each([1, 2])("RFC 9881 examples: the bad key %i is refused", (number) => {
      expect(() => provider.signingKey(mlDsaExample(`bad-ML-DSA-44-${number}.priv`))).toThrow(refused);
    });

    test("RFC 9881 examples: the bad key 3 (t0 off by one) is refused, or every signature of it verifies", () => {
      const pkcs8 = mlDsaExample("bad-ML-DSA-44-3.priv");
      if (provider.backends["ml-dsa-44"] === "node:crypto") {
        expect(() => provider.signingKey(pkcs8)).toThrow(refused);
        return;
      }
      const key = provider.signingKey(pkcs8);
      const verifier = provider.verifyingKey(key.spki);
      for (let i = 0; i < 10; i++) {
        expect(verifier?.verify("ml-dsa-44", MESSAGE, key.sign("ml-dsa-44", MESSAGE))).toBe(true);
      }
    });

    test("an expanded ML-DSA key with any damaged part is refused", () => {
      const good = mlDsaExample("ML-DSA-44-expanded.priv");
      const keyAt = good.length - 2560;
      // The places of rho, tr, s1, s2 and, where the error is large, t0. FIPS 204, Algorithm 24.
      for (const [part, at, bits] of [
        ["rho", 0, 1],
        ["tr", 64, 1],
        ["s1", 128, 7],
        ["s1", 130, 1],
        ["s2", 128 + 4 * 96, 7],
      ] as const) {
        const damaged = good.slice();
        damaged[keyAt + at] = (damaged[keyAt + at] ?? 0) ^ bits;
        expect(() => provider.signingKey(damaged), `${part} at ${at}`).toThrow(refused);
      }
      const withoutT0 = good.slice().fill(0x55, good.length - 1664);
      expect(() => provider.signingKey(withoutT0)).toThrow(refused);
    });
  });

  test("what is no private key is a UsageError without the bytes in it", () => {
    const good = seedPkcs8("ml-dsa-44", new Uint8Array(32).fill(0x5a));
    const { pkcs8 } = keysOf("secp256r1");
    const cases = [new Uint8Array(0), utf8("no key at all"), good.subarray(0, -1), pkcs8.subarray(0, 40)];
    for (const bad of cases) {
      let caught: unknown;
      try {
        provider.signingKey(bad);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(UsageError);
      expect(caught).toMatchObject({ code: "ERR_FILE_INVALID", option: "key" });
      expect(String(caught)).not.toMatch(/5a5a/);
    }
  });

  test("a private key of a curve that is spelt out, or of none that can be read, is refused", () => {
    const key = AsnConvert.parse(keysOf("secp256r1").pkcs8, OneAsymmetricKey);
    const unreadable = Uint8Array.of(0x30, 3, 2, 1, 1).buffer;
    key.privateKeyAlgorithm = new AlgorithmIdentifier({
      algorithm: "1.2.840.10045.2.1",
      parameters: unreadable,
    });
    const pkcs8 = new Uint8Array(AsnConvert.serialize(key));
    expect(() => provider.signingKey(pkcs8)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_FILE_INVALID", option: "key" }),
    );
  });

  test("the public half of a key is never another key's", () => {
    const [own, other] = [keysOf("secp256r1"), makeKeys("secp256r1")].map(({ pkcs8 }) => pkcs8) as [
      Uint8Array,
      Uint8Array,
    ];
    // PKCS #8 of a curve ends in the public point.
    const mixed = new Uint8Array([...own.subarray(0, -64), ...other.subarray(-64)]);
    let key: SigningKey;
    try {
      key = provider.signingKey(mixed);
    } catch (error) {
      expect(error).toMatchObject({ name: "UsageError", code: "ERR_FILE_INVALID", option: "key" });
      return;
    }
    const signature = key.sign("ecdsa-sha256", MESSAGE);
    expect(provider.verifyingKey(key.spki)?.verify("ecdsa-sha256", MESSAGE, signature)).toBe(true);
  });

  test("what is no public key is undefined", () => {
    const { spki } = keysOf("secp256r1");
    const offCurve = spki.slice();
    offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
    const shortMlDsa = writeSpki({ kind: "ml-dsa-44", bytes: new Uint8Array(1311) });
    for (const bad of [new Uint8Array(0), utf8("key"), spki.subarray(0, -1), offCurve, shortMlDsa]) {
      expect(provider.verifyingKey(bad)).toBeUndefined();
    }
    const secp256k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey;
    const x25519 = generateKeyPairSync("x25519").publicKey;
    for (const foreign of [secp256k1, x25519]) expect(provider.verifyingKey(spkiOf(foreign))).toBeUndefined();
  });

  test("an algorithm that does not fit the key is refused on both sides", () => {
    const kinds = (Object.keys(ALGORITHMS) as KeyKind[]).filter(
      (kind) => provider.backends[kind] !== undefined,
    );
    const all = [...new Set(Object.values(ALGORITHMS).flat())];
    for (const kind of kinds) {
      const { pkcs8, spki } = keysOf(kind);
      const signer = provider.signingKey(pkcs8);
      const verifier = provider.verifyingKey(spki);
      for (const algorithm of all.filter((name) => !ALGORITHMS[kind].includes(name))) {
        expect(() => signer.sign(algorithm, MESSAGE), `${kind} ${algorithm}`).toThrow(UsageError);
        expect(verifier?.verify(algorithm, MESSAGE, new Uint8Array(64)), `${kind} ${algorithm}`).toBe(false);
      }
    }
  });
});

const ECDSA: readonly SignatureAlgorithm[] = ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"];
const PSS: readonly SignatureAlgorithm[] = ["rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"];
const PKCS1: readonly SignatureAlgorithm[] = ["rsa-pkcs1-sha256", "rsa-pkcs1-sha384", "rsa-pkcs1-sha512"];
const ALGORITHMS: Readonly<Record<KeyKind, readonly SignatureAlgorithm[]>> = {
  secp256r1: ECDSA,
  secp384r1: ECDSA,
  secp521r1: ECDSA,
  ed25519: ["ed25519"],
  rsa: [...PSS, ...PKCS1],
  "rsa-pss": PSS,
  "ml-dsa-44": ["ml-dsa-44"],
  "ml-dsa-65": ["ml-dsa-65"],
  "ml-dsa-87": ["ml-dsa-87"],
};

describe("one provider's signature is the other's", () => {
  const [node, noble] = [nodeProvider(), nobleProvider()];
  const portable = (Object.keys(ALGORITHMS) as KeyKind[]).filter(
    (kind) => noble.backends[kind] !== undefined,
  );

  test.each(portable)("%s", (kind) => {
    const { pkcs8, spki } = keysOf(kind);
    for (const [signing, verifying] of [
      [node, noble],
      [noble, node],
    ] as const) {
      const signer = signing.signingKey(pkcs8);
      expect(signer.kind).toBe(kind);
      expect(toHex(signer.spki)).toBe(toHex(spki));
      const verifier = verifying.verifyingKey(spki);
      for (const algorithm of ALGORITHMS[kind]) {
        const signature = signer.sign(algorithm, MESSAGE);
        expect(verifier?.verify(algorithm, MESSAGE, signature), algorithm).toBe(true);
        expectTampering(verifier, algorithm, signature);
      }
    }
  });

  test.each(["rsa", "rsa-pss"] as const)("%s is there in node alone", (kind) => {
    const { pkcs8, spki } = keysOf(kind);
    expect(noble.verifyingKey(spki)).toBeUndefined();
    expect(() => noble.signingKey(pkcs8)).toThrow(UsageError);
    const signer = node.signingKey(pkcs8);
    const verifier = node.verifyingKey(signer.spki);
    expect(verifier?.kind).toBe(kind);
    for (const algorithm of ALGORITHMS[kind]) {
      const signature = signer.sign(algorithm, MESSAGE);
      expect(verifier?.verify(algorithm, MESSAGE, signature), algorithm).toBe(true);
      expectTampering(verifier, algorithm, signature);
    }
  });

  test("RSA-PSS salts are as long as the hash, and no other length verifies", async () => {
    const { sign, constants } = await import("node:crypto");
    const { privateKey, spki } = keysOf("rsa");
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const verifier = node.verifyingKey(spki);
    const signed = (saltLength: number) => sign("sha256", MESSAGE, { key: privateKey, padding, saltLength });
    expect(verifier?.verify("rsa-pss-sha256", MESSAGE, signed(32))).toBe(true);
    expect(verifier?.verify("rsa-pss-sha256", MESSAGE, signed(20))).toBe(false);
  });
});

test("RFC 9846 §4.3.3: what an RSASSA-PSS key says of its hash binds every signature under it", () => {
  const node = nodeProvider();
  const hash = { hashAlgorithm: "sha256", mgf1HashAlgorithm: "sha256" } as const;
  const bound = generateKeyPairSync("rsa-pss", { modulusLength: 2048, ...hash });
  const pkcs8 = AsnConvert.parse(bound.privateKey.export({ format: "der", type: "pkcs8" }), OneAsymmetricKey);
  // The same numbers as a key that says nothing, and signs with any hash.
  pkcs8.privateKeyAlgorithm = new AlgorithmIdentifier({ algorithm: "1.2.840.113549.1.1.10" });
  const free = node.signingKey(new Uint8Array(AsnConvert.serialize(pkcs8)));
  const verifier = node.verifyingKey(spkiOf(bound.publicKey));
  for (const [algorithm, right] of [
    ["rsa-pss-sha256", true],
    ["rsa-pss-sha384", false],
  ] as const) {
    const signature = free.sign(algorithm, MESSAGE);
    expect(node.verifyingKey(free.spki)?.verify(algorithm, MESSAGE, signature)).toBe(true);
    expect(verifier?.verify(algorithm, MESSAGE, signature)).toBe(right);
  }
});

function expectTampering(
  verifier: ReturnType<ReturnType<typeof nodeProvider>["verifyingKey"]>,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
): void {
  const changed = signature.slice();
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
  expect(verifier?.verify(algorithm, MESSAGE, changed), algorithm).toBe(false);
  expect(verifier?.verify(algorithm, utf8("the transcripT"), signature), algorithm).toBe(false);
  expect(verifier?.verify(algorithm, MESSAGE, signature.subarray(0, -1)), algorithm).toBe(false);
  expect(verifier?.verify(algorithm, MESSAGE, new Uint8Array(0)), algorithm).toBe(false);
  expect(equal(changed, signature)).toBe(false);
}

interface Keys {
  readonly privateKey: KeyObject;
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
}

const made = new Map<KeyKind, Keys>();

/** One key pair of each kind, made by Node, or from a seed where this Node cannot. */
function keysOf(kind: KeyKind): Keys {
  let keys = made.get(kind);
  if (keys === undefined) made.set(kind, (keys = makeKeys(kind)));
  return keys;
}

function makeKeys(kind: KeyKind): Keys {
  if (kind === "ml-dsa-44" || kind === "ml-dsa-65" || kind === "ml-dsa-87") {
    const pkcs8 = seedPkcs8(kind, new Uint8Array(32).fill(3));
    const { privateKey } = generateKeyPairSync("ed25519");
    return { privateKey, pkcs8, spki: nobleProvider().signingKey(pkcs8).spki };
  }
  const { privateKey, publicKey } = generate(kind);
  return {
    privateKey,
    pkcs8: new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })),
    spki: spkiOf(publicKey),
  };
}

function generate(kind: Exclude<KeyKind, (typeof ML_DSA)[number]>) {
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  if (kind === "rsa-pss") return generateKeyPairSync("rsa-pss", { modulusLength: 2048 });
  const namedCurve = { secp256r1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }[kind];
  return generateKeyPairSync("ec", { namedCurve });
}

const spkiOf = (key: KeyObject): Uint8Array => new Uint8Array(key.export({ format: "der", type: "spki" }));
