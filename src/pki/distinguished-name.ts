import { fromUtf8, toHex } from "../protocol/bytes.ts";
import { type Der, expectTag, malformed, oidOf, Tag } from "./der.ts";

/** A subject or issuer. RFC 5280 §4.1.2.4. */
export interface DistinguishedName {
  readonly der: Uint8Array;
  /** Readable, most specific part first: `CN=server,O=Example`. RFC 4514. */
  readonly text: string;
  /** The most specific common name. */
  readonly commonName: string | undefined;
  /** In the order of the certificate. */
  readonly attributes: readonly NameAttribute[];
  /** Comparable form of each relative name: letter case and runs of spaces do not matter. RFC 5280 §7.1. */
  readonly keys: readonly string[];
  /** `keys` as one string; equal strings mean equal names. */
  readonly key: string;
}

export interface NameAttribute {
  /** `CN`, `O` … or the object identifier where no short name is customary. */
  readonly type: string;
  readonly value: string;
}

/** Short names. RFC 4514 §3, and the two that everyone writes although it does not list them. */
export const attributeOids = {
  CN: "2.5.4.3",
  serialNumber: "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  STREET: "2.5.4.9",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  UID: "0.9.2342.19200300.100.1.1",
  DC: "0.9.2342.19200300.100.1.25",
  emailAddress: "1.2.840.113549.1.9.1",
} as const;
const shortNames = new Map<string, string>(Object.entries(attributeOids).map(([name, oid]) => [oid, name]));

/** Reads a Name. Throws a TrustError naming `field`. */
export function parseName(name: Der | undefined, field: string): DistinguishedName {
  const { raw, items } = expectTag(name, Tag.sequence, field);
  const parts = items.map((part) =>
    expectTag(part, Tag.set, field).items.map((pair) => attribute(pair, field)),
  );
  if (parts.some((part) => part.length === 0)) throw malformed(field, "has an empty part");
  const keys = parts.map((part) => JSON.stringify(part.map(({ oid, key }) => `${oid}=${key}`).toSorted()));
  const attributes = parts.flat().map(({ type, value }) => Object.freeze({ type, value }));
  return Object.freeze({
    der: raw,
    text: parts.map(textOf).reverse().join(","),
    commonName: attributes.findLast(({ type }) => type === "CN")?.value,
    attributes: Object.freeze(attributes),
    keys: Object.freeze(keys),
    key: keys.join(","),
  });
}

interface Attribute extends NameAttribute {
  readonly oid: string;
  readonly key: string;
}

function attribute(pair: Der, field: string): Attribute {
  const [type, value] = expectTag(pair, Tag.sequence, field).items;
  const oid = oidOf(type, field);
  if (value === undefined || pair.items.length !== 2) throw malformed(field, "has a part without a value");
  const text = textValue(value, field);
  const name = shortNames.get(oid) ?? oid;
  if (text === undefined) return { oid, type: name, value: `#${toHex(value.raw)}`, key: toHex(value.raw) };
  return {
    oid,
    type: name,
    value: text,
    key: text.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " "),
  };
}

/** DirectoryString and IA5String; undefined for any other type. */
function textValue({ tag, content }: Der, field: string): string | undefined {
  switch (tag) {
    case Tag.utf8String:
      try {
        return fromUtf8(content);
      } catch (cause) {
        throw malformed(field, "is not UTF-8", cause);
      }
    case Tag.printableString:
    case Tag.ia5String:
    case Tag.numericString:
    case Tag.teletexString: // read as Latin-1, as everyone does
      return units(content, 1);
    case Tag.bmpString:
      return content.length % 2 === 0 ? units(content, 2) : undefined;
    default:
      return undefined;
  }
}

function units(octets: Uint8Array, width: 1 | 2): string {
  let text = "";
  for (let at = 0; at < octets.length; at += width) {
    const high = octets[at] ?? 0;
    text += String.fromCharCode(width === 1 ? high : (high << 8) | (octets[at + 1] ?? 0));
  }
  return text;
}

function textOf(part: readonly Attribute[]): string {
  return part.map(({ type, value }) => `${type}=${escaped(value)}`).join("+");
}

/** RFC 4514 §2.4; control characters are escaped too, so that a name cannot rewrite a terminal line. */
function escaped(value: string): string {
  return value
    .replace(/["+,;<>\\]/g, "\\$&")
    .replace(/^[ #]| $/g, "\\$&")
    .replace(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
