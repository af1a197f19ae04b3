import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { BitString, Integer, ObjectIdentifier, OctetString, Primitive, Sequence } from "asn1js";
import { wipe } from "../protocol/bytes.ts";

/** A new key pair, both halves in DER. */
export interface GeneratedKeyPair {
  /** PrivateKeyInfo, RFC 5958; the caller wipes it. */
  readonly pkcs8: Uint8Array;
  /** SubjectPublicKeyInfo, RFC 5280 §4.1.2.7. */
  readonly spki: Uint8Array;
}

export type MlDsaKind = "ml-dsa-44" | "ml-dsa-65" | "ml-dsa-87";

const kinds = {
  "ml-dsa-44": { oid: "2.16.840.1.101.3.4.3.17", algorithm: ml_dsa44 },
  "ml-dsa-65": { oid: "2.16.840.1.101.3.4.3.18", algorithm: ml_dsa65 },
  "ml-dsa-87": { oid: "2.16.840.1.101.3.4.3.19", algorithm: ml_dsa87 },
} as const;

/** An ML-DSA key pair from 32 random bytes, the private half in seed form. FIPS 204 §6.1, RFC 9881 §6. */
export function generateMlDsaKeyPair(kind: MlDsaKind, seed: Uint8Array): GeneratedKeyPair {
  const { oid, algorithm } = kinds[kind];
  const { publicKey, secretKey } = algorithm.keygen(seed);
  wipe(secretKey);
  const identifier = () => new Sequence({ value: [new ObjectIdentifier({ value: oid })] });
  // seed [0] IMPLICIT OCTET STRING; its 34 bytes of DER are the content of privateKey.
  const choice = new Primitive({ idBlock: { tagClass: 3, tagNumber: 0 }, valueHex: bufferOf(seed) }).toBER();
  const privateKey = new OctetString({ valueHex: choice });
  const pkcs8 = new Sequence({ value: [new Integer({ value: 0 }), identifier(), privateKey] });
  const spki = new Sequence({ value: [identifier(), new BitString({ valueHex: bufferOf(publicKey) })] });
  return { pkcs8: new Uint8Array(pkcs8.toBER()), spki: new Uint8Array(spki.toBER()) };
}

function bufferOf(octets: Uint8Array): ArrayBuffer {
  return new Uint8Array(octets).buffer;
}
