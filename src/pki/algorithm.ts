import { type BaseBlock, Constructed, Integer, Null, ObjectIdentifier, Sequence } from "asn1js";
import type { HashName, KeyKind, SignatureAlgorithm } from "../crypto/provider.ts";
import { type Der, expectTag, octetsOfBits, oidOf, parseDer, Tag } from "./der.ts";

/** What a SubjectPublicKeyInfo says before any provider has looked at the key. RFC 5280 §4.1.2.7. */
export interface PublicKeyInfo {
  /** Undefined for an algorithm or curve that TLS 1.3 authentication here does not use. */
  readonly kind: KeyKind | undefined;
  /** The algorithm's object identifier. */
  readonly oid: string;
  /** The length of an RSA modulus. */
  readonly modulusBits?: number;
}

/** Object identifiers of keys: RFC 3279, RFC 4055, RFC 5480, RFC 8410, RFC 9881. */
const KeyOid = {
  ec: "1.2.840.10045.2.1",
  rsa: "1.2.840.113549.1.1.1",
  rsaPss: "1.2.840.113549.1.1.10",
  ed25519: "1.3.101.112",
} as const;

const curves: Readonly<Record<string, KeyKind>> = {
  "1.2.840.10045.3.1.7": "secp256r1",
  "1.3.132.0.34": "secp384r1",
  "1.3.132.0.35": "secp521r1",
};

/** The one signature with MD5 that certificates had. RFC 3279 §2.2.1. */
export const MD5_WITH_RSA = "1.2.840.113549.1.1.4";

/** RFC 9881 §2: one identifier for key and signature, parameters absent. */
const MlDsaOid = {
  "ml-dsa-44": "2.16.840.1.101.3.4.3.17",
  "ml-dsa-65": "2.16.840.1.101.3.4.3.18",
  "ml-dsa-87": "2.16.840.1.101.3.4.3.19",
} as const;

/** Signatures whose identifier says all: RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3, RFC 9881 §2. */
const SignatureOid = {
  "rsa-pkcs1-sha256": "1.2.840.113549.1.1.11",
  "rsa-pkcs1-sha384": "1.2.840.113549.1.1.12",
  "rsa-pkcs1-sha512": "1.2.840.113549.1.1.13",
  "ecdsa-sha256": "1.2.840.10045.4.3.2",
  "ecdsa-sha384": "1.2.840.10045.4.3.3",
  "ecdsa-sha512": "1.2.840.10045.4.3.4",
  ed25519: KeyOid.ed25519,
  ...MlDsaOid,
} as const satisfies Partial<Record<SignatureAlgorithm, string>>;

type PssHash = HashName | "sha512";

/** RFC 4055 §2.1. */
const HashOid = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
} as const satisfies Record<PssHash, string>;
const hashBytes: Readonly<Record<PssHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };
const mgf1Oid = "1.2.840.113549.1.1.8";

const signatures = invert(SignatureOid);
const mlDsa = invert(MlDsaOid);
const hashes = invert(HashOid);

/** What kind of key a DER SubjectPublicKeyInfo holds. Throws a TrustError when its structure is wrong. */
export function publicKeyInfo(spki: Der): PublicKeyInfo {
  const [identifier, key] = expectTag(spki, Tag.sequence, "public key").items;
  const [algorithm, parameters] = expectTag(identifier, Tag.sequence, "public key algorithm").items;
  const oid = oidOf(algorithm, "public key algorithm");
  const octets = octetsOfBits(key, "public key");
  if (oid === KeyOid.ec) return { kind: curves[parameters?.oid ?? ""], oid };
  if (oid === KeyOid.ed25519) return { kind: parameters === undefined ? "ed25519" : undefined, oid };
  if (oid === KeyOid.rsa || oid === KeyOid.rsaPss) {
    return { kind: oid === KeyOid.rsa ? "rsa" : "rsa-pss", oid, modulusBits: modulusBits(octets) };
  }
  return { kind: parameters === undefined ? mlDsa.get(oid) : undefined, oid };
}

