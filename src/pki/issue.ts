import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate as CertificateAsn,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyUsage,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import type { CryptoProvider, KeyKind, SignatureAlgorithm, SigningKey } from "../crypto/provider.ts";
import { UsageError } from "../protocol/errors.ts";
import { publicKeyOctets, signatureIdentifier } from "./algorithm.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { attributeOids } from "./distinguished-name.ts";
import { ExtendedKeyUsageOid, type KeyUsageName, keyUsageNames } from "./extensions.ts";
import { isDnsPattern, parseIpAddress } from "./name.ts";

/** What a new certificate says. */
export interface CertificateRequest {
  /** In the order of the certificate, e.g. `{ O: "Example", CN: "server" }`. */
  readonly subject: Readonly<Partial<Record<keyof typeof attributeOids, string>>>;
  /** DER SubjectPublicKeyInfo of the subject. */
  readonly spki: Uint8Array;
  /** The issuer's certificate; self-signed when absent. */
  readonly issuer?: Certificate | undefined;
  readonly signingKey: SigningKey;
  /** Defaults to what suits the key: see `defaultAlgorithms`. */
  readonly algorithm?: SignatureAlgorithm | undefined;
  /** Up to 20 octets, first bit clear; 16 random ones when absent. RFC 5280 §4.1.2.2. */
  readonly serial?: Uint8Array | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa?: boolean | undefined;
  readonly pathLength?: number | undefined;
  readonly dnsNames?: readonly string[] | undefined;
  /** IPv4 or IPv6 literals. */
  readonly ipAddresses?: readonly string[] | undefined;
  readonly uris?: readonly string[] | undefined;
  /** Defaults to keyCertSign and cRLSign for a CA, digitalSignature otherwise. */
  readonly keyUsage?: readonly KeyUsageName[] | undefined;
  readonly extendedKeyUsage?: readonly (keyof typeof ExtendedKeyUsageOid)[] | undefined;
  /** Further extensions; `value` is DER. */
  readonly extensions?: readonly {
    readonly oid: string;
    readonly critical: boolean;
    readonly value: Uint8Array;
  }[];
}

const defaultAlgorithms: Readonly<Record<KeyKind, SignatureAlgorithm>> = {
  secp256r1: "ecdsa-sha256",
  secp384r1: "ecdsa-sha384",
  secp521r1: "ecdsa-sha512",
  ed25519: "ed25519",
  rsa: "rsa-pkcs1-sha256",
  "rsa-pss": "rsa-pss-sha256",
  "ml-dsa-44": "ml-dsa-44",
  "ml-dsa-65": "ml-dsa-65",
  "ml-dsa-87": "ml-dsa-87",
};

/**
 * A signed version 3 certificate in DER. RFC 5280 §4. Throws a UsageError (ERR_OPTION_INVALID) for a name that is
 * none or a period that is empty, and whatever `signingKey.sign` throws.
 */
export function issueCertificate(provider: CryptoProvider, request: CertificateRequest): Uint8Array {
  const algorithm = request.algorithm ?? defaultAlgorithms[request.signingKey.kind];
  const identifier = AsnConvert.parse(signatureIdentifier(algorithm), AlgorithmIdentifier);
  const subject = nameFrom(request.subject);
  if (!(request.notAfterMs >= request.notBeforeMs))
    throw invalidOption("notAfterMs", "lies before notBeforeMs");
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: bufferOf(request.serial ?? randomSerial(provider)),
    signature: identifier,
    issuer: request.issuer === undefined ? subject : AsnConvert.parse(request.issuer.subject.der, Name),
    validity: new Validity({
      notBefore: new Date(request.notBeforeMs),
      notAfter: new Date(request.notAfterMs),
    }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(request.spki, SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsFor(provider, request)),
  });
  const tbsBytes = AsnConvert.serialize(tbs);
  const signature = request.signingKey.sign(algorithm, new Uint8Array(tbsBytes));
  const certificate = new CertificateAsn({
    tbsCertificate: tbs,
    tbsCertificateRaw: tbsBytes,
    signatureAlgorithm: identifier,
    signatureValue: bufferOf(signature),
  });
  const der = new Uint8Array(AsnConvert.serialize(certificate));
  parseCertificate(der); // What we issue, we can read.
  return der;
}

