import type { CryptoProvider, SigningKey } from "../crypto/provider.ts";
import { schemesFor } from "../crypto/schemes.ts";
import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { SignatureSchemeName } from "../protocol/iana.ts";
import { publicKeyInfo, publicKeyOctets } from "./algorithm.ts";
import { type Certificate, sameBytes } from "./certificate.ts";
import { parseDer } from "./der.ts";
import { certificatesFromPem, privateKeyFromPem } from "./pem.ts";

/** Who we are: a certificate chain and the key that proves it. */
export interface Identity {
  /** DER, leaf first, each next one having issued the one before it. RFC 9846 §4.5.1. */
  readonly chain: readonly Uint8Array[];
  readonly key: SigningKey;
  /** What the key can sign a CertificateVerify with, best first. RFC 9846 §4.3.3. */
  readonly schemes: readonly SignatureSchemeName[];
  readonly leaf: Certificate;
}

/**
 * An identity from PEM (text or bytes) or DER: `cert` with the leaf and its issuers in any order, `key` in PKCS #8.
 * Throws a UsageError naming `cert` or `key` when one cannot be read or they do not belong together.
 */
export function loadIdentity(
  provider: CryptoProvider,
  { cert, key }: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array },
): Identity {
  const certificates = certificatesFromPem(cert, "cert");
  const signingKey = signingKeyFrom(provider, key, "key");
  const bits = publicKeyOctets(signingKey.spki);
  const leaf = certificates.find(
    ({ publicKey, spki }) => publicKey.kind === signingKey.kind && sameBytes(publicKeyOctets(spki), bits),
  );
  if (leaf === undefined) {
    throw new UsageError("ERR_OPTION_INVALID", "`key` is not the private key of any certificate in `cert`", {
      option: "key",
    });
  }
  const fault = faultOf(leaf);
  if (fault !== undefined) {
    throw new UsageError("ERR_OPTION_INVALID", `\`cert\` ${fault}`, { option: "cert" });
  }
  return Object.freeze({
    chain: chainFrom(leaf, certificates),
    key: signingKey,
    schemes: schemesOf(signingKey, leaf.publicKey.modulusBits),
    leaf,
  });
}

/** A key that is shown as it is, without a certificate. RFC 7250. */
export interface RawIdentity {
  readonly certificateType: "RawPublicKey";
  /** The DER SubjectPublicKeyInfo. */
  readonly chain: readonly [Uint8Array];
  readonly key: SigningKey;
  /** What the key can sign a CertificateVerify with, best first. RFC 9846 §4.3.3. */
  readonly schemes: readonly SignatureSchemeName[];
}

/** An identity from a private key alone, in PKCS #8 (PEM or DER). Throws a UsageError naming `rawKey`. */
export function loadRawIdentity(provider: CryptoProvider, rawKey: string | Uint8Array): RawIdentity {
  const key = signingKeyFrom(provider, rawKey, "rawKey");
  const { modulusBits } = publicKeyInfo(parseDer(key.spki, "public key"));
  return Object.freeze({
    certificateType: "RawPublicKey",
    chain: Object.freeze([key.spki] as const),
    key,
    schemes: schemesOf(key, modulusBits),
  });
}

/** What a key can sign a CertificateVerify with. */
function schemesOf({ kind }: SigningKey, modulusBits?: number): readonly SignatureSchemeName[] {
  return Object.freeze(schemesFor(kind).filter((name) => fits(name, modulusBits)));
}

/** Whether an RSA modulus has room for the hash twice and two octets, as RSASSA-PSS asks with a salt of that length. RFC 8017 §9.1.1. */
function fits(scheme: SignatureSchemeName, modulusBits = Number.POSITIVE_INFINITY): boolean {
  const hashBits = Number(/^rsa_pss_.*_sha(\d+)$/.exec(scheme)?.[1] ?? 0);
  return Math.ceil((modulusBits - 1) / 8) >= hashBits / 4 + 2;
}

/**
 * The signing key of a PKCS #8 private key, PEM or DER. Bytes that were made of PEM here are overwritten; a caller's stay
 * as they are. Throws a UsageError naming the option.
 */
export function signingKeyFrom(
  provider: CryptoProvider,
  source: string | Uint8Array,
  option: "key" | "rawKey",
): SigningKey {
  const pkcs8 = privateKeyFromPem(source, option);
  try {
    return provider.signingKey(pkcs8);
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    throw new UsageError(cause.code, `\`${option}\` is not usable: ${cause.message}`, { option, cause });
  } finally {
    if (pkcs8 !== source) wipe(pkcs8);
  }
}

/** Why every peer would refuse this leaf; undefined for one that will do. RFC 9846 §4.5.1.2. */
export function faultOf({ version, keyUsage }: Certificate): string | undefined {
  if (version !== 3) return `is X.509v${version} where TLS wants v3`;
  return keyUsage?.includes("digitalSignature") === false
    ? "is not meant for digital signatures (key usage)"
    : undefined;
}

/** The certificates of an identity as they are shown. */
export const chainFrom = (leaf: Certificate, certificates: readonly Certificate[]): readonly Uint8Array[] =>
  Object.freeze(inOrder(leaf, certificates).map(({ der }) => der));

/** The leaf, its issuer, that one's issuer …; certificates that are none of these follow at the end. */
function inOrder(leaf: Certificate, certificates: readonly Certificate[]): readonly Certificate[] {
  const rest = certificates.filter(({ der }) => !sameBytes(der, leaf.der));
  const ordered = [leaf];
  for (let tip = leaf; tip.subject.key !== tip.issuer.key; ) {
    const at = rest.findIndex(({ subject }) => subject.key === tip.issuer.key);
    const [next] = at === -1 ? [] : rest.splice(at, 1);
    if (next === undefined) break;
    ordered.push(next);
    tip = next;
  }
  return [...ordered, ...rest];
}