/** The signature algorithm an AlgorithmIdentifier names; undefined for one not accepted (SHA-1, MD5, DSA …). */
export function signatureAlgorithmOf(identifier: Der | undefined): SignatureAlgorithm | undefined {
  const [algorithm, parameters] = expectTag(identifier, Tag.sequence, "signature algorithm").items;
  const oid = oidOf(algorithm, "signature algorithm");
  if (oid === KeyOid.rsaPss) return pssAlgorithm(parameters);
  const name = signatures.get(oid);
  // RFC 4055 §5 wants NULL beside PKCS #1 signatures, and everyone accepts its absence; the rest have nothing there.
  const nullAllowed = name?.startsWith("rsa-") ?? false;
  return parameters === undefined || (nullAllowed && parameters.tag === Tag.null) ? name : undefined;
}

/** The subjectPublicKey octets of a DER SubjectPublicKeyInfo: the same for every spelling of one key's algorithm. */
export function publicKeyOctets(spki: Uint8Array): Uint8Array {
  return octetsOfBits(parseDer(spki, "public key").items[1], "public key");
}

/** The DER AlgorithmIdentifier of a signature algorithm, parameters as RFC 4055 and the RFCs above want them. */
export function signatureIdentifier(algorithm: SignatureAlgorithm): Uint8Array {
  const pss = /^rsa-pss-(sha256|sha384|sha512)$/.exec(algorithm)?.[1];
  if (pss !== undefined) return der(sequence(identifier(KeyOid.rsaPss), pssParameters(pss as PssHash)));
  const oid = identifier(SignatureOid[algorithm as keyof typeof SignatureOid]);
  return der(algorithm.startsWith("rsa-") ? sequence(oid, new Null()) : sequence(oid));
}

/** RFC 4055 §3.1: accepted when one hash serves message and mask and the salt is as long as the hash. */
function pssAlgorithm(parameters: Der | undefined): SignatureAlgorithm | undefined {
  const fields = new Map((parameters?.items ?? []).map((field) => [field.tag, field.items[0]]));
  const hash = hashes.get(fields.get(0xa0)?.items[0]?.oid ?? "");
  const mask = fields.get(0xa1)?.items;
  const salt = fields.get(0xa2)?.content;
  const trailer = fields.get(0xa3)?.content;
  if (hash === undefined || mask?.[0]?.oid !== mgf1Oid || mask[1]?.items[0]?.oid !== HashOid[hash])
    return undefined;
  if (salt?.length !== 1 || salt[0] !== hashBytes[hash]) return undefined;
  if (trailer !== undefined && !(trailer.length === 1 && trailer[0] === 1)) return undefined;
  return `rsa-pss-${hash}`;
}

/** RSASSA-PSS-params with one hash throughout. RFC 4055 §3.1. */
function pssParameters(hash: PssHash): Sequence {
  const hashIdentifier = sequence(identifier(HashOid[hash]), new Null());
  return sequence(
    explicit(0, hashIdentifier),
    explicit(1, sequence(identifier(mgf1Oid), hashIdentifier)),
    explicit(2, new Integer({ value: hashBytes[hash] })),
  );
}

const identifier = (value: string): ObjectIdentifier => new ObjectIdentifier({ value });
const sequence = (...value: BaseBlock[]): Sequence => new Sequence({ value });
const explicit = (tagNumber: number, value: BaseBlock): Constructed =>
  new Constructed({ idBlock: { tagClass: 3, tagNumber }, value: [value] });
const der = (block: BaseBlock): Uint8Array => new Uint8Array(block.toBER());

/** RSAPublicKey ::= SEQUENCE { modulus, publicExponent }. RFC 8017 §A.1.1. */
function modulusBits(octets: Uint8Array): number {
  const [modulus, exponent] = expectTag(parseDer(octets, "RSA key"), Tag.sequence, "RSA key").items;
  expectTag(exponent, Tag.integer, "RSA exponent");
  const { content } = expectTag(modulus, Tag.integer, "RSA modulus");
  const start = content.findIndex((octet) => octet !== 0);
  const first = content[start];
  return first === undefined ? 0 : (content.length - start) * 8 - Math.clz32(first) + 24;
}

function invert<Name extends string>(table: Readonly<Record<Name, string>>): ReadonlyMap<string, Name> {
  const entries = Object.entries(table) as [Name, string][]; // Object.entries forgets the key type.
  return new Map(entries.map(([name, oid]) => [oid, name]));
}
