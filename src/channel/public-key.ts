import { TrustError } from "../protocol/errors.ts";
import type { CryptoProvider, VerifyingKey } from "../crypto/provider.ts";
import type { Certificate, CertificateCache } from "../pki/certificate.ts";

/** Gives the key in a certificate, ready to verify with, and remembers it as long as the parsed certificate lives. */
export function keyResolver(
  provider: CryptoProvider,
  certificates: CertificateCache,
): (der: Uint8Array) => VerifyingKey {
  const keys = new WeakMap<Certificate, VerifyingKey>();
  return (der) => {
    const certificate = certificates.parse(der);
    const known = keys.get(certificate);
    if (known !== undefined) return known;
    const key = provider.verifyingKey(certificate.spki);
    if (key === undefined) {
      throw new TrustError(
        "ERR_CERT_UNSUPPORTED",
        "unsupported_certificate",
        "the certificate's key is not supported",
      );
    }
    keys.set(certificate, key);
    return key;
  };
}
