import type { CipherSuiteName, NamedGroupName } from "../protocol/iana.ts";

/** Every default, each with its reason. */

/** AES-256 first: its margin against a quantum search is the larger one. */
export const SUITES = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
] as const satisfies readonly CipherSuiteName[];

/** The one hybrid that IANA recommends first; the NIST-curve hybrids for those who must use them. */
export const GROUPS = [
  "X25519MLKEM768",
  "SecP256r1MLKEM768",
  "SecP384r1MLKEM1024",
] as const satisfies readonly NamedGroupName[];

/** Behind the hybrids, and only where policy lets a connection go without ML-KEM. */
export const CLASSICAL_GROUPS = [
  "x25519",
  "secp256r1",
  "secp384r1",
] as const satisfies readonly NamedGroupName[];

/** One share: a second one would cost a key generation and 1.2 kB that nearly no server needs. */
export const KEY_SHARES = 1;

/** Two tickets, as most servers send: one to resume with, one for a connection beside it. */
export const TICKET_COUNT = 2;

/** Two hours, after which a full handshake renews everything. */
export const TICKET_LIFETIME_SECONDS = 7200;

/** Bounds on what a peer can make us keep or do. */
export interface Limits {
  /** One handshake message; the largest honest one is an ML-DSA-87 chain of some 30 kB. */
  readonly handshakeMessageBytes: number;
  /** All handshake messages of the peer until the connection stands. */
  readonly handshakeBytes: number;
  /** What may wait while a question is open. */
  readonly bufferedBytes: number;
  /** Early data that a client sent in vain. */
  readonly earlyDataBytes: number;
  /** Records in a row that carry nothing. */
  readonly emptyRecords: number;
  /** Tickets and key updates from the peer. */
  readonly postHandshakeMessagesPerMinute: number;
  /** Certificates in a chain. */
  readonly chainLength: number;
  /** PSK identities looked at per ClientHello. */
  readonly identitiesPerHello: number;
  /** Records under one key before ours is updated; never above the suite's limit. RFC 9846 §5.5. */
  readonly recordsPerKey: number;
}

export const LIMITS: Limits = {
  handshakeMessageBytes: 131_072,
  handshakeBytes: 262_144,
  bufferedBytes: 131_072,
  earlyDataBytes: 65_536,
  emptyRecords: 32,
  postHandshakeMessagesPerMinute: 120,
  chainLength: 10,
  identitiesPerHello: 8,
  recordsPerKey: 2 ** 24,
};
