import { TrustError } from "../protocol/errors.ts";
import type { Certificate } from "./certificate.ts";
import { ExtendedKeyUsageOid } from "./extensions.ts";

/** Which end the certificate has to authenticate. */
export type Purpose = "server" | "client";

/** RSA moduli accepted, in bits: shorter ones are weak, longer ones only cost time. */
const rsaBits = { least: 2048, most: 8192 } as const;

/** What a certificate must be at any place of a path: in force, understood, strong. Throws a TrustError. */
export function checkAny(certificate: Certificate, purpose: Purpose, nowMs: number): void {
  checkValidity(certificate, nowMs);
  checkSubject(certificate);
  const [unknown] = certificate.unknownCriticalExtensions;
  if (unknown !== undefined) throw unsupported(certificate, `has the unknown critical extension ${unknown}`);
  const { kind, oid, modulusBits } = certificate.publicKey;
  if (kind === undefined) throw unsupported(certificate, `has a key of an unsupported kind (${oid})`);
  if (modulusBits !== undefined && (modulusBits < rsaBits.least || modulusBits > rsaBits.most)) {
    throw unsupported(
      certificate,
      `has an RSA key of ${modulusBits} bits; ${rsaBits.least} to ${rsaBits.most} are accepted`,
    );
  }
  checkExtendedKeyUsage(certificate, purpose);
  checkKeyFitsUsage(certificate);
}

/** Names that stand in for an empty subject must be critical. RFC 5280 §4.1.2.6. */
function checkSubject(certificate: Certificate): void {
  const { subject, subjectAltNames, subjectAltNamesCritical } = certificate;
  if (subject.attributes.length === 0 && subjectAltNames.length > 0 && !subjectAltNamesCritical) {
    throw invalid(certificate, "has an empty subject and no critical subject alternative name");
  }
}

/** What the peer's own certificate must be besides. RFC 9846 §4.5.1.2. Throws a TrustError. */
export function checkLeaf(certificate: Certificate): void {
  if (certificate.keyUsage?.includes("digitalSignature") === false) {
    throw unsupported(certificate, "is not meant for digital signatures (key usage)");
  }
}

/**
 * What the issuer of `path`'s last certificate must be besides. RFC 5280 §6.1.4 (k) to (n).
 * A version 1 certificate has no extensions to say so; only an anchor may be one. Throws a TrustError.
 */
export function checkIssuer(issuer: Certificate, path: readonly Certificate[], isAnchor: boolean): void {
  if (!issuer.isCa && !(isAnchor && issuer.version === 1))
    throw invalid(issuer, "is no CA (basic constraints)");
  if (issuer.keyUsage?.includes("keyCertSign") === false) {
    throw invalid(issuer, "is not meant to sign certificates (key usage)");
  }
  if (issuer.subject.attributes.length === 0) throw invalid(issuer, "is a CA with an empty subject");
  if (issuer.pathLength !== undefined && countIntermediates(path) > issuer.pathLength) {
    throw invalid(issuer, `allows at most ${issuer.pathLength} CA certificates beneath it`);
  }
}

/** The CA certificates above the leaf that count against a path length: not the self-issued. RFC 5280 §4.2.1.9. */
export function countIntermediates(path: readonly Certificate[]): number {
  return path.filter((certificate, at) => at > 0 && !isSelfIssued(certificate)).length;
}

export const isSelfIssued = ({ subject, issuer }: Certificate): boolean => subject.key === issuer.key;

/** Throws a TrustError when `nowMs`, to the second, is outside the period; both ends belong to it. RFC 5280 §4.1.2.5. */
export function checkValidity(certificate: Certificate, nowMs: number): void {
  const second = Math.floor(nowMs / 1000) * 1000;
  if (second > certificate.notAfterMs) {
    throw untimely("ERR_CERT_EXPIRED", certificate, `expired on ${isoTime(certificate.notAfterMs)}`);
  }
  if (!(second >= certificate.notBeforeMs)) {
    throw untimely(
      "ERR_CERT_NOT_YET_VALID",
      certificate,
      `is not valid before ${isoTime(certificate.notBeforeMs)}`,
    );
  }
}

/** ERR_CERT_INVALID, bad_certificate: the certificate itself is wrong. */
export function invalid(certificate: Certificate, fault: string): TrustError {
  return new TrustError(
    "ERR_CERT_INVALID",
    "bad_certificate",
    `the certificate ${nameOf(certificate)} ${fault}`,
  );
}

/** ERR_CERT_UNSUPPORTED, unsupported_certificate: right perhaps, but not for this. */
export function unsupported(certificate: Certificate, fault: string): TrustError {
  const message = `the certificate ${nameOf(certificate)} ${fault}`;
  return new TrustError("ERR_CERT_UNSUPPORTED", "unsupported_certificate", message);
}

/** How errors name a certificate. */
export const nameOf = ({ subject, serial }: Certificate): string => `"${subject.text || `serial ${serial}`}"`;

function checkExtendedKeyUsage(certificate: Certificate, purpose: Purpose): void {
  const allowed = certificate.extendedKeyUsage;
  if (allowed === undefined || allowed.includes(ExtendedKeyUsageOid.any)) return;
  const wanted = purpose === "server" ? ExtendedKeyUsageOid.serverAuth : ExtendedKeyUsageOid.clientAuth;
  if (!allowed.includes(wanted)) {
    throw unsupported(certificate, `is not meant for a TLS ${purpose} (extended key usage)`);
  }
}

/** Keys that only sign must not claim to encrypt or agree. RFC 9881 §3, RFC 9295 §3. */
function checkKeyFitsUsage(certificate: Certificate): void {
  if (!/^(?:ml-dsa|ed25519)/.test(certificate.publicKey.kind ?? "")) return;
  const foreign = certificate.keyUsage?.find((usage) => /Encipherment$|Agreement$|Only$/.test(usage));
  if (foreign !== undefined)
    throw invalid(certificate, `has a key that cannot serve its key usage ${foreign}`);
}

function untimely(
  code: "ERR_CERT_EXPIRED" | "ERR_CERT_NOT_YET_VALID",
  certificate: Certificate,
  fault: string,
): TrustError {
  return new TrustError(code, "certificate_expired", `the certificate ${nameOf(certificate)} ${fault}`);
}

const isoTime = (timeMs: number): string => new Date(timeMs).toISOString().replace(".000Z", "Z");
