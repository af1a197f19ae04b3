/** Chapters 7 to 9: keys, early data, and what everybody must speak. */
import { both, client, exempt, NO_EARLY_DATA, OTHER_AUTHORS, section, server } from "./requirement.ts";

const SUITES = "channel/engine: %s: every group with every suite";
const MIDDLEBOX = "binds whoever stands between client and server";

const rules = [
  section(
    "7.4.2",
    both(
      "leading zeros of an ECDH secret stay",
      "crypto/groups: RFC 9846 §7.4.2: a secret that begins with zeros keeps them",
    ),
    both(
      "an all-zero X25519 secret ends it",
      "crypto/provider: Wycheproof x25519_test: an all-zero result is refused, every other agrees",
      "handshake/client-hello: x25519: all zero",
    ),
  ),
  section(
    "7.5",
    both(
      "exporters use exporter_secret",
      "schedule/traffic: §7.5: exporter %j, context %j, %i bytes",
      "channel/channel: are equal on both ends, and differ by label",
    ),
    exempt("both", "no label with both an empty and no context", OTHER_AUTHORS),
  ),
  section(
    "8",
    exempt("client", "early data may be replayed without harm", NO_EARLY_DATA),
    exempt("server", "each instance accepts it at most once", NO_EARLY_DATA),
    exempt("both", "other replays are the application's to bear", NO_EARLY_DATA),
  ),
  section(
    "8.2",
    exempt("server", "what seems replayed is refused", NO_EARLY_DATA),
    exempt("server", "and the handshake goes on", NO_EARLY_DATA),
    exempt("server", "the record of hellos is kept by validated parts alone", NO_EARLY_DATA),
  ),
  section(
    "9.1",
    both("TLS_AES_128_GCM_SHA256", SUITES),
    both(
      "rsa_pkcs1_sha256, rsa_pss_rsae_sha256 and ecdsa_secp256r1_sha256",
      "channel/engine: every kind of certificate signs on both ends",
      "crypto/schemes: RFC 9846 §4.3.3: rsa_pkcs1 is for certificates alone",
    ),
    both("secp256r1", SUITES),
  ),
  section(
    "9.2",
    both(
      "the seven extensions are spoken",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
      "handshake/choose: §4.2.2: a second ClientHello %s",
    ),
    both(
      "and sent where their feature is offered",
      "handshake/offer: §9.2: has every extension that its features ask for",
    ),
    client(
      "a ClientHello keeps to the two rules that follow",
      "handshake/offer: §9.2: has every extension that its features ask for",
    ),
    client(
      "without PSK: signature_algorithms and supported_groups",
      "handshake/choose: §9.2: neither signature_algorithms nor pre_shared_key is missing_extension",
      "handshake/choose: §9.2: neither key_share nor pre_shared_key is missing_extension",
    ),
    client(
      "supported_groups and key_share come together",
      "handshake/choose: §9.2: supported_groups without key_share is missing_extension",
      "handshake/choose: §9.2: key_share without supported_groups is missing_extension",
    ),
    server(
      "otherwise missing_extension",
      "handshake/choose: §9.2: neither signature_algorithms nor pre_shared_key is missing_extension",
      "handshake/choose: §9.2: supported_groups without key_share is missing_extension",
      "handshake/choose: §9.2: key_share without supported_groups is missing_extension",
    ),
    both(
      "server_name",
      "handshake/offer: offers TLS 1.3 alone, one hybrid share, and no name that is an address",
      "channel/engine: choose_identity: another certificate by name",
    ),
  ),
  section(
    "9.3",
    both(
      "the invariants are kept",
      "handshake/choose: GREASE (RFC 8701): what the server does not know it passes over",
    ),
    both(
      "extensible fields are",
      "handshake/choose: GREASE (RFC 8701): what the server does not know it passes over",
    ),
    client("all that a client offers it can do", SUITES, "channel/config: a client's defaults"),
    server(
      "unknown suites, extensions and parameters are passed over",
      "handshake/choose: suites",
      "handshake/choose: extensions",
      "handshake/choose: groups and shares",
    ),
    client(
      "unknown extensions of CertificateRequest and NewSessionTicket too",
      "handshake/afterwards: GREASE: unknown schemes and extensions in CertificateRequest",
      "handshake/afterwards: GREASE: an unknown extension in it is passed over",
    ),
    exempt("both", "who ends TLS in the middle is a server and a client", MIDDLEBOX),
    exempt("both", "with a ClientHello of its own", MIDDLEBOX),
    exempt("both", "and a random of its own", MIDDLEBOX),
    exempt("both", "who forwards what it does not know keeps out of the rest", MIDDLEBOX),
    exempt("both", "and changes nothing of it", MIDDLEBOX),
  ),
];

export const cryptography = rules.flat();
