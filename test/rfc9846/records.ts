/** Chapters 5 and 6: records and alerts. */
import { both, exempt, NO_EARLY_DATA, OTHER_AUTHORS, section } from "./requirement.ts";

const OVERFLOW = "record/framer: a protected record has at most 2^14 + 256 bytes";
const FRAGMENTS = "channel/records: each end keeps to what the other named: %s";
const CLOSES = "channel/channel: a failed channel takes and gives nothing more";

const rules = [
  section(
    "5",
    both(
      "change_cipher_spec in the handshake is dropped",
      "channel/records: one that the peer sends at any time between the hellos",
    ),
    both(
      "another one, or a protected one, is unexpected_message",
      "channel/records: one with %s is unexpected_message",
      "channel/records: an inner content type of nobody is unexpected_message",
    ),
    both(
      "before ClientHello or after Finished too",
      "channel/records: §5: one before ClientHello, or after the handshake",
    ),
    both(
      "no record types but those of the RFC",
      "channel/records: a change_cipher_spec follows ServerHello and precedes",
    ),
    both(
      "a record type that is out of place is unexpected_message",
      "record/framer: a type that is none is unexpected_message",
      "channel/records: at the start: %s",
      "channel/records: a record in the clear on a connection is unexpected_message, an alert too",
    ),
  ),
  section(
    "5.1",
    exempt("both", "new content types come with such rules", OTHER_AUTHORS),
    both(
      "handshake messages are not interleaved",
      FRAGMENTS,
      "channel/records: data between the parts of a handshake message",
    ),
    both(
      "nothing stands between the parts of one",
      "channel/records: data between the parts of a handshake message is unexpected_message",
      "channel/records: an alert between the parts of a message in the clear is unexpected_message",
    ),
    both(
      "no message spans a change of keys",
      FRAGMENTS,
      "record/framer: §5.1: a key may change only between two of them",
    ),
    both(
      "it is verified that a key changes between records",
      "channel/records: §5.1: a ClientHello whose record goes on with another message is unexpected_message",
      "channel/records: §5.1: a HelloRetryRequest whose record goes on with another message",
      "channel/channel: §5.1: a message behind it in the same record is unexpected_message",
    ),
    both(
      "otherwise unexpected_message",
      "channel/channel: §5.1: a message behind it in the same record is unexpected_message",
      "channel/records: §5.1: a ServerHello whose record goes on with another message",
    ),
    both(
      "messages before a change of keys end their record",
      FRAGMENTS,
      "channel/records: a change_cipher_spec follows ServerHello and precedes",
    ),
    both(
      "no handshake record is empty",
      FRAGMENTS,
      "channel/records: an empty handshake fragment is unexpected_message",
    ),
    both("alerts are not cut", "channel/records: §5.1: an alert is a record of its own"),
    both(
      "alerts are not joined",
      "channel/channel: an alert of another length than two bytes is decode_error",
    ),
    both(
      "an alert record has one alert",
      "channel/records: §5.1: an alert is a record of its own",
      "channel/channel: an alert of another length than two bytes is decode_error",
    ),
    both(
      "legacy_record_version is 0x0303 but in the first ClientHello",
      "channel/records: §5.1: the first ClientHello's record says 0x0301",
    ),
    both(
      "legacy_record_version is ignored (but for a first byte that is none of TLS)",
      "record/framer: legacy_record_version must begin with 3; its second byte is ignored",
    ),
    both(
      "at most 2^14 bytes",
      "channel/records: §5.4: without a limit, 2^14 bytes and their type are the most",
    ),
    both("more is record_overflow", "record/framer: a record of type %i in the clear has at most 2^14 bytes"),
    both("later hellos say 0x0303", "channel/records: §5.1: the first ClientHello's record says 0x0301"),
    both(
      "no application data in the clear",
      "channel/records: at the start: %s",
      "channel/channel: before the handshake",
    ),
  ),
  section(
    "5.2",
    both(
      "at most 2^14 + 256 bytes",
      "record/protection: padding goes no further than the largest content the peer takes",
    ),
    both("more is record_overflow", OVERFLOW),
    both(
      "one that does not open is bad_record_mac",
      "channel/records: a bent record is bad_record_mac",
      "record/protection: a change to any byte of header or fragment opens nothing",
    ),
    both(
      "an AEAD adds at most 255 bytes",
      "channel/records: a record carries no more than its overhead beside the data",
    ),
    both("a longer record is record_overflow", OVERFLOW, "channel/records: at the start: %s"),
  ),
  section(
    "5.3",
    both(
      "each key counts from 0",
      "record/protection: RFC 8448 §3: the record of the client's Finished",
      "record/protection: a record opens once, in its place and under its key",
    ),
    both(
      "a sequence number never wraps",
      "channel/config: no key seals more records than its suite allows (§5.5)",
      "channel/channel: §5.5: also in the middle of one large write",
    ),
    both("nonces have 8 bytes and more", "crypto/suites: lengths are those of the primitives"),
  ),
  section(
    "5.4",
    both("padding is zeros", "record/protection: §5.4: padding is zeros behind the type"),
    both(
      "no empty handshake or alert record",
      FRAGMENTS,
      "channel/records: §5.1: an alert is a record of its own",
    ),
    both(
      "an empty one is unexpected_message",
      "channel/records: an empty handshake fragment is unexpected_message",
      "channel/channel: §5.4: an alert without content is unexpected_message",
    ),
    both(
      "padding is looked for in what was opened alone",
      "record/protection: content that ends in zeros keeps them",
    ),
    both(
      "nothing but zeros is unexpected_message",
      "record/protection: nothing but zeros is unexpected_message",
      "channel/records: a record of nothing but padding is unexpected_message",
    ),
    both(
      "content, type and padding have at most 2^14 + 1 bytes",
      "record/protection: more than 2^14 + 1 bytes with type and padding",
      "channel/records: never makes a record larger than the peer's limit",
    ),
  ),
  section(
    "5.5",
    both(
      "keys are updated before their limit",
      "channel/channel: §5.5: by itself before a key has sealed as many records as it may",
      "crypto/suites: §5.5: AES-GCM keys wear out after 2^24.5 full-size records",
    ),
    exempt("client", "early data keeps below it", NO_EARLY_DATA),
  ),
  section(
    "6",
    both(
      "after an error alert nothing is sent or received",
      "channel/channel: an error at warning level is an error all the same",
      CLOSES,
    ),
    both(
      "secrets of a failed connection are forgotten",
      "channel/channel: exports, sends and answers nothing, and has no secret left",
      "channel/engine: in the middle of a handshake",
    ),
    both("error alerts are sent as fatal", "channel/records: §5.1: an alert is a record of its own"),
    both(
      "and taken as errors whatever their level",
      "channel/channel: an error at warning level is an error all the same",
    ),
    both("unknown alerts are errors", "channel/channel: an unknown one is an error"),
    both(
      "what cannot be parsed is decode_error",
      "wire/hello: every truncation of either is a decode_error",
      "wire/cursor: an announced length that goes past the enclosing field is a decode_error",
      "wire/codec: a vector whose length is no multiple of its items is a decode_error",
    ),
    both(
      "what parses and cannot be is illegal_parameter",
      "handshake/client-hello: RFC 10024: a server's share that fails its check is illegal_parameter",
      "handshake/choose: RFC 10024: a client's share that fails its check is illegal_parameter",
      "channel/channel: an unknown KeyUpdateRequest is illegal_parameter",
    ),
  ),
  section(
    "6.1",
    both(
      "what comes behind a closure alert is ignored",
      "channel/channel: data that the %s receives behind close_notify is ignored",
    ),
    both("close_notify is a warning", "channel/records: §5.1: an alert is a record of its own"),
    exempt("both", "close_notify follows user_canceled", "user_canceled is never sent"),
    both(
      "close_notify before the writing side closes",
      "channel/channel: the %s says close_notify; the other may still send",
      "node/stream: by default the other half ends too; both see end and close without an error",
    ),
    both(
      "the end is told only after close_notify",
      "channel/channel: a transport that ends without close_notify is a truncation at the %s",
      "node/stream: a transport that is cut is a truncation, after what came before was read",
    ),
  ),
  section(
    "6.2",
    both(
      "a fatal alert closes, sent or received",
      CLOSES,
      "channel/channel: a fatal one",
      "node/stream: of a connection that fails: error, then close, once",
    ),
    both(
      "a fatal error closes, without more data",
      CLOSES,
      "channel/channel: the side that fails sends its alert once",
    ),
    both(
      "the alert sent is the one that the rule names",
      "channel/channel: the side that fails sends its alert once; the other learns it by name",
      "channel/records: at the start: %s",
    ),
  ),
];

export const records = rules.flat();
