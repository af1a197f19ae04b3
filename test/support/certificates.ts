/** Certificates for tests: a CA and what it issues, ECDSA P-256, made afresh each time. */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly notAfter?: Date;
  /** More than the one CN. */
  readonly commonNames?: readonly string[];
}

export interface Authority {
  readonly ca: string;
  /** A certificate for both roles of TLS whose subject is `CN=<name>`, by default for localhost and 127.0.0.1. */
  issue(name: string, options?: IssueOptions): Issued;
}

const HOUR_MS = 3_600_000;
const ECDSA_SHA256 = "1.2.840.10045.4.3.2";

export function authority(name = "test CA"): Authority {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = nameOf([name]);
  const ca = certificate(issuer, issuer, publicKey, privateKey, new Date(Date.now() + 24 * HOUR_MS), [
    extension("2.5.29.19", true, new BasicConstraints({ cA: true })),
    extension("2.5.29.15", true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
  ]);
  return {
    ca,
    issue(subject, options = {}) {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const { dnsNames = ["localhost"], addresses = ["127.0.0.1"] } = options;
      const names = [
        ...dnsNames.map((dNSName) => new GeneralName({ dNSName })),
        ...addresses.map((iPAddress) => new GeneralName({ iPAddress })),
      ];
      const extensions = [
        extension("2.5.29.19", true, new BasicConstraints({ cA: false })),
        extension("2.5.29.15", true, new KeyUsage(KeyUsageFlags.digitalSignature)),
        extension("2.5.29.37", false, new ExtendedKeyUsage(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"])),
        extension("2.5.29.17", false, new SubjectAlternativeName(names)),
      ];
      const notAfter = options.notAfter ?? new Date(Date.now() + 24 * HOUR_MS);
      const subjectName = nameOf(options.commonNames ?? [subject]);
      return {
        cert: certificate(subjectName, issuer, own.publicKey, privateKey, notAfter, extensions),
        key: own.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      };
    },
  };
}

function certificate(
  subject: Name,
  issuer: Name,
  publicKey: KeyObject,
  signingKey: KeyObject,
  notAfter: Date,
  extensions: Extension[],
): string {
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const serial = randomBytes(16);
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bufferOf(serial),
    signature: signatureAlgorithm,
    issuer,
    validity: new Validity({ notBefore: new Date(Date.now() - 48 * HOUR_MS), notAfter }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(
      publicKey.export({ type: "spki", format: "der" }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions(extensions),
  });
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const signatureValue = bufferOf(sign("sha256", signed, signingKey));
  const der = AsnConvert.serialize(new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue }));
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function nameOf(commonNames: readonly string[]): Name {
  return new Name(
    commonNames.map((utf8String) => {
      const value = new AttributeValue({ utf8String });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type: "2.5.4.3", value })]);
    }),
  );
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

const bufferOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
