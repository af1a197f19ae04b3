/** §4.4 and §4.5: the encrypted part of the handshake. */
import { both, client, exempt, NO_LATE_AUTHENTICATION, section, server } from "./requirement.ts";

const NO_SHA1 = "no signature with SHA-1 is made or accepted";
const CERTIFICATES = "channel/engine: every kind of certificate signs on both ends";

const rules = [
  section(
    "4.4.1",
    server(
      "EncryptedExtensions follows ServerHello at once",
      "fuzz/tamper: untouched, it connects by these messages",
    ),
    client(
      "forbidden extensions in it are looked for",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
    ),
    client(
      "and are illegal_parameter",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
    ),
  ),
  section(
    "4.4.2",
    server(
      "CertificateRequest follows EncryptedExtensions",
      "fuzz/tamper: untouched, it connects by these messages",
    ),
    exempt("server", "a context is unique on its connection", NO_LATE_AUTHENTICATION),
    both(
      "in the handshake it is empty",
      "handshake/client-hello: §4.4.2: a context in CertificateRequest is illegal_parameter",
    ),
    server(
      "signature_algorithms is in it",
      "handshake/client-hello: §4.4.2: CertificateRequest without signature_algorithms is missing_extension",
    ),
    client(
      "unknown extensions are passed over",
      "handshake/afterwards: GREASE: unknown schemes and extensions in CertificateRequest",
    ),
    server(
      "none beside a resumption PSK",
      "channel/tickets: a client certificate is remembered; where one is required",
    ),
    server(
      "none beside an external PSK, unless RFC 9973 allows it",
      "handshake/server-psk: a client certificate is demanded beside the key, and a key alone does not replace it",
    ),
  ),
  section(
    "4.5.1",
    server(
      "a certificate unless a PSK authenticates",
      "fuzz/tamper: untouched, it connects by these messages",
      CERTIFICATES,
    ),
    client(
      "Certificate if, and only if, one was asked for",
      "fuzz/tamper: untouched, it connects by these messages",
      "channel/channel: authenticates the client by certificate",
    ),
    client(
      "an empty one where none suits",
      "handshake/authenticate: §4.5.1: a client that has none is certificate_required, or goes on",
    ),
    client(
      "Finished follows all the same",
      "handshake/authenticate: §4.5.1: a client that has none is certificate_required, or goes on",
    ),
    both(
      "the context is empty in the handshake",
      "handshake/authenticate: §4.5.1: a context in Certificate is illegal_parameter",
    ),
    server(
      "its extensions answer ClientHello",
      "handshake/authenticate: §4.5.1: an extension that was not asked for is unsupported_extension",
    ),
    client(
      "its extensions answer CertificateRequest",
      "handshake/authenticate: §4.5.1: an extension that was not asked for is unsupported_extension",
    ),
    both("the sender's certificate is first", "pki/identity: in order", "pki/identity: backwards"),
    both(
      "the first is the end-entity's, others in any order",
      "pki/verify: a chain, also with the root, out of order, and with strangers",
    ),
    both(
      "raw public keys come alone",
      "handshake/certificate-type: §4.5.1: no more than one raw key",
      "pki/identity: a raw key is shown as its SubjectPublicKeyInfo",
    ),
    both(
      "no OpenPGP certificates",
      "channel/choices: RFC 7250: types of certificate are X509 and RawPublicKey",
    ),
    server(
      "its list is never empty",
      "handshake/authenticate: §4.5.1: a server that sends none is decode_error",
    ),
  ),
  section(
    "4.5.1.1",
    server(
      "status_request holds CertificateStatus",
      "handshake/staple: is shown to a client that asks for it, and stands in the question and the evidence",
    ),
    server("status_request_v2 is passed over", "handshake/choose: extensions"),
    exempt("server", "and never sent", "there is no such extension here"),
    server(
      "ClientHello with it is served",
      "handshake/choose: extensions",
      "wire/extensions: unknown extensions are skipped and reported",
    ),
    client("the client's status_request too", "handshake/staple: §4.5.1.1: a server asks with an empty"),
  ),
  section(
    "4.5.1.2",
    both(
      "certificates are X.509v3",
      "pki/identity: RFC 9846 §4.5.1.2: a leaf that is not X.509v3 is refused",
    ),
    both(
      "the key signs with a scheme of the peer's",
      "handshake/authenticate: the first that the peer can verify, with a scheme that the peer offered",
    ),
    both(
      "digitalSignature is among the key usages",
      "pki/verify: a leaf that does not sign",
      "pki/identity: RFC 9846 §4.5.1.2: a leaf whose key usage is not to sign is refused",
    ),
    both(
      "the key fits a scheme that is spoken",
      "handshake/authenticate: §4.4.2: a client whose key fits no scheme of the server's sends none",
    ),
    exempt("client", "the certificate fits oid_filters", "no certificate extension OID is recognised"),
    both(
      "the chain is signed by schemes of the peer's, if possible",
      "handshake/authenticate: of several certificates the server shows the first that the client can verify",
    ),
    exempt("both", "no SHA-1 in a fallback chain", NO_SHA1),
    both(
      "a chain that will not do ends with a certificate alert",
      "pki/verify: an unknown issuer",
      "pki/verify: a client's certificate for a server",
      "channel/public-key: §4.5.1: a key that this provider does not support is unsupported_certificate",
    ),
  ),
  section(
    "4.5.1.3",
    client(
      "an empty Certificate is decode_error",
      "handshake/authenticate: §4.5.1: a server that sends none is decode_error",
    ),
    both(
      "MD5 in a signature is bad_certificate",
      "pki/verify: §4.5.1.3: a signature with %s, also above the leaf",
    ),
  ),
  section(
    "4.5.2",
    server(
      "CertificateVerify with every certificate",
      "fuzz/tamper: untouched, it connects by these messages",
    ),
    client(
      "likewise, unless Certificate is empty",
      "channel/channel: authenticates the client by certificate",
      "handshake/authenticate: §4.5.1: a client that has none is certificate_required, or goes on",
    ),
    both(
      "it stands between Certificate and Finished",
      "fuzz/tamper: untouched, it connects by these messages",
      "fuzz/tamper: any message deleted: the next one is out of order",
    ),
    server(
      "its scheme was offered",
      "handshake/authenticate: §4.5.2: a scheme that was not offered is illegal_parameter",
    ),
    client(
      "its scheme is in CertificateRequest",
      "handshake/authenticate: §4.5.2: a scheme that was not offered is illegal_parameter",
      "handshake/authenticate: §4.4.2: a client whose key fits no scheme of the server's sends none",
    ),
    both(
      "its scheme fits the key",
      "handshake/authenticate: §4.5.2: a scheme that does not fit the key is illegal_parameter",
      "handshake/authenticate: §4.5.2: another curve's scheme is illegal_parameter",
    ),
    both("never SHA-1", "crypto/schemes: no scheme of TLS 1.2 with MD5, SHA-1 or SHA-224"),
    both("the signature is verified", "handshake/authenticate: §4.5.2: a bent signature is decrypt_error"),
    both(
      "a wrong one is decrypt_error",
      "handshake/authenticate: §4.5.2: a bent signature is decrypt_error",
      "handshake/authenticate: §4.5.2: an empty signature is decrypt_error",
    ),
  ),
  section(
    "4.5.3",
    both("Finished is verified", "handshake/authenticate: §4.5.3: a bent Finished is decrypt_error"),
    both("a wrong one is decrypt_error", "handshake/authenticate: §4.5.3: a bent Finished is decrypt_error"),
    both(
      "what follows is under application keys",
      "channel/records: empty application data is taken, but not without end",
      "channel/channel: the %s says close_notify; the other may still send",
    ),
  ),
];

export const authentication = rules.flat();
