/** Bytes off the wire, out of stores and from a KME, each read by the parser that the first byte names. */
import { expect } from "vitest";
import {
  decodeSession,
  decodeTicketState,
  encodeSession,
  encodeTicketState,
} from "../../../src/handshake/session.ts";
import { concat, equal, utf8 } from "../../../src/protocol/bytes.ts";
import { KeySourceError, ProtocolError, UsageError } from "../../../src/protocol/errors.ts";
import { HandshakeType } from "../../../src/protocol/iana.ts";
import { readKeys, readMessage, readStatus } from "../../../src/qkd/container.ts";
import { decode, encode, type Codec } from "../../../src/wire/codec.ts";
import { DelegatedCredential } from "../../../src/wire/delegated.ts";
import * as handshake from "../../../src/wire/handshake.ts";
import * as hello from "../../../src/wire/hello.ts";
import { ImportedIdentity, parseQkdContext, QkdContext } from "../../../src/wire/psk.ts";
import { corpus } from "../corpus.ts";
import type { Target } from "../guided/search.ts";
import { recorded } from "../scenarios.ts";

/** What reading did: it took the bytes, or refused them by an error of a class that it may throw. */
type Parse = (bytes: Uint8Array) => void;

const HEADER_BYTES = 4;

/** What was read is written and read again as the same; what is refused is refused as malformed. */
const byCodec =
  (codec: Codec<unknown>): Parse =>
  (bytes) => {
    let value: unknown;
    try {
      value = decode(codec, bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      expect(["decode_error", "illegal_parameter"]).toContain(error.alert);
      return;
    }
    const written = encode(codec, value);
    expect(equal(encode(codec, decode(codec, written)), written)).toBe(true);
  };

const refusing =
  (parse: Parse, Refusal: abstract new (...args: never[]) => Error): Parse =>
  (bytes) => {
    try {
      parse(bytes);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  };

/** Names are those of handshake messages where there is one. */
const PARSERS: Readonly<Record<string, Parse>> = {
  client_hello: byCodec(hello.ClientHello),
  server_hello: byCodec(hello.ServerHello),
  hello_retry_request: byCodec(hello.HelloRetryRequest),
  encrypted_extensions: byCodec(handshake.EncryptedExtensions),
  certificate_request: byCodec(handshake.CertificateRequest),
  certificate: byCodec(handshake.Certificate),
  compressed_certificate: byCodec(handshake.CompressedCertificate),
  certificate_verify: byCodec(handshake.CertificateVerify),
  finished: byCodec(handshake.Finished),
  new_session_ticket: byCodec(handshake.NewSessionTicket),
  key_update: byCodec(handshake.KeyUpdate),
  "delegated credential": byCodec(DelegatedCredential),
  "imported identity": byCodec(ImportedIdentity),
  "qkd context": (bytes) => {
    byCodec(QkdContext)(bytes);
    parseQkdContext(bytes);
  },
  "either server_hello": refusing((bytes) => void hello.decodeServerHello(bytes), ProtocolError),
  "older server_hello": refusing((bytes) => void hello.decodeOlderServerHello(bytes), ProtocolError),
  session: refusing((bytes) => {
    const written = encodeSession(decodeSession(bytes));
    expect(equal(encodeSession(decodeSession(written)), written)).toBe(true);
  }, UsageError),
  ticket: (bytes) => {
    const state = decodeTicketState(bytes);
    if (state === undefined) return;
    const written = encodeTicketState(state);
    expect(equal(encodeTicketState(decodeTicketState(written)!), written)).toBe(true);
  },
  "KME's status": refusing((bytes) => void readStatus(bytes), KeySourceError),
  "KME's keys": refusing((bytes) => void readKeys(bytes, 1, 4), KeySourceError),
  "KME's error": (bytes) => {
    expect(readMessage(bytes).length).toBeLessThanOrEqual(200);
  },
};
const NAMES = Object.keys(PARSERS);

const seed = (name: string, bytes: Uint8Array): Uint8Array =>
  concat([Uint8Array.of(NAMES.indexOf(name)), bytes]);
const messageSeed = (message: Uint8Array): Uint8Array => {
  const name = Object.entries(HandshakeType).find(([, code]) => code === message[0])?.[0];
  return seed(name!, message.subarray(HEADER_BYTES));
};

export const structures: Target = {
  name: "structures",
  seeds() {
    const { messages, session, ticket } = recorded();
    const hellos = messages.filter((message) => message[0] === HandshakeType.server_hello);
    const context = encode(QkdContext, { initiator: utf8("a"), responder: utf8("b") });
    return [
      ...corpus.map(({ message }) => messageSeed(message)),
      ...messages.map(messageSeed),
      ...hellos.flatMap((message) =>
        ["hello_retry_request", "either server_hello", "older server_hello"].map((name) =>
          seed(name, message.subarray(HEADER_BYTES)),
        ),
      ),
      seed("session", session),
      seed("ticket", ticket),
      seed("qkd context", context),
      seed(
        "imported identity",
        encode(ImportedIdentity, {
          external_identity: utf8("etsi-qkd-014:1"),
          context,
          target_protocol: 0x0304,
          target_kdf: 1,
        }),
      ),
      seed(
        "KME's status",
        utf8(
          '{"source_KME_ID":"a","target_KME_ID":"b","key_size":256,"stored_key_count":9,"max_key_per_request":3,' +
            '"status_extension":{"qkdtls_simulated":true}}',
        ),
      ),
      seed(
        "KME's keys",
        utf8('{"keys":[{"key_ID":"bc490419-7d60-487f-adc1-4ddcc177c139","key":"AQIDBA=="}]}'),
      ),
      seed("KME's error", utf8('{"message":"no\\u0000 keys"}')),
    ];
  },
  run(input) {
    const parse = PARSERS[NAMES[(input[0] ?? 0) % NAMES.length]!]!;
    parse(input.subarray(1));
  },
  cheap: true,
};
