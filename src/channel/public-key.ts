import { TrustError } from "../protocol/errors.ts";
import type { CryptoProvider, VerifyingKey } from "../crypto/provider.ts";
import type { Settings } from "../handshake/settings.ts";
import type { Certificate, CertificateCache } from "../pki/certificate.ts";
import { readRawPublicKey } from "../pki/raw-public-key.ts";

/**
 * Gives the key in a certificate, ready to verify with, and remembers it as long as the parsed certificate lives;
 * or the key that a raw public key is.
 */
export function keyResolver(
  provider: CryptoProvider,
  certificates: CertificateCache,
): Settings["publicKeyOf"] {
  const keys = new WeakMap<Certificate, VerifyingKey>();
  return (der, type) => {
    if (type === "RawPublicKey") {
      const key = readRawPublicKey(der) === undefined ? undefined : provider.verifyingKey(der);
      return key ?? unsupported("the raw public key");
    }
    const certificate = certificates.parse(der);
    const known = keys.get(certificate);
    if (known !== undefined) return known;
    const key = provider.verifyingKey(certificate.spki) ?? unsupported("the certificate's key");
    keys.set(certificate, key);
    return key;
  };
}

function unsupported(what: string): never {
  throw new TrustError("ERR_CERT_UNSUPPORTED", "unsupported_certificate", `${what} is not supported`);
}
