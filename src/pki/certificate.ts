import type { CryptoProvider, SignatureAlgorithm } from "../crypto/provider.ts";
import { equal, toHex } from "../protocol/bytes.ts";
import { type PublicKeyInfo, publicKeyInfo, signatureAlgorithmOf } from "./algorithm.ts";
import { type Der, expectTag, malformed, octetsOfBits, oidOf, parseDer, smallIntegerOf, Tag } from "./der.ts";
import { type DistinguishedName, parseName } from "./distinguished-name.ts";
import { type Extensions, parseExtensions } from "./extensions.ts";
import { RecentMap } from "./recent.ts";
import { timeOf } from "./time.ts";

/** A parsed X.509 certificate; nothing in it is verified yet. RFC 5280 §4.1. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array;
  /** TBSCertificate: what the signature covers. */
  readonly tbs: Uint8Array;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly publicKey: PublicKeyInfo;
  readonly version: 1 | 2 | 3;
  /** `algorithm` is undefined for one that is not accepted; `oid` always names it. */
  readonly signature: {
    readonly algorithm: SignatureAlgorithm | undefined;
    readonly oid: string;
    readonly bytes: Uint8Array;
  };
  /** Upper-case hexadecimal, no separators. */
  readonly serial: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly dnsNames: readonly string[];
  /** 4 or 16 octets each. */
  readonly ipAddresses: readonly Uint8Array[];
  readonly uris: readonly string[];
  readonly emails: readonly string[];
}

/** Reads a DER certificate, of which it keeps a copy. Throws a TrustError (ERR_CERT_INVALID, bad_certificate). */
export function parseCertificate(der: Uint8Array): Certificate {
  const copy = new Uint8Array(der);
  const root = expectTag(parseDer(copy, "encoding"), Tag.sequence, "encoding");
  const [tbs, algorithm, signature] = root.items;
  if (root.items.length !== 3) throw malformed("encoding", "does not have three parts");
  const body = splitBody(expectTag(tbs, Tag.sequence, "body"));
  const signatureAlgorithm = expectTag(algorithm, Tag.sequence, "signature algorithm");
  if (!equal(signatureAlgorithm.raw, body.signatureAlgorithm.raw)) {
    throw malformed("signature algorithm", "is named in two different ways"); // RFC 5280 §4.1.1.2
  }
  const subject = parseName(body.subject, "subject");
  const extensions = parseExtensions(body.extensions);
  const validity = expectTag(body.validity, Tag.sequence, "validity").items;
  return Object.freeze({
    der: copy,
    tbs: body.raw,
    spki: expectTag(body.spki, Tag.sequence, "public key").raw,
    publicKey: Object.freeze(publicKeyInfo(expectTag(body.spki, Tag.sequence, "public key"))),
    version: body.version,
    signature: Object.freeze({
      algorithm: signatureAlgorithmOf(signatureAlgorithm),
      oid: oidOf(signatureAlgorithm.items[0], "signature algorithm"),
      bytes: octetsOfBits(signature, "signature"),
    }),
    serial: serialOf(body.serial),
    subject,
    issuer: issuerOf(body.issuer),
    notBeforeMs: timeOf(validity[0], "notBefore"),
    notAfterMs: timeOf(validity[1], "notAfter"),
    ...extensions,
    ...namesOf(extensions),
  });
}

/** Node's form of a fingerprint: SHA-256 of the DER, `AA:BB:…`. */
export function fingerprint256(provider: CryptoProvider, { der }: Certificate): string {
  return (toHex(provider.hash("sha256").digest(der)).toUpperCase().match(/../g) ?? []).join(":");
}

/** The bytes of a certificate larger than this are parsed afresh each time rather than kept. */
const largestKeptBytes = 16_384;

/** Parsed certificates by their bytes: a bounded number, the least recently used goes first. */
export class CertificateCache {
  readonly #entries: RecentMap<string, Certificate>;

  /** `limit` is how many certificates are kept. */
  constructor(limit = 256) {
    this.#entries = new RecentMap(limit);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** As `parseCertificate`, which it spares when these very bytes were read before. */
  parse(der: Uint8Array): Certificate {
    const key = tailKey(der);
    const known = this.#entries.get(key);
    if (known !== undefined && sameBytes(known.der, der)) return known;
    const certificate = parseCertificate(der);
    if (der.length <= largestKeptBytes) this.#entries.set(key, certificate);
    return certificate;
  }
}

/**
 * A cheap key: a certificate ends with its signature, so its last bytes are as good as random.
 * Who makes them collide on purpose gains nothing, because a hit is always compared byte by byte.
 */
export function tailKey(der: Uint8Array): string {
  return `${der.length}:${String.fromCharCode(...der.subarray(-16))}`;
}

/** Equality of public bytes; free to stop at the first difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

interface Body {
  readonly raw: Uint8Array;
  readonly version: 1 | 2 | 3;
  readonly serial: Der | undefined;
  readonly signatureAlgorithm: Der;
  readonly issuer: Der | undefined;
  readonly validity: Der | undefined;
  readonly subject: Der | undefined;
  readonly spki: Der | undefined;
  readonly extensions: Der | undefined;
}

function splitBody(tbs: Der): Body {
  const explicit = tbs.items[0]?.tag === 0xa0 ? tbs.items[0] : undefined;
  const version = explicit === undefined ? 1 : smallIntegerOf(explicit.items[0], "version") + 1;
  if (version !== 1 && version !== 2 && version !== 3) throw malformed("version", "is unknown");
  const [serial, algorithm, issuer, validity, subject, spki, ...rest] =
    explicit === undefined ? tbs.items : tbs.items.slice(1);
  for (const { tag } of rest)
    if (tag !== 0x81 && tag !== 0x82 && tag !== 0xa3) throw malformed("body", "has an unknown field");
  const extensions = rest.find(({ tag }) => tag === 0xa3);
  if (extensions !== undefined && version !== 3) throw malformed("version", "does not allow extensions");
  const signatureAlgorithm = expectTag(algorithm, Tag.sequence, "signature algorithm");
  return { raw: tbs.raw, version, serial, signatureAlgorithm, issuer, validity, subject, spki, extensions };
}

/** RFC 5280 §4.1.2.2, but for zero, which test certificates have. */
function serialOf(value: Der | undefined): string {
  const { content } = expectTag(value, Tag.integer, "serial number");
  if (content.length === 0 || content.length > 20)
    throw malformed("serial number", "is not 1 to 20 octets long");
  if (((content[0] ?? 0) & 0x80) !== 0) throw malformed("serial number", "is negative");
  return toHex(content[0] === 0 && content.length > 1 ? content.subarray(1) : content).toUpperCase();
}

function issuerOf(value: Der | undefined): DistinguishedName {
  const issuer = parseName(value, "issuer");
  if (issuer.attributes.length === 0) throw malformed("issuer", "is empty"); // RFC 5280 §4.1.2.4
  return issuer;
}

function namesOf({
  subjectAltNames,
}: Extensions): Pick<Certificate, "dnsNames" | "ipAddresses" | "uris" | "emails"> {
  const names = {
    dnsNames: [] as string[],
    ipAddresses: [] as Uint8Array[],
    uris: [] as string[],
    emails: [] as string[],
  };
  for (const name of subjectAltNames) {
    if (name.form === "dns") names.dnsNames.push(name.text);
    else if (name.form === "ip") names.ipAddresses.push(name.octets);
    else if (name.form === "uri") names.uris.push(name.text);
    else if (name.form === "email") names.emails.push(name.text);
  }
  return names;
}
