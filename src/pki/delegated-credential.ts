/** Keys that sign in a certificate's place for some days: made, read as our own, and checked as a peer's. RFC 9345. */
import { concat } from "../protocol/bytes.ts";
import { ProtocolError, UsageError } from "../protocol/errors.ts";
import { nameOf, SignatureScheme, type SignatureSchemeName } from "../protocol/iana.ts";
import type { CryptoProvider, SigningKey, VerifyingKey } from "../crypto/provider.ts";
import { type Scheme, schemeOf, schemesFor } from "../crypto/schemes.ts";
import { signatureContext } from "../crypto/signed-content.ts";
import { decode, encode } from "../wire/codec.ts";
import { DelegatedCredential, DelegatedKey } from "../wire/delegated.ts";
import { publicKeyOctets } from "./algorithm.ts";
import { type Certificate, sameBytes } from "./certificate.ts";
import { chainFrom, type Identity, signingKeyFrom } from "./identity.ts";
import { certificatesFromPem } from "./pem.ts";

/** The longest that one may still be valid. RFC 9345 §4.1.3. */
const MAX_VALID_MS = 7 * 86_400_000;

/** A key that a peer may sign CertificateVerify with, by one scheme alone where its certificate delegated to it. */
export interface PeerKey extends VerifyingKey {
  readonly scheme?: SignatureSchemeName;
}

/** Whether CertificateVerify by a delegated key may use it: RSA keys must say that they are for PSS. RFC 9345 §4. */
export const delegatable = (scheme: Scheme | undefined): scheme is Scheme =>
  scheme !== undefined && scheme.handshake && scheme.kind !== "rsa";

/** When a credential by this certificate ends. RFC 9345 §4. */
export const endOf = ({ notBeforeMs }: Certificate, { cred }: DelegatedCredential): number =>
  notBeforeMs + 1000 * cred.valid_time;

export interface Delegation {
  /** DER. */
  readonly leaf: Certificate;
  /** That of the leaf. */
  readonly key: VerifyingKey;
  /** The role of the side that shows it. */
  readonly signer: "client" | "server";
  /** What we said that we can verify, for CertificateVerify and in credentials. */
  readonly schemes: readonly SignatureSchemeName[];
  readonly nowMs: number;
}

/** The key that a peer's certificate delegated to. Throws a ProtocolError (illegal_parameter). RFC 9345 §4.1.3 and §4.2. */
export function checkDelegatedCredential(
  provider: CryptoProvider,
  delegated: DelegatedCredential,
  { leaf, key, signer, schemes, nowMs }: Delegation,
): PeerKey {
  const { cred, algorithm, signature } = delegated;
  if (!leaf.delegationUsage || leaf.keyUsage?.includes("digitalSignature") !== true)
    throw illegal("its certificate may not delegate");
  const leftMs = endOf(leaf, delegated) - nowMs;
  if (leftMs < 0) throw illegal("it has expired");
  if (leftMs > MAX_VALID_MS) throw illegal("it is valid for more than seven days");
  const scheme = schemeOf(cred.dc_cert_verify_algorithm);
  if (!delegatable(scheme) || !schemes.includes(scheme.name))
    throw illegal(`${nameOf(SignatureScheme, cred.dc_cert_verify_algorithm)} was not offered for it`);
  const by = schemeOf(algorithm);
  if (by === undefined || !by.handshake || !schemes.includes(by.name) || by.kind !== key.kind)
    throw illegal(`${nameOf(SignatureScheme, algorithm)} may not have signed it`);
  const content = signedContent(signer, leaf, delegated);
  if (!key.verify(by.algorithm, content, signature)) throw illegal("its signature does not match");
  const own = provider.verifyingKey(cred.ASN1_subjectPublicKeyInfo);
  if (own?.kind !== scheme.kind) throw illegal(`its key does not fit ${scheme.name}`);
  return { kind: own.kind, verify: (...args) => own.verify(...args), scheme: scheme.name };
}

const CONTEXTS = {
  client: signatureContext("TLS, client delegated credentials"),
  server: signatureContext("TLS, server delegated credentials"),
} as const;

