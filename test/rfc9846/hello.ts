/** §4 and §4.2: the order of messages and the hellos. */
import { both, client, exempt, NO_TLS12, section, server } from "./requirement.ts";

export const hello = [
  section(
    "4",
    both("messages go in the order of the diagrams", "fuzz/tamper: untouched, it connects by these messages"),
    both(
      "a message out of order is unexpected_message",
      "handshake/machine: the %s's table",
      "fuzz/tamper: any message replaced by any other one of the handshake",
      "fuzz/tamper: any message deleted: the next one is out of order",
    ),
  ),
  section(
    "4.2.1",
    server(
      "no group in common is handshake_failure or insufficient_security",
      "handshake/server-choices: %s and no group in common is handshake_failure",
      "handshake/choose: no group with ML-KEM is insufficient_security",
    ),
    server(
      "a PSK is taken in a mode that the client listed",
      "handshake/server-psk: only when both ends say so",
      "handshake/server-psk: not when only one does",
    ),
    server(
      "a chosen group without a share means HelloRetryRequest",
      "handshake/choose: is sent once for a share, and never when the first share will do",
      "handshake/choose: serves a client that sent no share at all",
    ),
    server(
      "no parameters in common is handshake_failure or insufficient_security",
      "handshake/choose: §4.2.1: no suite in common is handshake_failure",
      "handshake/choose: §4.3.3: no signature scheme in common is handshake_failure",
    ),
  ),
  section(
    "4.2.2",
    client(
      "after HelloRetryRequest the hello stays, but for what is listed",
      "handshake/offer: is the first one with a new share, the cookie and new binders",
      "handshake/offer: keeps its shares when only a cookie was asked for",
    ),
    server(
      "ClientHello at any other time is unexpected_message",
      "channel/channel: a handshake message that has no place on a connection",
    ),
    exempt("server", "renegotiation keeps the older version", NO_TLS12),
    exempt("server", "renegotiation does not lead to TLS 1.3", NO_TLS12),
    client(
      "legacy_version is 0x0303",
      "handshake/offer: §4.2.2: says TLS 1.2 in legacy_version and no compression",
    ),
    server(
      "another legacy_version is protocol_version",
      "handshake/choose: §4.2.2: legacy_version %s is protocol_version",
    ),
    client(
      "compatibility mode has a session id",
      "channel/records: a change_cipher_spec follows ServerHello and precedes",
    ),
    client(
      "that session id is 32 new bytes",
      "handshake/offer: offers TLS 1.3 alone, one hybrid share",
      "handshake/offer: two hellos share neither random nor session id nor share",
    ),
    client(
      "the session id is empty otherwise",
      "channel/records: switched off, no session id and no change_cipher_spec from either end%s",
    ),
    server("unknown suites are passed over", "handshake/choose: suites"),
    client(
      "compression is one zero byte",
      "handshake/offer: §4.2.2: says TLS 1.2 in legacy_version and no compression",
    ),
    server("other compression is illegal_parameter", "handshake/choose: compression is illegal_parameter"),
    exempt("server", "an older version follows its own rules for compression", NO_TLS12),
    server("unknown extensions are passed over", "handshake/choose: extensions"),
    exempt("server", "an older version checks what follows the compression methods", NO_TLS12),
    server(
      "a tail that is no extension block is decode_error",
      "handshake/choose: §4.3.11: trailing bytes are decode_error",
    ),
  ),
  section(
    "4.2.3",
    server(
      "legacy_version is 0x0303",
      "handshake/server-flight: §4.2.3: legacy_version is 0x0303 and legacy_compression_method 0",
    ),
    client(
      "another legacy_version is protocol_version",
      "handshake/client-hello: another legacy_version is protocol_version",
    ),
    exempt("server", "an older version marks the end of its random", NO_TLS12),
    server(
      "the random is random",
      "handshake/server-flight: the server's random is fresh for each ServerHello",
    ),
    server(
      "it owes nothing to the client's",
      "handshake/server-flight: the server's random is fresh for each ServerHello",
    ),
    client(
      "another session id than ours is illegal_parameter",
      "handshake/client-hello: another session id is illegal_parameter",
      "handshake/client-hello: a session id where there was none is illegal_parameter",
    ),
    client(
      "a suite that was not offered is illegal_parameter",
      "handshake/client-hello: a suite that was not offered is illegal_parameter",
      "handshake/client-hello: a GREASE suite is illegal_parameter",
    ),
    server(
      "the compression byte is 0",
      "handshake/server-flight: §4.2.3: legacy_version is 0x0303 and legacy_compression_method 0",
    ),
    client(
      "another compression byte is illegal_parameter",
      "handshake/client-hello: compression is illegal_parameter",
    ),
    server(
      "no extension but those that set up keys and version",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
      "handshake/client-hello: §4.2.3: an extension that was not offered is unsupported_extension",
    ),
    server(
      "supported_versions is there",
      "handshake/client-hello: §4.3.1: no supported_versions is protocol_version",
    ),
    client(
      "the random tells ServerHello from HelloRetryRequest before all else",
      "wire/hello: the random tells them apart",
    ),
    exempt("server", "with an older version the random warns of a downgrade", NO_TLS12),
    exempt("server", "with TLS 1.2 it ends in given bytes", NO_TLS12),
    exempt("server", "with versions before it ends in others", NO_TLS12),
    client(
      "a downgraded version is noticed by the random",
      "handshake/client-hello: §4.2.3: a random that warns of a downgrade to %s is illegal_parameter",
    ),
    client(
      "a warning in the random is illegal_parameter",
      "handshake/client-hello: §4.2.3: a random that warns of a downgrade to %s is illegal_parameter",
    ),
    exempt("client", "TLS 1.3 in a renegotiation is protocol_version", NO_TLS12),
  ),
  section(
    "4.2.4",
    server(
      "HelloRetryRequest has supported_versions",
      "handshake/choose: is sent once for a share, and never when the first share will do",
      "handshake/client-hello: without a version is protocol_version",
    ),
    server(
      "nothing but cookie that the client did not offer",
      "handshake/client-hello: §4.3: with an extension that was not offered is unsupported_extension",
    ),
    client(
      "version, session id, suite and compression are checked as in ServerHello",
      "handshake/client-hello: of another legacy_version is protocol_version",
      "handshake/client-hello: with a suite that was not offered is illegal_parameter",
      "handshake/client-hello: with another session id is illegal_parameter",
      "handshake/client-hello: of another version is illegal_parameter",
      "handshake/client-hello: with compression is illegal_parameter",
    ),
    client(
      "one that changes nothing is illegal_parameter",
      "handshake/client-hello: that would change nothing is illegal_parameter",
    ),
    client(
      "a second one is unexpected_message",
      "handshake/client-hello: a second one is unexpected_message",
    ),
    client(
      "all its extensions are acted on in a second ClientHello",
      "handshake/offer: is the first one with a new share, the cookie and new binders",
    ),
    client(
      "a suite that was not offered ends it",
      "handshake/client-hello: with a suite that was not offered is illegal_parameter",
    ),
    server(
      "the second ClientHello leads to the same suite",
      "handshake/server-flight: §4.2.4: ServerHello keeps the suite and the version of the HelloRetryRequest",
      "handshake/choose: with other suites is illegal_parameter",
    ),
    client(
      "another suite in ServerHello is illegal_parameter",
      "handshake/client-hello: §4.2.4: another suite afterwards is illegal_parameter",
    ),
    server(
      "ServerHello keeps the version",
      "handshake/server-flight: §4.2.4: ServerHello keeps the suite and the version of the HelloRetryRequest",
    ),
    client(
      "a changed version is illegal_parameter",
      "handshake/client-hello: §4.2.4: another version afterwards is illegal_parameter",
    ),
  ),
].flat();
