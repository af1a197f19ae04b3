/** Our own credentials: what every peer would refuse is refused where they are given. */
import { CertificateType, SignatureScheme } from "../protocol/iana.ts";
import { isBytes, isObject, list } from "../protocol/options.ts";
import { schemeOf } from "../crypto/schemes.ts";
import type { KeyKind } from "../crypto/provider.ts";
import { publicKeyInfo } from "../pki/algorithm.ts";
import { parseCertificate } from "../pki/certificate.ts";
import { readDelegatedCredential } from "../pki/delegated-credential.ts";
import { parseDer } from "../pki/der.ts";
import { faultOf } from "../pki/identity.ts";
import type { Credential } from "../handshake/question.ts";
import type { Stapled } from "../handshake/staple.ts";
import { named } from "./choices.ts";
import { invalid } from "./psk.ts";

const WHAT = "certificate chains with their keys";
const isCredential = (value: unknown): value is Credential =>
  isObject(value) && "chain" in value && "key" in value && "schemes" in value;

/** The option `credentials`. Throws a UsageError that names it. */
export function credentialsOf(options: {
  readonly credentials?: readonly Credential[];
}): readonly Credential[] {
  const credentials = list(options, "credentials", WHAT, isCredential);
  for (const credential of credentials) check(credential);
  return credentials;
}

function check(credential: Credential): void {
  const { chain, key, schemes, certificateType = "X509", delegatedCredential, ...stapled } = credential;
  if (!Object.hasOwn(CertificateType, certificateType))
    throw wrong(`certificateType is one of ${Object.keys(CertificateType).join(", ")}`);
  const [leaf] = Array.isArray(chain) ? chain : [];
  if (!isBytes(leaf) || !chain.every(isBytes)) throw wrong("a chain is DER, with at least the leaf");
  // RFC 9846 §4.5.1.
  if (certificateType === "RawPublicKey" && chain.length > 1) throw wrong("a raw public key comes alone");
  named(schemes, "credentials", SignatureScheme);
  checkStapled(stapled, "credentials");
  const delegated = delegatedCredential === undefined ? undefined : delegatedKey(delegatedCredential);
  if (delegated !== undefined && certificateType === "RawPublicKey")
    throw wrong("a raw public key delegates to no other");
  // A key that is here was read together with its certificate.
  if (key !== "external") return;
  const own = certificateType === "RawPublicKey" ? rawKind(leaf) : leafKind(leaf);
  const kind = delegated === undefined ? own : rawKind(delegated);
  if (kind === undefined) throw wrong("the public key is of a kind that is not supported");
  const stray = schemes.find((name) => schemeOf(SignatureScheme[name])?.kind !== kind);
  if (stray !== undefined) throw wrong(`${stray} does not fit a key of kind ${kind}`);
}

/** RFC 6066 §8 and RFC 6962 §3.3: neither may be empty on the wire. Throws a UsageError naming it, or `option`. */
export function checkStapled(
  { ocspResponse, signedCertificateTimestampList: timestamps }: Stapled,
  option?: string,
): void {
  const fault = (name: keyof Stapled, what: string) =>
    option === undefined ? invalid(name, what) : invalid(option, `${name} ${what}`);
  if (ocspResponse !== undefined && !(isBytes(ocspResponse) && ocspResponse.length > 0))
    throw fault("ocspResponse", "is an OCSP response in DER");
  if (timestamps === undefined) return;
  const isList = Array.isArray(timestamps) && timestamps.length > 0;
  if (!isList || !timestamps.every((each) => isBytes(each) && each.length > 0))
    throw fault("signedCertificateTimestampList", "holds at least one timestamp, and none that is empty");
  if (timestamps.reduce((sum, { length }) => sum + 2 + length, 0) > 0xffff)
    throw fault("signedCertificateTimestampList", "has more than 65535 bytes");
}

/** The SubjectPublicKeyInfo that a certificate delegated to. */
function delegatedKey(bytes: Uint8Array): Uint8Array {
  if (!isBytes(bytes)) throw wrong("delegatedCredential is not made of bytes");
  return readable("delegatedCredential", () => readDelegatedCredential(bytes)).cred.ASN1_subjectPublicKeyInfo;
}

function leafKind(der: Uint8Array): KeyKind | undefined {
  const leaf = readable("leaf", () => parseCertificate(der));
  const fault = faultOf(leaf);
  if (fault !== undefined) throw wrong(`the leaf ${fault}`);
  return leaf.publicKey.kind;
}

const rawKind = (spki: Uint8Array): KeyKind | undefined =>
  readable("public key", () => publicKeyInfo(parseDer(spki, "public key"))).kind;

function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw wrong(`the ${what} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

const wrong = (what: string) => invalid("credentials", what);
