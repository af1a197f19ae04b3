/** §4.3.8 to §4.3.11: shares, pre-shared keys and early data. */
import { both, client, exempt, NO_EARLY_DATA, OTHER_AUTHORS, section, server } from "./requirement.ts";

const rules = [
  section(
    "4.3.8",
    client(
      "each share is of an offered group",
      "channel/config: client %s: %s",
      "handshake/choose: §4.3.8: a share for a group that was not offered is illegal_parameter",
    ),
    client(
      "shares stand in the order of the groups",
      "handshake/offer: §4.3.8: or shares of the groups that keyShares names",
    ),
    client(
      "shares are generated independently",
      "handshake/offer: §4.3.8: two shares have no key in common, though both hold X25519",
    ),
    client(
      "one share for a group",
      "handshake/choose: §4.3.8: two shares for one group are illegal_parameter",
    ),
    client(
      "no share without its group",
      "handshake/choose: §4.3.8: a share for a group that was not offered is illegal_parameter",
    ),
    both(
      "no share serves two connections",
      "handshake/offer: two hellos share neither random nor session id nor share",
      "crypto/groups: an exchange completes once",
    ),
    both(
      "a peer's reuse is put up with",
      "handshake/server-flight: §4.3.8: the same share twice is served twice, each time by another one",
    ),
    client(
      "HelloRetryRequest names an offered group without a share",
      "handshake/client-hello: for a group that was not offered is illegal_parameter",
      "handshake/client-hello: for a group that already had a share is illegal_parameter",
    ),
    client(
      "otherwise illegal_parameter",
      "handshake/client-hello: for a group that was not offered is illegal_parameter",
      "handshake/client-hello: for a group that already had a share is illegal_parameter",
    ),
    client(
      "the second ClientHello has a share of that group alone",
      "handshake/offer: is the first one with a new share, the cookie and new binders",
      "handshake/choose: with a second share beside it is illegal_parameter",
    ),
    server(
      "its share is of the group of one of the client's",
      "handshake/client-hello: §4.3.8: a share of a group that had none is illegal_parameter",
    ),
    server(
      "no share of a group that was not offered",
      "handshake/client-hello: §4.3.8: a share of an unknown group is illegal_parameter",
    ),
    server("no share with psk_ke", "handshake/server-psk: only when both ends say so"),
    client(
      "ServerHello keeps the group of HelloRetryRequest",
      "handshake/client-hello: §4.3.8: afterwards a share of the group that was offered first is illegal_parameter",
    ),
    client(
      "otherwise illegal_parameter",
      "handshake/client-hello: §4.3.8: afterwards a share of the group that was offered first is illegal_parameter",
    ),
  ),
  section("4.3.8.1", exempt("both", "1 < Y < p-1", "no finite field group is spoken")),
  section(
    "4.3.8.2",
    both(
      "a NIST point lies on its curve",
      "crypto/groups: a bad ECDH part is illegal_parameter on both sides (%s)",
      "handshake/client-hello: secp256r1: off the curve",
      "handshake/choose: RFC 10024: a client's share that fails its check is illegal_parameter",
    ),
  ),
  section(
    "4.3.9",
    client(
      "psk_key_exchange_modes is sent where PSKs are used",
      "handshake/offer: psk_ke is offered by option only",
    ),
    client(
      "and always beside pre_shared_key",
      "handshake/offer: §4.3.9: pre_shared_key never goes without psk_key_exchange_modes",
    ),
    server(
      "pre_shared_key without it ends the handshake",
      "handshake/choose: §4.3.9: pre_shared_key without psk_key_exchange_modes is missing_extension",
    ),
    server("only a listed mode is chosen", "handshake/server-psk: not when only one does"),
    server(
      "it has no such extension itself",
      "wire/extensions: an extension that is known and in the wrong message is illegal_parameter",
    ),
    server("psk_ke: no key_share", "handshake/server-psk: only when both ends say so"),
    both(
      "psk_dhe_ke: both have key_share",
      "handshake/client-hello: §4.3.9: psk_ke that was not offered is illegal_parameter",
      "handshake/server-psk: an exchange is preferred even when both accept going without",
    ),
  ),
  section(
    "4.3.10",
    exempt("client", "early data comes with pre_shared_key and early_data", NO_EARLY_DATA),
    exempt("client", "it is under the first PSK", NO_EARLY_DATA),
    server(
      "a ticket's age is judged",
      "channel/tickets: the server itself refuses an expired ticket from a client that lies",
      "observe/evidence: ms stand in the server's record",
    ),
    server(
      "early_data is skipped in one of three ways",
      "channel/records: after ServerHello: records that do not open are dropped until the first that does",
      "channel/records: after HelloRetryRequest: application data is dropped until the second ClientHello",
    ),
    client(
      "early_data is not in the second ClientHello",
      "channel/records: the second ClientHello may not announce it again",
      "channel/records: our client never announces it",
    ),
    exempt("server", "early data is accepted under the first PSK alone", NO_EARLY_DATA),
    exempt("server", "version, suite and protocol are those of that PSK", NO_EARLY_DATA),
    exempt("both", "a new extension says how it goes with early data", OTHER_AUTHORS),
    server(
      "a refusal means no extension, and all of it is dropped",
      "channel/records: after ServerHello: records that do not open are dropped until the first that does",
    ),
    exempt("server", "accepted records follow all record rules", NO_EARLY_DATA),
    exempt("server", "accepted, one that does not open is bad_record_mac", NO_EARLY_DATA),
    exempt("client", "it is not sent again under another protocol", NO_EARLY_DATA),
  ),
  section(
    "4.3.11",
    server(
      "an external PSK's age is ignored",
      "handshake/server-psk: §4.3.11: whatever age an external PSK is given, the server takes it",
    ),
    both(
      "an external PSK's hash is SHA-256 unless said otherwise",
      "channel/psk: text becomes bytes, the hash is SHA-256 unless said otherwise",
    ),
    server(
      "PSK and suite go together",
      "channel/tickets: another suite of the same hash resumes; a suite of another hash does not",
      "handshake/choose: keeps %s usable: its hash chooses the suite",
    ),
    server(
      "the binder is checked before the PSK is taken",
      "fuzz/tamper: §4.3.11: a binder that does not match ends at the server",
    ),
    server(
      "a binder that is not there or is wrong ends it",
      "handshake/choose: §4.3.11: more identities than binders is illegal_parameter",
      "handshake/server-psk: §4.3.11.2: a bent binder is decrypt_error",
      "handshake/server-psk: §4.3.11: the same name with another key is decrypt_error",
    ),
    client(
      "identity, hash and share of the answer fit the offer",
      "handshake/client-hello: §4.3.11: an identity that was not offered is illegal_parameter",
      "handshake/client-hello: §4.3.11: a PSK of another hash than the suite's is illegal_parameter",
      "handshake/client-hello: §4.3.9: psk_ke that was not offered is illegal_parameter",
    ),
    client(
      "otherwise illegal_parameter",
      "handshake/client-hello: §4.3.11: an identity that was not offered is illegal_parameter",
    ),
    exempt("client", "early_data goes with identity 0", NO_EARLY_DATA),
    client(
      "early_data with another identity is refused",
      "handshake/client-hello: §4.3.10: early_data that was not offered is unsupported_extension",
    ),
    client(
      "pre_shared_key is last",
      "wire/extensions: §4.3.11: pre_shared_key is last in ClientHello",
      "wire/hello: §4.3.11.2: bindersBytes is what stands behind the identities, and last in the message",
    ),
    server(
      "elsewhere it is illegal_parameter",
      "wire/extensions: §4.3.11: pre_shared_key is last in ClientHello",
    ),
  ),
  section(
    "4.3.11.1",
    client(
      "a ticket is not used beyond its lifetime",
      "channel/tickets: the ticket's lifetime holds, %s",
      "handshake/offer: %s is not offered",
    ),
  ),
  section("4.3.11.3", exempt("server", "the flight does not wait for EndOfEarlyData", NO_EARLY_DATA)),
];

export const keyExchange = rules.flat();
