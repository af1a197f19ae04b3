/** §4.3 to §4.3.7: what extensions must be like, and those that name versions, schemes and groups. */
import { both, client, exempt, NO_LATE_AUTHENTICATION, NO_TLS12, section, server } from "./requirement.ts";

const NO_SHA1 = "no scheme with SHA-1 is offered or accepted";
const NO_FILTERS = "oid_filters is neither sent nor acted on: no certificate extension OID is recognised";

const rules = [
  section(
    "4.3",
    both(
      "nothing stands behind an extension's structure",
      "wire/extensions: extensions are written in the order of their declaration",
    ),
    both(
      "bytes left over in one are decode_error",
      "wire/extensions: ${message} with a body that ends early or late is a decode_error",
    ),
    both(
      "no answer to an extension that was not offered",
      "channel/channel: connects with the hybrid group by default",
      "handshake/client-hello: §4.2.3: an extension that was not offered is unsupported_extension",
    ),
    both(
      "such an answer is unsupported_extension",
      "handshake/client-hello: §4.3.11: a PSK where none was offered is unsupported_extension",
      "handshake/client-hello: §4.3.10: early_data that was not offered is unsupported_extension",
      "handshake/client-hello: §4.3: with an extension that was not offered is unsupported_extension",
      "handshake/authenticate: §4.5.1: an extension that was not asked for is unsupported_extension",
    ),
    both(
      "a known one in the wrong message is illegal_parameter",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
    ),
    both(
      "pre_shared_key is last in ClientHello alone",
      "wire/extensions: §4.3.11: pre_shared_key is last in ClientHello",
    ),
    both(
      "one of a kind in a block",
      "wire/extensions: an extension twice is illegal_parameter, whether known or not",
      "handshake/choose: §4.3: one extension twice is illegal_parameter",
    ),
  ),
  section(
    "4.3.1",
    client(
      "supported_versions names all we speak: 0x0304",
      "handshake/offer: offers TLS 1.3 alone, one hybrid share",
    ),
    exempt("client", "earlier versions that may be negotiated are named too", NO_TLS12),
    server(
      "without it there is no TLS 1.3",
      "handshake/choose: §4.3.1: no supported_versions is protocol_version",
    ),
    server(
      "with it legacy_version decides nothing",
      "handshake/choose: §4.3.1: TLS 1.2 alone is protocol_version",
    ),
    server(
      "it alone tells the client's wishes",
      "handshake/choose: §4.3.1: TLS 1.2 alone is protocol_version",
    ),
    server("only a version in it is chosen", "handshake/choose: §4.3.1: TLS 1.2 alone is protocol_version"),
    server("unknown versions are passed over", "handshake/choose: versions"),
    server("one without 0x0304 is coped with", "handshake/choose: §4.3.1: TLS 1.2 alone is protocol_version"),
    exempt("server", "an older version is told by ServerHello.version", NO_TLS12),
    exempt("server", "an older version has no supported_versions", NO_TLS12),
    server(
      "TLS 1.3 answers with 0x0304",
      "handshake/server-flight: §4.2.4: ServerHello keeps the suite and the version of the HelloRetryRequest",
    ),
    server(
      "legacy_version says 0x0303",
      "handshake/server-flight: §4.2.3: legacy_version is 0x0303 and legacy_compression_method 0",
    ),
    client(
      "it is looked for before the rest of ServerHello",
      "handshake/client-hello: with %s it is protocol_version",
    ),
    exempt(
      "client",
      "with it ServerHello.legacy_version is ignored",
      "§4.2.3 asks for protocol_version unless it is 0x0303",
    ),
    client(
      "it alone tells the version",
      "handshake/client-hello: §4.3.1: a version that was not offered is illegal_parameter",
    ),
    client(
      "a version that was not offered is illegal_parameter",
      "handshake/client-hello: §4.3.1: a version that was not offered is illegal_parameter",
    ),
  ),
  section(
    "4.3.2",
    client(
      "the cookie comes back in the second ClientHello",
      "handshake/offer: is the first one with a new share, the cookie and new binders",
      "handshake/choose: §4.3.2: without its cookie is missing_extension",
      "handshake/choose: §4.3.2: with another cookie is illegal_parameter",
    ),
    client(
      "never in the first",
      "handshake/offer: §4.3.2: has no cookie, whatever an earlier connection was given",
    ),
    exempt(
      "server",
      "a stateless server skips change_cipher_spec between the hellos",
      "the server keeps its state, and skips them by §5",
    ),
  ),
  section(
    "4.3.3",
    both(
      "a certificate's key fits the algorithm it is used with",
      "crypto/signatures: an algorithm that does not fit the key is refused on both sides",
      "handshake/authenticate: §4.5.2: a scheme that does not fit the key is illegal_parameter",
    ),
    client(
      "signature_algorithms goes with the wish for a certificate",
      "handshake/choose: §9.2: neither signature_algorithms nor pre_shared_key is missing_extension",
    ),
    server(
      "without it a certificate cannot be shown: missing_extension",
      "handshake/server-choices: finds no signature_algorithms, as no PSK is known either: missing_extension",
    ),
    both(
      "rsa_pss_rsae has a salt as long as its hash",
      "crypto/signatures: RSA-PSS salts are as long as the hash",
    ),
    both(
      "its key says rsaEncryption",
      "crypto/schemes: a key kind knows its schemes",
      "pki/identity: takes bytes, PEM or DER",
    ),
    both(
      "rsa_pss_pss has a salt as long as its hash",
      "crypto/signatures: RSA-PSS salts are as long as the hash",
    ),
    both("its key says RSASSA-PSS", "crypto/schemes: a key kind knows its schemes"),
    both("PSS parameters in a certificate are DER", "pki/certificate: refuses a long form of a short length"),
    both(
      "parameters of key and signature agree",
      "crypto/signatures: RFC 9846 §4.3.3: what an RSASSA-PSS key says of its hash binds",
    ),
    exempt("client", "legacy schemes come last", NO_SHA1),
    exempt("server", "a SHA-1 chain only where there is no other", NO_SHA1),
    exempt("both", "TLS 1.2 goes by its own rules", NO_TLS12),
    both(
      "obsolete schemes are neither offered nor used",
      "crypto/schemes: no scheme of TLS 1.2 with MD5, SHA-1 or SHA-224",
    ),
    both("neither MD5, SHA-224 nor DSA", "crypto/schemes: no scheme of TLS 1.2 with MD5, SHA-1 or SHA-224"),
    exempt("both", "in TLS 1.2 ECDSA may use any curve that was offered", NO_TLS12),
    exempt("both", "PSS is accepted in TLS 1.2 too", NO_TLS12),
  ),
  section(
    "4.3.5",
    server(
      "oid_filters in CertificateRequest alone",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
    ),
    exempt("client", "the certificate has the OIDs that the client knows", NO_FILTERS),
    exempt("client", "and all their values", NO_FILTERS),
    client(
      "unknown OIDs are passed over",
      "handshake/afterwards: GREASE: unknown schemes and extensions in CertificateRequest",
    ),
    exempt("server", "an OID is not named twice", NO_FILTERS),
    exempt("server", "anyExtendedKeyUsage is not asked for", NO_FILTERS),
  ),
  section(
    "4.3.6",
    exempt("server", "CertificateRequest after the handshake only where offered", NO_LATE_AUTHENTICATION),
    exempt("server", "the server never sends this extension", NO_LATE_AUTHENTICATION),
  ),
  section(
    "4.3.7",
    client("no group is named twice", "channel/config: client %s: %s"),
    exempt(
      "client",
      "a server's list counts only after the handshake",
      "the server's groups are read and forgotten",
    ),
  ),
];

export const extensions = rules.flat();
