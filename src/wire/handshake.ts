import { ProtocolError } from "../protocol/errors.ts";
import { HandshakeType } from "../protocol/iana.ts";
import { empty, opaque, rest, struct, u16, u24, u32, u8, vector, type Codec, type Of } from "./codec.ts";
import { Writer } from "./cursor.ts";
import { DelegatedCredential } from "./delegated.ts";
import { extensions } from "./extensions.ts";

/** RFC 9846 §4.4.1. */
export const EncryptedExtensions = struct({
  extensions: extensions({
    server_name: empty,
    supported_groups: vector(2, u16, 2),
    application_layer_protocol_negotiation: vector(2, opaque(1, 1), 2),
    client_certificate_type: u8,
    server_certificate_type: u8,
    record_size_limit: u16,
    early_data: empty,
  }),
});
export type EncryptedExtensions = Of<typeof EncryptedExtensions>;

/** RFC 8879 §3: the algorithms that the sender can undo; in ClientHello and in CertificateRequest. */
export const CertificateCompressionAlgorithms = vector(1, u16, 2, 254);

/** RFC 9846 §4.4.2. */
export const CertificateRequest = struct({
  certificate_request_context: opaque(1),
  extensions: extensions({
    signature_algorithms: vector(2, u16, 2, 0xfffe),
    certificate_authorities: vector(2, opaque(2, 1), 3),
    oid_filters: rest,
    signature_algorithms_cert: vector(2, u16, 2, 0xfffe),
    status_request: rest,
    compress_certificate: CertificateCompressionAlgorithms,
    signed_certificate_timestamp: empty,
    delegated_credential: vector(2, u16, 2, 0xfffe),
  }),
});
export type CertificateRequest = Of<typeof CertificateRequest>;

/** RFC 6066 §8: the OCSP answer for the certificate that it stands beside. */
const CertificateStatus = struct({ status_type: u8, response: opaque(3, 1) });

/** RFC 6962 §3.3: each SerializedSCT as it stands. */
const SignedCertificateTimestampList = vector(2, opaque(2, 1), 1);

/** RFC 9846 §4.5.1. */
const CertificateEntry = struct({
  cert_data: opaque(3, 1),
  extensions: extensions({
    status_request: CertificateStatus,
    signed_certificate_timestamp: SignedCertificateTimestampList,
    delegated_credential: DelegatedCredential,
  }),
});
export const Certificate = struct({
  certificate_request_context: opaque(1),
  certificate_list: vector(3, CertificateEntry),
});
export type Certificate = Of<typeof Certificate>;

/** RFC 8879 §4: in the place of a Certificate. */
export const CompressedCertificate = struct({
  algorithm: u16,
  uncompressed_length: u24,
  compressed_certificate_message: opaque(3, 1),
});
export type CompressedCertificate = Of<typeof CompressedCertificate>;

/** RFC 9846 §4.5.2. */
export const CertificateVerify = struct({ algorithm: u16, signature: opaque(2) });
export type CertificateVerify = Of<typeof CertificateVerify>;

/** RFC 9846 §4.5.3; as long as the hash of the suite. */
export const Finished = struct({ verify_data: rest });
export type Finished = Of<typeof Finished>;

/** RFC 9846 §4.7.1. */
export const NewSessionTicket = struct({
  ticket_lifetime: u32,
  ticket_age_add: u32,
  ticket_nonce: opaque(1),
  ticket: opaque(2, 1),
  extensions: extensions({ early_data: u32 }),
});
export type NewSessionTicket = Of<typeof NewSessionTicket>;

/** RFC 9846 §4.7.3. */
export const KeyUpdateRequest = { update_not_requested: 0, update_requested: 1 } as const;
const updateRequest: Codec<0 | 1> = {
  read(from) {
    const value = from.uint(1);
    if (value === 0 || value === 1) return value;
    throw new ProtocolError("ERR_TLS_ILLEGAL_PARAMETER", "illegal_parameter", `KeyUpdateRequest ${value}`);
  },
  write: (to, value) => u8.write(to, value),
};
export const KeyUpdate = struct({ request_update: updateRequest });
export type KeyUpdate = Of<typeof KeyUpdate>;

/** A handshake message with its four-byte header. Throws a RangeError when it does not fit. RFC 9846 §4. */
export function encodeHandshake<T>(type: keyof typeof HandshakeType, body: Codec<T>, value: T): Uint8Array {
  const to = new Writer();
  to.uint(1, HandshakeType[type]);
  to.within(3, 0, 0xffffff, () => body.write(to, value));
  return to.done();
}