function extensionsFor(provider: CryptoProvider, request: CertificateRequest): Extension[] {
  const isCa = request.isCa ?? false;
  const keyUsage = request.keyUsage ?? (isCa ? ["keyCertSign", "cRLSign"] : ["digitalSignature"]);
  const authority =
    request.issuer === undefined ? keyId(provider, request.signingKey.spki) : request.issuer.subjectKeyId;
  const list = [
    extension("2.5.29.19", true, basicConstraints(isCa, request.pathLength)),
    extension(
      "2.5.29.15",
      true,
      new KeyUsage(keyUsage.reduce((bits, name) => bits | (1 << keyUsageNames.indexOf(name)), 0)),
    ),
    extension("2.5.29.14", false, new SubjectKeyIdentifier(bufferOf(keyId(provider, request.spki)))),
  ];
  if (authority !== undefined) {
    const keyIdentifier = new SubjectKeyIdentifier(bufferOf(authority));
    list.push(extension("2.5.29.35", false, new AuthorityKeyIdentifier({ keyIdentifier })));
  }
  if (request.extendedKeyUsage !== undefined) {
    const purposes = request.extendedKeyUsage.map((purpose) => ExtendedKeyUsageOid[purpose]);
    list.push(extension("2.5.29.37", false, new ExtendedKeyUsage(purposes)));
  }
  const names = alternativeNames(request);
  const isNameless = Object.keys(request.subject).length === 0;
  if (names.length > 0) list.push(extension("2.5.29.17", isNameless, new SubjectAlternativeName(names)));
  for (const { oid, critical, value } of request.extensions ?? []) {
    list.push(new Extension({ extnID: oid, critical, extnValue: new OctetString(bufferOf(value)) }));
  }
  return list;
}

function basicConstraints(isCa: boolean, pathLength: number | undefined): BasicConstraints {
  if (pathLength === undefined) return new BasicConstraints({ cA: isCa });
  if (!isCa) throw invalidOption("pathLength", "is for a CA");
  return new BasicConstraints({ cA: true, pathLenConstraint: pathLength });
}

function alternativeNames({ dnsNames = [], ipAddresses = [], uris = [] }: CertificateRequest): GeneralName[] {
  for (const name of dnsNames) {
    if (!isDnsPattern(name))
      throw invalidOption("dnsNames", `holds ${JSON.stringify(name)}, which is no host name`);
  }
  return [
    ...dnsNames.map((dNSName) => new GeneralName({ dNSName })),
    ...ipAddresses.map((text) => new GeneralName({ iPAddress: canonicalAddress(text) })),
    ...uris.map((uniformResourceIdentifier) => new GeneralName({ uniformResourceIdentifier })),
  ];
}

/** The plain form of an address: asn1-x509 reads that one and not every other. */
function canonicalAddress(text: string): string {
  const octets = parseIpAddress(text);
  if (octets === undefined)
    throw invalidOption("ipAddresses", `holds ${JSON.stringify(text)}, which is no IP address`);
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((octets[2 * at] ?? 0) << 8) | (octets[2 * at + 1] ?? 0)).toString(16),
  );
  return groups.join(":");
}

function nameFrom(subject: CertificateRequest["subject"]): Name {
  const parts = Object.entries(subject).map(([short, value]) => {
    const type = (attributeOids as Readonly<Record<string, string>>)[short];
    if (type === undefined) throw invalidOption("subject", `has an unknown part ${JSON.stringify(short)}`);
    const wanted =
      short === "C"
        ? "printableString"
        : short === "DC" || short === "emailAddress"
          ? "ia5String"
          : "utf8String";
    const pair = new AttributeTypeAndValue({ type, value: new AttributeValue({ [wanted]: value }) });
    return new RelativeDistinguishedName([pair]);
  });
  return new Name(parts);
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** RFC 7093 §2: the leftmost 160 bits of the key's SHA-256. */
function keyId(provider: CryptoProvider, spki: Uint8Array): Uint8Array {
  return provider.hash("sha256").digest(publicKeyOctets(spki)).subarray(0, 20);
}

/** Positive, and with no leading zero octet to drop. */
function randomSerial(provider: CryptoProvider): Uint8Array {
  const serial = provider.random(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** The ASN.1 classes keep ArrayBuffers. */
function bufferOf(octets: Uint8Array): ArrayBuffer {
  return new Uint8Array(octets).buffer;
}

function invalidOption(option: string, fault: string): UsageError {
  return new UsageError("ERR_OPTION_INVALID", `${option} ${fault}`, { option });
}
