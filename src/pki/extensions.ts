import { parseNameConstraints, type NameConstraints } from "./constraints.ts";
import { booleanOf, type Der, expectTag, malformed, oidOf, parseDer, smallIntegerOf, Tag } from "./der.ts";
import { type GeneralName, parseGeneralNames } from "./general-name.ts";

/** RFC 5280 §4.2.1.3, in bit order. */
export const keyUsageNames = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsageName = (typeof keyUsageNames)[number];

/** RFC 5280 §4.2.1.12. */
export const ExtendedKeyUsageOid = {
  any: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** RFC 9345 §4.2. */
export const DELEGATION_USAGE = "1.3.6.1.4.1.44363.44";

/** What the extensions of a certificate say; absent ones are undefined or empty. RFC 5280 §4.2. */
export interface Extensions {
  readonly isCa: boolean;
  /** How many CA certificates may stand between this one and the leaf. */
  readonly pathLength: number | undefined;
  readonly keyUsage: readonly KeyUsageName[] | undefined;
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** DelegationUsage: its key may delegate to others. RFC 9345 §4.2. */
  readonly delegationUsage: boolean;
  readonly subjectAltNames: readonly GeneralName[];
  readonly subjectAltNamesCritical: boolean;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Object identifiers of critical extensions that nothing here processes. */
  readonly unknownCriticalExtensions: readonly string[];
}

/** Reads the extensions [3]. Throws a TrustError naming the extension. */
export function parseExtensions(wrapper: Der | undefined): Extensions {
  const found: Found = { unknownCriticalExtensions: [] };
  const seen = new Set<string>();
  const list = wrapper === undefined ? [] : expectTag(wrapper.items[0], Tag.sequence, "extensions").items;
  if (wrapper !== undefined && list.length === 0) throw malformed("extensions", "are empty");
  for (const entry of list) {
    const extension = parseExtension(entry);
    if (seen.has(extension.oid)) throw malformed(`extension ${extension.oid}`, "appears twice");
    seen.add(extension.oid);
    read(extension, found);
  }
  if (found.nameConstraints !== undefined && found.isCa !== true) {
    throw malformed("name constraints", "stand in a certificate that is no CA"); // RFC 5280 §4.2.1.10
  }
  if (found.keyUsage?.includes("keyCertSign") === true && found.isCa !== true) {
    throw malformed("key usage", "signs certificates without being a CA"); // RFC 5280 §4.2.1.9
  }
  return {
    isCa: found.isCa ?? false,
    pathLength: found.pathLength,
    keyUsage: found.keyUsage,
    extendedKeyUsage: found.extendedKeyUsage,
    delegationUsage: found.delegationUsage ?? false,
    subjectAltNames: found.subjectAltNames ?? [],
    subjectAltNamesCritical: found.subjectAltNamesCritical ?? false,
    nameConstraints: found.nameConstraints,
    subjectKeyId: found.subjectKeyId,
    authorityKeyId: found.authorityKeyId,
    unknownCriticalExtensions: found.unknownCriticalExtensions,
  };
}

interface Found {
  isCa?: boolean;
  pathLength?: number | undefined;
  keyUsage?: readonly KeyUsageName[];
  extendedKeyUsage?: readonly string[];
  delegationUsage?: boolean;
  subjectAltNames?: readonly GeneralName[];
  subjectAltNamesCritical?: boolean;
  nameConstraints?: NameConstraints;
  subjectKeyId?: Uint8Array;
  authorityKeyId?: Uint8Array | undefined;
  readonly unknownCriticalExtensions: string[];
}

interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly octets: Uint8Array;
}

function parseExtension(entry: Der): Extension {
  const [id, second, third] = expectTag(entry, Tag.sequence, "extension").items;
  const oid = oidOf(id, "extension");
  const [flag, value] = third === undefined ? [undefined, second] : [second, third];
  const critical = flag !== undefined && booleanOf(flag, `extension ${oid}`);
  return { oid, critical, octets: expectTag(value, Tag.octetString, `extension ${oid}`).content };
}

function read({ oid, critical, octets }: Extension, found: Found): void {
  switch (oid) {
    case "2.5.29.19":
      readBasicConstraints(parseDer(octets, "basic constraints"), found);
      break;
    case "2.5.29.15":
      found.keyUsage = readKeyUsage(parseDer(octets, "key usage"));
      break;
    case "2.5.29.37":
      found.extendedKeyUsage = readExtendedKeyUsage(parseDer(octets, "extended key usage"));
      break;
    case "2.5.29.17":
      found.subjectAltNames = parseGeneralNames(
        parseDer(octets, "subject alternative name"),
        "subject alternative name",
      );
      found.subjectAltNamesCritical = critical;
      break;
    case "2.5.29.30":
      found.nameConstraints = parseNameConstraints(parseDer(octets, "name constraints"));
      break;
    case "2.5.29.14":
      neverCritical(critical, "subject key identifier");
      found.subjectKeyId = expectTag(
        parseDer(octets, "subject key identifier"),
        Tag.octetString,
        "subject key identifier",
      ).content;
      break;
    case "2.5.29.35":
      neverCritical(critical, "authority key identifier");
      found.authorityKeyId = readAuthorityKeyId(parseDer(octets, "authority key identifier"));
      break;
    case "1.3.6.1.5.5.7.1.1":
      neverCritical(critical, "authority information access");
      break;
    case DELEGATION_USAGE:
      neverCritical(critical, "delegation usage");
      expectTag(parseDer(octets, "delegation usage"), Tag.null, "delegation usage");
      found.delegationUsage = true;
      break;
    default:
      if (critical) found.unknownCriticalExtensions.push(oid);
  }
}

/** RFC 5280 §4.2.1.1, §4.2.1.2 and §4.2.2.1 forbid marking these critical. */
function neverCritical(critical: boolean, field: string): void {
  if (critical) throw malformed(field, "must not be critical");
}

/** RFC 5280 §4.2.1.9. */
function readBasicConstraints(value: Der, found: Found): void {
  const { items } = expectTag(value, Tag.sequence, "basic constraints");
  const [first] = items;
  const hasFlag = first?.tag === Tag.boolean;
  const length = hasFlag ? items[1] : first;
  if (items.length > (hasFlag ? 2 : 1)) throw malformed("basic constraints", "have too many fields");
  found.isCa = hasFlag && booleanOf(first, "basic constraints");
  if (length === undefined) return;
  found.pathLength = smallIntegerOf(length, "path length");
  if (!found.isCa) throw malformed("path length", "stands in a certificate that is no CA");
}

function readKeyUsage(value: Der): readonly KeyUsageName[] {
  const { content } = expectTag(value, Tag.bitString, "key usage");
  const bits = content.subarray(1);
  const names = keyUsageNames.filter((_, bit) => ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  if (names.length === 0) throw malformed("key usage", "allows nothing");
  return names;
}

function readExtendedKeyUsage(value: Der): readonly string[] {
  const purposes = expectTag(value, Tag.sequence, "extended key usage").items;
  if (purposes.length === 0) throw malformed("extended key usage", "allows nothing");
  return purposes.map((purpose) => oidOf(purpose, "extended key usage"));
}

function readAuthorityKeyId(value: Der): Uint8Array | undefined {
  const fields = expectTag(value, Tag.sequence, "authority key identifier").items;
  return fields.find(({ tag }) => tag === 0x80)?.content;
}
