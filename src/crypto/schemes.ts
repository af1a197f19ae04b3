import { SignatureScheme, type SignatureSchemeName } from "../protocol/iana.ts";
import type { CryptoProvider, KeyKind, SignatureAlgorithm } from "./provider.ts";

/** A signature scheme: an algorithm for one kind of key under one code point. RFC 9846 §4.3.3. */
export interface Scheme {
  readonly name: SignatureSchemeName;
  readonly code: number;
  readonly algorithm: SignatureAlgorithm;
  readonly kind: KeyKind;
  /** False where only signatures in certificates may use it, never CertificateVerify. */
  readonly handshake: boolean;
}

/** Every scheme, most wanted first: those that a quantum computer leaves standing lead. */
export const schemes: readonly Scheme[] = [
  scheme("mldsa65", "ml-dsa-65", "ml-dsa-65"),
  scheme("mldsa87", "ml-dsa-87", "ml-dsa-87"),
  scheme("mldsa44", "ml-dsa-44", "ml-dsa-44"),
  scheme("ecdsa_secp256r1_sha256", "ecdsa-sha256", "secp256r1"),
  scheme("ed25519", "ed25519", "ed25519"),
  scheme("ecdsa_secp384r1_sha384", "ecdsa-sha384", "secp384r1"),
  scheme("ecdsa_secp521r1_sha512", "ecdsa-sha512", "secp521r1"),
  scheme("rsa_pss_rsae_sha256", "rsa-pss-sha256", "rsa"),
  scheme("rsa_pss_rsae_sha384", "rsa-pss-sha384", "rsa"),
  scheme("rsa_pss_rsae_sha512", "rsa-pss-sha512", "rsa"),
  scheme("rsa_pss_pss_sha256", "rsa-pss-sha256", "rsa-pss"),
  scheme("rsa_pss_pss_sha384", "rsa-pss-sha384", "rsa-pss"),
  scheme("rsa_pss_pss_sha512", "rsa-pss-sha512", "rsa-pss"),
  scheme("rsa_pkcs1_sha256", "rsa-pkcs1-sha256", "rsa", false),
  scheme("rsa_pkcs1_sha384", "rsa-pkcs1-sha384", "rsa", false),
  scheme("rsa_pkcs1_sha512", "rsa-pkcs1-sha512", "rsa", false),
];

const byCode = new Map(schemes.map((scheme) => [scheme.code, scheme]));

/** The scheme behind a code point; undefined when we do not know it. */
export const schemeOf = (code: number): Scheme | undefined => byCode.get(code);

/** The schemes that a key of this kind may use in CertificateVerify, most wanted first. RFC 9846 §4.5.2. */
export function schemesFor(kind: KeyKind): readonly SignatureSchemeName[] {
  return schemes.filter((scheme) => scheme.handshake && scheme.kind === kind).map(({ name }) => name);
}

/** The schemes whose signatures this provider can check, most wanted first; those for certificates alone last. */
export function verifiableSchemes(provider: CryptoProvider): readonly SignatureSchemeName[] {
  return schemes.filter(({ kind }) => provider.backends[kind] !== undefined).map(({ name }) => name);
}

function scheme(
  name: SignatureSchemeName,
  algorithm: SignatureAlgorithm,
  kind: KeyKind,
  handshake = true,
): Scheme {
  return { name, code: SignatureScheme[name], algorithm, kind, handshake };
}
