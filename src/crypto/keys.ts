/** How keys are wrapped: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and OneAsymmetricKey (RFC 5958). */
import { OneAsymmetricKey } from "@peculiar/asn1-asym-key";
import { ECParameters, ECPrivateKey } from "@peculiar/asn1-ecc";
import { AsnConvert, AsnProp, AsnPropTypes, AsnType, AsnTypeTypes, OctetString } from "@peculiar/asn1-schema";
import { AlgorithmIdentifier, SubjectPublicKeyInfo } from "@peculiar/asn1-x509";
import { equal, wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { KemName, KeyKind, SignatureAlgorithm } from "./provider.ts";

export type CurveKind = "secp256r1" | "secp384r1" | "secp521r1";
export type MlDsaKind = "ml-dsa-44" | "ml-dsa-65" | "ml-dsa-87";
/** The kinds whose keys this file can unwrap; RSA is left to node:crypto. */
export type UnwrappedKind = CurveKind | "ed25519" | MlDsaKind;

export interface RawPublicKey {
  readonly kind: UnwrappedKind;
  /** SEC 1 point, or the raw key of RFC 8032 or FIPS 204. */
  readonly bytes: Uint8Array;
}

/** A private key as its standard has it; wipe it after use. */
export type RawPrivateKey =
  | { readonly kind: CurveKind | "ed25519"; readonly bytes: Uint8Array }
  | RawMlDsaKey;

/** At least one of the two is there. RFC 9881 §6. */
export interface RawMlDsaKey {
  readonly kind: MlDsaKind;
  readonly seed?: Uint8Array;
  readonly expanded?: Uint8Array;
}

/** Lengths in bytes. FIPS 203 §8. */
export const KEM_SIZES = {
  "ml-kem-768": { encapsulationKeyBytes: 1184, ciphertextBytes: 1088 },
  "ml-kem-1024": { encapsulationKeyBytes: 1568, ciphertextBytes: 1568 },
} as const;

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const CURVES: Readonly<Record<CurveKind, string>> = {
  secp256r1: "1.2.840.10045.3.1.7",
  secp384r1: "1.3.132.0.34",
  secp521r1: "1.3.132.0.35",
};
const OIDS: Readonly<Record<Exclude<UnwrappedKind, CurveKind>, string>> = {
  ed25519: "1.3.101.112",
  "ml-dsa-44": "2.16.840.1.101.3.4.3.17",
  "ml-dsa-65": "2.16.840.1.101.3.4.3.18",
  "ml-dsa-87": "2.16.840.1.101.3.4.3.19",
};

const ECDSA = ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"] as const;
const PSS = ["rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"] as const;
const PKCS1 = ["rsa-pkcs1-sha256", "rsa-pkcs1-sha384", "rsa-pkcs1-sha512"] as const;
const FITTING: Readonly<Record<KeyKind, readonly SignatureAlgorithm[]>> = {
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

export const fitting = (kind: KeyKind): readonly SignatureAlgorithm[] => FITTING[kind];

/** Whether a key of this kind can make such signatures at all. */
export const fits = (kind: KeyKind, algorithm: SignatureAlgorithm): boolean =>
  FITTING[kind].includes(algorithm);

/** Throws a UsageError (ERR_OPTION_INVALID) when the algorithm does not fit the key. */
export function demandFit(kind: KeyKind, algorithm: SignatureAlgorithm): void {
  if (fits(kind, algorithm)) return;
  throw new UsageError("ERR_OPTION_INVALID", `a ${kind} key cannot sign with ${algorithm}`, {
    option: "algorithm",
  });
}

/** The hash in an ECDSA or RSA algorithm's name; undefined where the algorithm brings its own. */
export function hashIn(algorithm: SignatureAlgorithm): "sha256" | "sha384" | "sha512" | undefined {
  if (algorithm.endsWith("sha256")) return "sha256";
  if (algorithm.endsWith("sha384")) return "sha384";
  return algorithm.endsWith("sha512") ? "sha512" : undefined;
}

/** The key in a DER SubjectPublicKeyInfo; undefined when it is not DER or of no kind known here. */
export function readSpki(spki: Uint8Array): RawPublicKey | undefined {
  try {
    const info = AsnConvert.parse(spki, SubjectPublicKeyInfo);
    // The parser takes BER and overlooks what trails; DER has one spelling only.
    if (!equal(new Uint8Array(AsnConvert.serialize(info)), spki)) return undefined;
    const kind = kindOf(info.algorithm);
    return kind && { kind, bytes: new Uint8Array(info.subjectPublicKey) };
  } catch {
    return undefined;
  }
}

/** The DER SubjectPublicKeyInfo around a key. */
export function writeSpki({ kind, bytes }: RawPublicKey): Uint8Array {
  return spkiAround(algorithmOf(kind), bytes);
}

const KEM_OIDS = { "ml-kem-768": "2.16.840.1.101.3.4.4.2", "ml-kem-1024": "2.16.840.1.101.3.4.4.3" } as const;

/** The DER SubjectPublicKeyInfo around an encapsulation key. RFC 9935 §4. */
export function kemSpki(name: KemName, encapsulationKey: Uint8Array): Uint8Array {
  return spkiAround(new AlgorithmIdentifier({ algorithm: KEM_OIDS[name] }), encapsulationKey);
}

/** PKCS #8 around a seed: 64 bytes for ML-KEM, 32 for ML-DSA. RFC 9935 §6, RFC 9881 §6. Throws a RangeError. */
export function seedPkcs8(name: KemName | MlDsaKind, seed: Uint8Array): Uint8Array {
  const isKem = name === "ml-kem-768" || name === "ml-kem-1024";
  const expectedBytes = isKem ? 64 : 32;
  if (seed.length !== expectedBytes) {
    throw new RangeError(`a seed of ${name} has ${expectedBytes} bytes, not ${seed.length}`);
  }
  const choice = new SeedOnly();
  choice.seed = bufferOf(seed);
  return pkcs8Around(isKem ? KEM_OIDS[name] : OIDS[name], AsnConvert.serialize(choice));
}

/** PKCS #8 around an X25519 private key. RFC 8410 §7. */
export function x25519Pkcs8(privateKey: Uint8Array): Uint8Array {
  return pkcs8Around("1.3.101.110", AsnConvert.serialize(new OctetString(privateKey)));
}

/** The key in a DER OneAsymmetricKey. Throws a UsageError (ERR_FILE_INVALID) that names what is wrong. */
export function readPkcs8(pkcs8: Uint8Array): RawPrivateKey {
  const key = parse("PKCS #8", pkcs8, OneAsymmetricKey);
  const kind = kindOf(key.privateKeyAlgorithm);
  const inner = new Uint8Array(key.privateKey);
  try {
    if (kind === undefined) {
      throw invalid(`the algorithm ${key.privateKeyAlgorithm.algorithm} is not supported here`);
    }
    if (kind === "ed25519") return { kind, bytes: octets(parse("Ed25519", inner, OctetString)) };
    if (isCurve(kind)) return { kind, bytes: octets(parse("EC", inner, ECPrivateKey).privateKey) };
    return { kind, ...mlDsaForms(parse("ML-DSA", inner, MlDsaPrivateKey)) };
  } finally {
    wipe(inner);
  }
}

/** The kind of a private key without unwrapping it; undefined when it is of no kind known here. */
export function kindOfPkcs8(pkcs8: Uint8Array): UnwrappedKind | undefined {
  try {
    return kindOf(AsnConvert.parse(pkcs8, OneAsymmetricKey).privateKeyAlgorithm);
  } catch {
    return undefined;
  }
}

/** A PKCS #8 UsageError; the text never holds key material. */
export const invalid = (fault: string, cause?: unknown): UsageError =>
  new UsageError("ERR_FILE_INVALID", `private key: ${fault}`, { option: "key", cause });

/** ML-DSA-*-PrivateKey, which is a choice told apart by tag. RFC 9881 §6. */
class MlDsaBoth {
  seed = new OctetString();
  expandedKey = new OctetString();
}
AsnProp({ type: OctetString })(MlDsaBoth.prototype, "seed");
AsnProp({ type: OctetString })(MlDsaBoth.prototype, "expandedKey");
AsnType({ type: AsnTypeTypes.Sequence })(MlDsaBoth);

class MlDsaPrivateKey {
  declare seed?: ArrayBuffer;
  declare expandedKey?: ArrayBuffer;
  declare both?: MlDsaBoth;
}
AsnProp({ type: AsnPropTypes.OctetString, context: 0, implicit: true })(MlDsaPrivateKey.prototype, "seed");
AsnProp({ type: AsnPropTypes.OctetString })(MlDsaPrivateKey.prototype, "expandedKey");
AsnProp({ type: MlDsaBoth })(MlDsaPrivateKey.prototype, "both");
AsnType({ type: AsnTypeTypes.Choice })(MlDsaPrivateKey);

/** The seed arm of the private keys of ML-DSA and ML-KEM. RFC 9881 §6, RFC 9935 §6. */
class SeedOnly {
  seed = new ArrayBuffer(0);
}
AsnProp({ type: AsnPropTypes.OctetString, context: 0, implicit: true })(SeedOnly.prototype, "seed");
AsnType({ type: AsnTypeTypes.Choice })(SeedOnly);

function spkiAround(algorithm: AlgorithmIdentifier, key: Uint8Array): Uint8Array {
  const info = new SubjectPublicKeyInfo({ algorithm, subjectPublicKey: bufferOf(key) });
  return new Uint8Array(AsnConvert.serialize(info));
}

function pkcs8Around(algorithm: string, privateKey: ArrayBuffer): Uint8Array {
  const key = new OneAsymmetricKey();
  key.privateKeyAlgorithm = new AlgorithmIdentifier({ algorithm });
  key.privateKey = privateKey;
  return new Uint8Array(AsnConvert.serialize(key));
}

function mlDsaForms(key: MlDsaPrivateKey): { seed?: Uint8Array; expanded?: Uint8Array } {
  if (key.seed !== undefined) return { seed: new Uint8Array(key.seed) };
  if (key.expandedKey !== undefined) return { expanded: new Uint8Array(key.expandedKey) };
  if (key.both === undefined) throw invalid("an ML-DSA key without a seed and without an expanded key");
  return { seed: octets(key.both.seed), expanded: octets(key.both.expandedKey) };
}

function kindOf(algorithm: AlgorithmIdentifier): UnwrappedKind | undefined {
  if (algorithm.algorithm === EC_PUBLIC_KEY) {
    return algorithm.parameters ? keyWith(CURVES, curveIn(algorithm.parameters)) : undefined;
  }
  // RFC 8410 §3 and RFC 9881 §2: parameters are absent.
  return algorithm.parameters ? undefined : keyWith(OIDS, algorithm.algorithm);
}

/** RFC 5480 §2.1.1: a curve goes by its name; one that is spelt out is none. */
function curveIn(parameters: ArrayBuffer): string | undefined {
  try {
    return AsnConvert.parse(parameters, ECParameters).namedCurve;
  } catch {
    return undefined;
  }
}

function algorithmOf(kind: UnwrappedKind): AlgorithmIdentifier {
  if (!isCurve(kind)) return new AlgorithmIdentifier({ algorithm: OIDS[kind] });
  const parameters = AsnConvert.serialize(new ECParameters({ namedCurve: CURVES[kind] }));
  return new AlgorithmIdentifier({ algorithm: EC_PUBLIC_KEY, parameters });
}

export const isCurve = (kind: KeyKind): kind is CurveKind => Object.hasOwn(CURVES, kind);
export const isMlDsa = (kind: KeyKind): kind is MlDsaKind => kind.startsWith("ml-dsa");

function keyWith<K extends string>(table: Readonly<Record<K, string>>, value?: string): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}

function parse<T>(what: string, der: Uint8Array, type: new () => T): T {
  try {
    return AsnConvert.parse(der, type);
  } catch (cause) {
    throw invalid(`its ${what} structure cannot be read`, cause);
  }
}

const octets = (string: OctetString): Uint8Array => new Uint8Array(string.buffer.slice(0));

const bufferOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
