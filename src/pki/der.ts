import { fromBER, ObjectIdentifier } from "asn1js";
import { TrustError } from "../protocol/errors.ts";

/** One parsed DER value; all bytes are views into the input. ITU-T X.690 §8.1, §10.1. */
export interface Der {
  /** The identifier octet: 0x30 for SEQUENCE, 0xa0 for a constructed [0] and so on. */
  readonly tag: number;
  /** Identifier, length and content. */
  readonly raw: Uint8Array;
  readonly content: Uint8Array;
  /** The values inside a constructed one; empty for a primitive one. */
  readonly items: readonly Der[];
  /** Dotted form of an OBJECT IDENTIFIER. */
  readonly oid?: string;
}

/** Identifier octets that certificates use. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Nesting and size that no certificate needs, and that a parser must not follow. */
const limits = { maxDepth: 32, maxNodes: 10_000, parseEmbedded: false, copyInput: false } as const;

/**
 * The value that `bytes` encode, whole and in DER lengths.
 * Throws a TrustError (ERR_CERT_INVALID, bad_certificate) that names `field`.
 */
export function parseDer(bytes: Uint8Array, field: string): Der {
  let parsed: ReturnType<typeof fromBER>;
  try {
    parsed = fromBER(bytes, limits);
  } catch (cause) {
    throw malformed(field, "is not DER", cause);
  }
  if (parsed.offset === -1) throw malformed(field, "is not DER");
  if (parsed.offset !== bytes.length) throw malformed(field, "has bytes after its end");
  return convert(parsed.result, field);
}

/** The error for a certificate field whose bytes are wrong. */
export function malformed(field: string, fault: string, cause?: unknown): TrustError {
  return new TrustError("ERR_CERT_INVALID", "bad_certificate", `the certificate's ${field} ${fault}`, {
    cause,
  });
}

/** `value` itself when it is present and has the tag that its place asks for; else a TrustError naming `field`. */
export function expectTag(value: Der | undefined, tag: number, field: string): Der {
  if (value === undefined) throw malformed(field, "is missing");
  if (value.tag !== tag) throw malformed(field, "has the wrong type");
  return value;
}

/** The dotted form of an OBJECT IDENTIFIER; a TrustError naming `field` when it is none. */
export function oidOf(value: Der | undefined, field: string): string {
  const { oid } = expectTag(value, Tag.oid, field);
  if (oid === undefined) throw malformed(field, "is no object identifier");
  return oid;
}

/** A BOOLEAN in DER (one octet, 0x00 or 0xff). */
export function booleanOf(value: Der | undefined, field: string): boolean {
  const { content } = expectTag(value, Tag.boolean, field);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw malformed(field, "is no DER boolean");
  return content[0] === 0xff;
}

/** A small non-negative INTEGER (at most four octets). */
export function smallIntegerOf(value: Der | undefined, field: string): number {
  const { content } = expectTag(value, Tag.integer, field);
  if (content.length === 0 || content.length > 4) throw malformed(field, "is out of range");
  if (((content[0] ?? 0) & 0x80) !== 0) throw malformed(field, "is negative");
  return content.reduce((sum, octet) => sum * 256 + octet, 0);
}

/** The octets of a BIT STRING whose length is a whole number of octets. */
export function octetsOfBits(value: Der | undefined, field: string): Uint8Array {
  const { content } = expectTag(value, Tag.bitString, field);
  if (content.length === 0 || content[0] !== 0) throw malformed(field, "is no whole number of octets");
  return content.subarray(1);
}

/** The text of an IA5String's octets; a TrustError naming `field` for anything beyond ASCII. */
export function asciiOf(octets: Uint8Array, field: string): string {
  let text = "";
  for (const octet of octets) {
    if (octet === 0 || octet > 0x7f) throw malformed(field, "is not ASCII text");
    text += String.fromCharCode(octet);
  }
  return text;
}

type Block = ReturnType<typeof fromBER>["result"];

function convert(block: Block, field: string): Der {
  const raw = block.valueBeforeDecodeView;
  const tag = raw[0];
  if (tag === undefined || (tag & 0x1f) === 0x1f)
    throw malformed(field, "uses a tag that certificates do not have");
  const length = block.lenBlock.length;
  if (block.lenBlock.isIndefiniteForm || raw.length !== 1 + lengthOctets(length) + length) {
    throw malformed(field, "is not in DER's shortest form");
  }
  const value: { tag: number; raw: Uint8Array; content: Uint8Array; items: Der[]; oid?: string } = {
    tag,
    raw,
    content: raw.subarray(raw.length - length),
    items: [],
  };
  if ((tag & 0x20) !== 0) value.items = childrenOf(block).map((child) => convert(child, field));
  else if (block instanceof ObjectIdentifier) value.oid = block.getValue();
  return value;
}

function childrenOf(block: Block): readonly Block[] {
  const children: unknown = "value" in block.valueBlock ? block.valueBlock.value : undefined;
  // asn1js types the children of each of its classes apart; all of them are its blocks.
  return Array.isArray(children) ? (children as Block[]) : [];
}

/** How many octets DER spends on the length `n`. */
function lengthOctets(n: number): number {
  if (n < 0x80) return 1;
  let octets = 1;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 256)) octets += 1;
  return octets;
}
