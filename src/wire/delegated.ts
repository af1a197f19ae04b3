import { opaque, struct, u16, u32, type Of } from "./codec.ts";

/** What is delegated to, `Credential` in RFC 9345 §4; `valid_time` is in seconds from the certificate's notBefore. */
export const DelegatedKey = struct({
  valid_time: u32,
  dc_cert_verify_algorithm: u16,
  ASN1_subjectPublicKeyInfo: opaque(3, 1),
});
export type DelegatedKey = Of<typeof DelegatedKey>;

/** RFC 9345 §4. */
export const DelegatedCredential = struct({
  cred: DelegatedKey,
  algorithm: u16,
  signature: opaque(2, 1),
});
export type DelegatedCredential = Of<typeof DelegatedCredential>;
