/** Appendices B to F. */
import {
  APPLICATION,
  both,
  client,
  exempt,
  NO_EARLY_DATA,
  NO_TLS12,
  section,
  server,
} from "./requirement.ts";

const VERSIONS = "handshake/choose: §4.3.1: TLS 1.2 alone is protocol_version";

const rules = [
  section(
    "B",
    both(
      "reserved values are never sent",
      "handshake/offer: offers TLS 1.3 alone, one hybrid share",
      "channel/config: a client's defaults",
    ),
  ),
  section(
    "B.3.1.4",
    both(
      "obsolete groups are neither offered nor used",
      "channel/engine: %s: every group with every suite",
      "channel/config: a client's defaults",
    ),
  ),
  section(
    "C.5",
    both(
      "no peer goes unauthenticated unless that was asked for",
      "node/connect: refuses %s",
      "node/connect: goes on with rejectUnauthorized: false, and says why it should not",
      "channel/engine: verify_peer: no data before the verdict, and a refusal ends it",
    ),
  ),
  section(
    "E",
    both(
      "legacy_record_version is ignored (but for a first byte that is none of TLS)",
      "record/framer: legacy_record_version must begin with 3; its second byte is ignored",
    ),
  ),
  section(
    "E.1",
    client(
      "a version that we do not speak is protocol_version",
      "handshake/client-hello: §4.3.1: no supported_versions is protocol_version",
    ),
  ),
  section(
    "E.2",
    server("supported_versions decides where it is", VERSIONS),
    exempt("server", "without it an older version is chosen", NO_TLS12),
    server(
      "without it protocol_version",
      "handshake/choose: §4.3.1: no supported_versions is protocol_version",
    ),
    server(
      "the record's version is ignored",
      "record/framer: legacy_record_version must begin with 3; its second byte is ignored",
    ),
  ),
  section("E.3", exempt("client", "early data and an older version end it", NO_EARLY_DATA)),
  section(
    "E.4",
    server(
      "a session id is answered with change_cipher_spec",
      "channel/records: a change_cipher_spec follows ServerHello and precedes",
      "channel/records: with a retry, one follows the HelloRetryRequest",
    ),
  ),
  section(
    "E.5",
    both("no RC4", "crypto/suites: every suite of the registry is described by its own code"),
    both("nothing below 112 bits", "crypto/suites: every suite of the registry is described by its own code"),
    both(
      "neither SSL nor TLS before 1.2",
      VERSIONS,
      "handshake/choose: §4.2.2: legacy_version %s is protocol_version",
    ),
    client("no SSL 2.0 hello is sent", "channel/records: §5.1: the first ClientHello's record says 0x0301"),
    server("nor answered", "channel/records: §E.5: an SSL 2.0 hello is no record"),
    both(
      "hellos say 0x0303",
      "handshake/offer: §4.2.2: says TLS 1.2 in legacy_version and no compression",
      "handshake/server-flight: §4.2.3: legacy_version is 0x0303 and legacy_compression_method 0",
    ),
    both(
      "others are refused",
      "handshake/choose: §4.2.2: legacy_version %s is protocol_version",
      "handshake/client-hello: another legacy_version is protocol_version",
    ),
    both(
      "no record says less than 0x0300",
      "channel/records: §5.1: the first ClientHello's record says 0x0301",
    ),
    both(
      "no truncated HMAC",
      "handshake/offer: §9.2: has every extension that its features ask for",
      "handshake/choose: extensions",
    ),
  ),
  section(
    "F.1",
    both(
      "no external PSK beside certificates, unless RFC 9973 allows it",
      "handshake/client-hello: RFC 9973: a PSK without the certificate that was asked for is certificate_required",
      "handshake/offer: tls_cert_with_extern_psk stands beside external keys where certificates authenticate",
      "handshake/client-hello: RFC 9973 §4: tls_cert_with_extern_psk that was not offered is unsupported_extension",
    ),
    exempt("both", "an exported channel binding is long enough", APPLICATION),
  ),
  section(
    "F.5",
    exempt("client", "no early data that must not be replayed", NO_EARLY_DATA),
    exempt("both", "early data needs a profile", APPLICATION),
    client(
      "early data only when asked for",
      "channel/records: our client never announces it",
      "handshake/afterwards: §4.3.10: early_data in it is no invitation to us",
    ),
    exempt("client", "refused early data is not sent again unasked", NO_EARLY_DATA),
    both(
      "the application can tell that the handshake is over",
      "node/stream: of a client whose connection ends well",
      "channel/channel: before the handshake",
    ),
  ),
];

export const appendices = rules.flat();
