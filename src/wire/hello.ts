import { equal } from "../protocol/bytes.ts";
import { ExtensionType } from "../protocol/iana.ts";
import {
  bytes,
  decode,
  empty,
  opaque,
  rest,
  struct,
  u16,
  u32,
  u8,
  vector,
  type Codec,
  type Of,
} from "./codec.ts";
import { extensions } from "./extensions.ts";
import { CertificateCompressionAlgorithms } from "./handshake.ts";

/** RFC 9846 §4.3.8. */
const KeyShareEntry = struct({
  group: u16,
  key_exchange: opaque(2, 1),
});
export type KeyShareEntry = Of<typeof KeyShareEntry>;

/** RFC 6066 §3; only host_name(0) is defined. */
const ServerName = struct({ name_type: u8, host_name: opaque(2, 1) });

/** RFC 6066 §8; ocsp is the one type that is defined. */
const CertificateStatusRequest = struct({
  status_type: u8,
  responder_id_list: vector(2, opaque(2, 1)),
  request_extensions: opaque(2),
});

/** RFC 9846 §4.3.11. */
const PskIdentity = struct({ identity: opaque(2, 1), obfuscated_ticket_age: u32 });
export const OfferedPsks = struct({
  identities: vector(2, PskIdentity, 7),
  binders: vector(2, opaque(1, 32, 255), 33),
});
export type OfferedPsks = Of<typeof OfferedPsks>;

const clientBodies = {
  server_name: vector(2, ServerName, 1),
  status_request: CertificateStatusRequest,
  supported_groups: vector(2, u16, 2),
  signature_algorithms: vector(2, u16, 2, 0xfffe),
  application_layer_protocol_negotiation: vector(2, opaque(1, 1), 2),
  signed_certificate_timestamp: empty,
  client_certificate_type: vector(1, u8, 1),
  server_certificate_type: vector(1, u8, 1),
  compress_certificate: CertificateCompressionAlgorithms,
  record_size_limit: u16,
  tls_cert_with_extern_psk: empty,
  delegated_credential: vector(2, u16, 2, 0xfffe),
  early_data: empty,
  supported_versions: vector(1, u16, 2, 254),
  cookie: opaque(2, 1),
  psk_key_exchange_modes: vector(1, u8, 1),
  certificate_authorities: vector(2, opaque(2, 1), 3),
  signature_algorithms_cert: vector(2, u16, 2, 0xfffe),
  key_share: vector(2, KeyShareEntry),
  pre_shared_key: OfferedPsks,
};

/** The types that a ClientHello may carry, in the order in which it is written. */
export const clientExtensionTypes: readonly number[] = Object.keys(clientBodies).map(
  (name) => ExtensionType[name as keyof typeof clientBodies],
);

/** RFC 9846 §4.3.11: here, and only here, pre_shared_key stands last. */
const ClientExtensions = extensions(clientBodies, { last: "pre_shared_key" });
export type ClientExtensions = Of<typeof ClientExtensions>;

/** An old client may send no extension block at all; that is a version to refuse, not a malformed message. */
const optionalExtensions: Codec<ClientExtensions> = {
  read: (from) => (from.left === 0 ? { present: [] } : ClientExtensions.read(from)),
  write: (to, value) => ClientExtensions.write(to, value),
};

/** RFC 9846 §4.2.2. */
export const ClientHello = struct({
  legacy_version: u16,
  random: bytes(32),
  legacy_session_id: opaque(1, 0, 32),
  cipher_suites: vector(2, u16, 2, 0xfffe),
  legacy_compression_methods: opaque(1, 1),
  extensions: optionalExtensions,
});
export type ClientHello = Of<typeof ClientHello>;

const serverHello = <E>(block: Codec<E>) =>
  struct({
    legacy_version: u16,
    random: bytes(32),
    legacy_session_id_echo: opaque(1, 0, 32),
    cipher_suite: u16,
    legacy_compression_method: u8,
    extensions: block,
  });

/** RFC 9846 §4.2.3. */
export const ServerHello = serverHello(
  extensions({
    tls_cert_with_extern_psk: empty,
    supported_versions: u16,
    key_share: KeyShareEntry,
    pre_shared_key: u16,
  }),
);
export type ServerHello = Of<typeof ServerHello>;

/** RFC 9846 §4.2.4: a ServerHello with a fixed random. */
export const HelloRetryRequest = serverHello(
  extensions({ supported_versions: u16, cookie: opaque(2, 1), key_share: u16 }),
);
export type HelloRetryRequest = Of<typeof HelloRetryRequest>;

/** SHA-256 of "HelloRetryRequest". RFC 9846 §4.2.3. */
export const HELLO_RETRY_RANDOM = Uint8Array.from([
  0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
  0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
]);

const Prelude = struct({ legacy_version: u16, random: bytes(32), body: rest });

/** Tells the two messages of type server_hello apart and reads the right one. */
export function decodeServerHello(
  body: Uint8Array,
):
  | { readonly retry: false; readonly hello: ServerHello }
  | { readonly retry: true; readonly hello: HelloRetryRequest } {
  return equal(decode(Prelude, body).random, HELLO_RETRY_RANDOM)
    ? { retry: true, hello: decode(HelloRetryRequest, body) }
    : { retry: false, hello: decode(ServerHello, body) };
}

const OlderExtensions = vector(2, struct({ type: u16, body: opaque(2) }));
const OlderServerHello = serverHello<Of<typeof OlderExtensions>>({
  read: (from) => (from.left === 0 ? [] : OlderExtensions.read(from)),
  write: (to, value) => OlderExtensions.write(to, value),
});

/** The ServerHello of a version before TLS 1.3, whose extensions follow other rules; undefined for one of TLS 1.3. RFC 9846 §4.3.1. */
export function decodeOlderServerHello(body: Uint8Array): Of<typeof OlderServerHello> | undefined {
  const hello = decode(OlderServerHello, body);
  return hello.extensions.some(({ type }) => type === ExtensionType.supported_versions) ? undefined : hello;
}

/** Whether a random says that the server would have spoken a newer version. RFC 9846 §4.2.3. */
export const warnsOfDowngrade = (random: Uint8Array): boolean =>
  DOWNGRADES.some((ending) => equal(random.subarray(-ending.length), ending));

/** "DOWNGRD" and whether TLS 1.2 (1) or an older version (0) was negotiated. */
const DOWNGRADES = [0, 1].map((last) => Uint8Array.of(0x44, 0x4f, 0x57, 0x4e, 0x47, 0x52, 0x44, last));

/** How many bytes at the end of this ClientHello are its binders. RFC 9846 §4.3.11.2. */
export function bindersBytes(psks: OfferedPsks): number {
  return 2 + psks.binders.reduce((sum, binder) => sum + 1 + binder.length, 0);
}
