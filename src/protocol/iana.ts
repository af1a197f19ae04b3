/**
 * Code points under their RFC names (IANA TLS registries, November 2026).
 * This room holds facts and bytes; it imports nothing and knows no protocol logic.
 */

/** RFC 9846 §5.1. */
export const ContentType = {
  change_cipher_spec: 20,
  alert: 21,
  handshake: 22,
  application_data: 23,
} as const;

/** RFC 9846 §4. */
export const HandshakeType = {
  client_hello: 1,
  server_hello: 2,
  new_session_ticket: 4,
  end_of_early_data: 5,
  encrypted_extensions: 8,
  certificate: 11,
  certificate_request: 13,
  certificate_verify: 15,
  finished: 20,
  key_update: 24,
  compressed_certificate: 25, // RFC 8879
  message_hash: 254,
} as const;

/** RFC 9846 §4.3 and the RFCs named beside each. */
export const ExtensionType = {
  server_name: 0,
  status_request: 5,
  supported_groups: 10,
  signature_algorithms: 13,
  application_layer_protocol_negotiation: 16,
  signed_certificate_timestamp: 18, // RFC 6962
  client_certificate_type: 19, // RFC 7250
  server_certificate_type: 20, // RFC 7250
  compress_certificate: 27, // RFC 8879
  record_size_limit: 28, // RFC 8449
  tls_cert_with_extern_psk: 33, // RFC 9973
  delegated_credential: 34, // RFC 9345
  pre_shared_key: 41,
  early_data: 42,
  supported_versions: 43,
  cookie: 44,
  psk_key_exchange_modes: 45,
  certificate_authorities: 47,
  oid_filters: 48,
  post_handshake_auth: 49,
  signature_algorithms_cert: 50,
  key_share: 51,
} as const;
export type ExtensionName = keyof typeof ExtensionType;

/** RFC 9846 §B.4: the suites we speak. */
export const CipherSuite = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
} as const;
export type CipherSuiteName = keyof typeof CipherSuite;

/** RFC 9846 §4.3.7, RFC 10024, draft-ietf-tls-mlkem. */
export const NamedGroup = {
  secp256r1: 0x0017,
  secp384r1: 0x0018,
  secp521r1: 0x0019,
  x25519: 0x001d,
  MLKEM768: 0x0201,
  MLKEM1024: 0x0202,
  SecP256r1MLKEM768: 0x11eb,
  X25519MLKEM768: 0x11ec,
  SecP384r1MLKEM1024: 0x11ed,
} as const;
export type NamedGroupName = keyof typeof NamedGroup;

/** RFC 9846 §4.3.3 and draft-ietf-tls-mldsa. */
export const SignatureScheme = {
  ecdsa_secp256r1_sha256: 0x0403,
  ecdsa_secp384r1_sha384: 0x0503,
  ecdsa_secp521r1_sha512: 0x0603,
  ed25519: 0x0807,
  rsa_pss_rsae_sha256: 0x0804,
  rsa_pss_rsae_sha384: 0x0805,
  rsa_pss_rsae_sha512: 0x0806,
  rsa_pss_pss_sha256: 0x0809,
  rsa_pss_pss_sha384: 0x080a,
  rsa_pss_pss_sha512: 0x080b,
  rsa_pkcs1_sha256: 0x0401,
  rsa_pkcs1_sha384: 0x0501,
  rsa_pkcs1_sha512: 0x0601,
  mldsa44: 0x0904,
  mldsa65: 0x0905,
  mldsa87: 0x0906,
} as const;
export type SignatureSchemeName = keyof typeof SignatureScheme;

/** RFC 9846 §4.3.9. */
export const PskKeyExchangeMode = { psk_ke: 0, psk_dhe_ke: 1 } as const;

/** RFC 9258 §3.1: the KDF an imported PSK is meant for. */
export const TargetKdf = { HKDF_SHA256: 0x0001, HKDF_SHA384: 0x0002 } as const;

/** RFC 7250 §7 and RFC 9846 §4.5.1. */
export const CertificateType = { X509: 0, RawPublicKey: 2 } as const;
export type CertificateTypeName = keyof typeof CertificateType;

/** RFC 6066 §8. */
export const CertificateStatusType = { ocsp: 1 } as const;

/** RFC 8879 §7.3. */
export const CertificateCompressionAlgorithm = { zlib: 1, brotli: 2, zstd: 3 } as const;

/** Protocol versions as they stand on the wire. */
export const TLS10 = 0x0301;
export const TLS12 = 0x0303;
export const TLS13 = 0x0304;

const names = new WeakMap<Readonly<Record<string, number>>, ReadonlyMap<number, string>>();

/** The name of a code point, or its hexadecimal form when the registry excerpt above does not hold it. */
export function nameOf(registry: Readonly<Record<string, number>>, code: number): string {
  let known = names.get(registry);
  if (known === undefined) {
    known = new Map(Object.entries(registry).map(([name, value]) => [value, name]));
    names.set(registry, known);
  }
  return known.get(code) ?? `0x${code.toString(16).padStart(4, "0")}`;
}