/** What the certificate's key signs. RFC 9345 §4. */
function signedContent(
  signer: "client" | "server",
  leaf: Certificate,
  { cred, algorithm }: Pick<DelegatedCredential, "cred" | "algorithm">,
): Uint8Array {
  const number = Uint8Array.of(algorithm >> 8, algorithm & 0xff);
  return concat([CONTEXTS[signer], leaf.der, encode(DelegatedKey, cred), number]);
}

/** A key of ours to be delegated to. */
export interface DelegationWishes {
  readonly signer: "client" | "server";
  readonly leaf: Certificate;
  /** That of the leaf, with one of its schemes. */
  readonly signingKey: SigningKey;
  readonly algorithm: SignatureSchemeName;
  /** DER SubjectPublicKeyInfo of the key that is delegated to, and what it will sign with. */
  readonly spki: Uint8Array;
  readonly scheme: SignatureSchemeName;
  /** Peers take no more than seven days from now. */
  readonly notAfterMs: number;
}

/** A DelegatedCredential, encoded. Throws a RangeError when `notAfterMs` does not fit. RFC 9345 §4. */
export function issueDelegatedCredential(wishes: DelegationWishes): Uint8Array {
  const { signer, leaf, signingKey, spki } = wishes;
  const cred = {
    valid_time: Math.floor((wishes.notAfterMs - leaf.notBeforeMs) / 1000),
    dc_cert_verify_algorithm: SignatureScheme[wishes.scheme],
    ASN1_subjectPublicKeyInfo: spki,
  };
  const algorithm = SignatureScheme[wishes.algorithm];
  const by = schemeOf(algorithm) as Scheme; // Every named scheme is one.
  const signature = signingKey.sign(by.algorithm, signedContent(signer, leaf, { cred, algorithm }));
  return encode(DelegatedCredential, { cred, algorithm, signature });
}

export interface DelegatedIdentity extends Identity {
  /** A DelegatedCredential, encoded. */
  readonly delegatedCredential: Uint8Array;
}

/**
 * An identity whose key the certificate delegated to: `cert` with the leaf first, in PEM or DER; `key` in PKCS #8.
 * Throws a UsageError naming `cert`, `key` or `delegatedCredential`.
 */
export function loadDelegatedIdentity(
  provider: CryptoProvider,
  {
    cert,
    key,
    delegatedCredential,
  }: {
    readonly cert: string | Uint8Array;
    readonly key: string | Uint8Array;
    readonly delegatedCredential: Uint8Array;
  },
): DelegatedIdentity {
  const certificates = certificatesFromPem(cert, "cert");
  const [leaf] = certificates as [Certificate, ...Certificate[]]; // An empty PEM is refused there.
  const signingKey = signingKeyFrom(provider, key, "key");
  const { cred } = readDelegatedCredential(delegatedCredential);
  const scheme = schemeOf(cred.dc_cert_verify_algorithm);
  if (!delegatable(scheme))
    throw unusable(`${nameOf(SignatureScheme, cred.dc_cert_verify_algorithm)} is not for delegated keys`);
  if (!sameBytes(publicKeyOctets(cred.ASN1_subjectPublicKeyInfo), publicKeyOctets(signingKey.spki)))
    throw new UsageError("ERR_OPTION_INVALID", "`key` is not the key of `delegatedCredential`", {
      option: "key",
    });
  if (!schemesFor(signingKey.kind).includes(scheme.name))
    throw unusable(`${scheme.name} does not fit its key`);
  return Object.freeze({
    chain: chainFrom(leaf, certificates),
    key: signingKey,
    schemes: Object.freeze([scheme.name]),
    leaf,
    delegatedCredential,
  });
}

/** One of our own. Throws a UsageError (`delegatedCredential`). */
export function readDelegatedCredential(bytes: Uint8Array): DelegatedCredential {
  try {
    return decode(DelegatedCredential, bytes);
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : String(cause));
  }
}

const unusable = (what: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `\`delegatedCredential\` is not usable: ${what}`, {
    option: "delegatedCredential",
  });

const illegal = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_ILLEGAL_PARAMETER", "illegal_parameter", `delegated_credential: ${what}`);
