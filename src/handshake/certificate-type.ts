/** What each side proves itself with: an X.509 certificate or a raw public key. RFC 7250 §4, RFC 9846 §4.5.1. */
import { TrustError } from "../protocol/errors.ts";
import { CertificateType, type CertificateTypeName } from "../protocol/iana.ts";
import { illegalParameter } from "./fault.ts";

/** What goes without saying. RFC 7250 §4.1. */
export const X509_ALONE: readonly CertificateTypeName[] = ["X509"];

/** The list for a ClientHello; undefined where it would say what goes without saying. */
export function typesToOffer(types: readonly CertificateTypeName[]): readonly number[] | undefined {
  const needless = types.length === 0 || (types.length === 1 && types[0] === "X509");
  return needless ? undefined : types.map((type) => CertificateType[type]);
}

/** Refuses the list that a client MUST leave out. Throws a ProtocolError (illegal_parameter). RFC 7250 §4.1. */
export function checkOfferedTypes(list: readonly number[] | undefined, extension: string): void {
  if (list?.length === 1 && list[0] === CertificateType.X509) {
    throw illegalParameter(`client_hello: ${extension} says no more than its absence would`);
  }
}

/** The types that a client named, as far as we know them. */
export function typesOf(list: readonly number[] | undefined): readonly CertificateTypeName[] {
  if (list === undefined) return X509_ALONE;
  const names = Object.keys(CertificateType) as CertificateTypeName[]; // Object.keys forgets the names.
  return list.flatMap((code) => names.find((name) => CertificateType[name] === code) ?? []);
}

/** The first of ours that the client has too. Throws a TrustError (unsupported_certificate). RFC 7250 §4.2. */
export function commonType(
  ours: readonly CertificateTypeName[],
  list: readonly number[] | undefined,
): CertificateTypeName {
  const theirs = typesOf(list);
  const common = ours.find((type) => theirs.includes(type));
  if (common === undefined) throw unsupportedType("client_hello: no type of client certificate in common");
  return common;
}

/** The type in EncryptedExtensions, or what its absence means; undefined when that is none of what was offered. */
export function answeredType(
  answer: number | undefined,
  offered: readonly CertificateTypeName[],
): CertificateTypeName | undefined {
  return offered.find((type) => CertificateType[type] === (answer ?? CertificateType.X509));
}

export const unsupportedType = (what: string): TrustError =>
  new TrustError("ERR_CERT_UNSUPPORTED", "unsupported_certificate", what);
