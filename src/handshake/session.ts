import { CertificateType, CipherSuite, TLS13, type CertificateTypeName } from "../protocol/iana.ts";
import { UsageError } from "../protocol/errors.ts";
import { fromUtf8, plain, utf8 } from "../protocol/bytes.ts";
import { decode, encode, opaque, struct, u16, u24, u32, u8, vector, type Of } from "../wire/codec.ts";
import { typesOf } from "./certificate-type.ts";

/** A moment in milliseconds since 1970, in two fields because it exceeds 32 bits. */
const moment = struct({ high: u24, low: u32 });
const toMoment = (ms: number): Of<typeof moment> => ({
  high: Math.floor(ms / 2 ** 32),
  low: (ms % 2 ** 32) >>> 0,
});
const fromMoment = (value: Of<typeof moment>): number => value.high * 2 ** 32 + value.low;

/** What a client keeps of a connection so that it can be resumed. RFC 9846 §4.7.1. */
export interface Session {
  readonly suite: number;
  readonly psk: Uint8Array;
  readonly ticket: Uint8Array;
  readonly ageAdd: number;
  readonly receivedMs: number;
  readonly lifetimeSeconds: number;
  readonly serverName: string;
  readonly alpn: string;
  /** Whether the peer had been found trustworthy; an unverified session serves no verifying client. */
  readonly authorized: boolean;
  readonly peerCertificateType: CertificateTypeName;
  /** The peer's DER chain of the first handshake, or its SubjectPublicKeyInfo. */
  readonly peerChain: readonly Uint8Array[];
}

/** The longest lifetime that a ticket may claim: seven days. RFC 9846 §4.7.1. */
export const MAX_TICKET_LIFETIME_SECONDS = 604_800;
const FORMAT = 2;

const StoredSession = struct({
  format: u8,
  version: u16,
  suite: u16,
  psk: opaque(1, 32, 48),
  ticket: opaque(2, 1),
  age_add: u32,
  received: moment,
  lifetime: u32,
  server_name: opaque(2),
  alpn: opaque(1),
  authorized: u8,
  peer_certificate_type: u8,
  peer_chain: vector(3, opaque(3, 1)),
});

/** The bytes of a session, for `session` events and files. They hold a secret. */
export function encodeSession(session: Session): Uint8Array {
  return encode(StoredSession, {
    format: FORMAT,
    version: TLS13,
    suite: session.suite,
    psk: session.psk,
    ticket: session.ticket,
    age_add: session.ageAdd,
    received: toMoment(session.receivedMs),
    lifetime: session.lifetimeSeconds,
    server_name: utf8(session.serverName),
    alpn: utf8(session.alpn),
    authorized: session.authorized ? 1 : 0,
    peer_certificate_type: CertificateType[session.peerCertificateType],
    peer_chain: session.peerChain,
  });
}

/** Reads a session back. Throws a UsageError (option `session`) when the bytes are none. */
export function decodeSession(bytes: Uint8Array): Session {
  let session: Session | undefined;
  try {
    session = readSession(plain(bytes));
  } catch (cause) {
    throw noSession("these bytes are no stored session", cause);
  }
  if (session === undefined) throw noSession("stored by another version");
  return session;
}

const noSession = (what: string, cause?: unknown): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `session: ${what}`, { option: "session", cause });

/** Undefined for another version. Throws for bytes or text that are malformed. */
function readSession(bytes: Uint8Array): Session | undefined {
  const stored = decode(StoredSession, bytes);
  const [peerCertificateType] = typesOf([stored.peer_certificate_type]);
  const known = stored.format === FORMAT && stored.version === TLS13;
  if (!known || peerCertificateType === undefined) return undefined;
  return {
    suite: stored.suite,
    psk: stored.psk.slice(),
    ticket: stored.ticket.slice(),
    ageAdd: stored.age_add,
    receivedMs: fromMoment(stored.received),
    lifetimeSeconds: stored.lifetime,
    serverName: fromUtf8(stored.server_name),
    alpn: fromUtf8(stored.alpn),
    authorized: stored.authorized === 1,
    peerCertificateType,
    peerChain: stored.peer_chain.map((der) => der.slice()),
  };
}

/** What a server seals into a ticket, or keeps in its store. */
export interface TicketState {
  readonly suite: number;
  readonly psk: Uint8Array;
  readonly ageAdd: number;
  readonly issuedMs: number;
  /** When certificates or keys proved who the peers are, however often the session was renewed since. */
  readonly sinceMs: number;
  readonly lifetimeSeconds: number;
  readonly serverName: string;
  readonly alpn: string;
  readonly authorized: boolean;
  readonly peerCertificateType: CertificateTypeName;
  /** The client's DER chain or SubjectPublicKeyInfo, empty when it showed none. */
  readonly peerChain: readonly Uint8Array[];
}

const TICKET_FORMAT = 3;
const StoredTicket = struct({
  format: u8,
  suite: u16,
  psk: opaque(1, 32, 48),
  age_add: u32,
  issued: moment,
  since: moment,
  lifetime: u32,
  server_name: opaque(2),
  alpn: opaque(1),
  authorized: u8,
  peer_certificate_type: u8,
  peer_chain: vector(3, opaque(3, 1)),
});

export function encodeTicketState(state: TicketState): Uint8Array {
  return encode(StoredTicket, {
    format: TICKET_FORMAT,
    suite: state.suite,
    psk: state.psk,
    age_add: state.ageAdd,
    issued: toMoment(state.issuedMs),
    since: toMoment(state.sinceMs),
    lifetime: state.lifetimeSeconds,
    server_name: utf8(state.serverName),
    alpn: utf8(state.alpn),
    authorized: state.authorized ? 1 : 0,
    peer_certificate_type: CertificateType[state.peerCertificateType],
    peer_chain: state.peerChain,
  });
}

/** Undefined for bytes that are no ticket of ours or of another version. */
export function decodeTicketState(bytes: Uint8Array): TicketState | undefined {
  try {
    const stored = decode(StoredTicket, plain(bytes));
    const known = Object.values<number>(CipherSuite).includes(stored.suite);
    const [peerCertificateType] = typesOf([stored.peer_certificate_type]);
    if (stored.format !== TICKET_FORMAT || !known || peerCertificateType === undefined) return undefined;
    return {
      suite: stored.suite,
      psk: stored.psk.slice(),
      ageAdd: stored.age_add,
      issuedMs: fromMoment(stored.issued),
      sinceMs: fromMoment(stored.since),
      lifetimeSeconds: stored.lifetime,
      serverName: fromUtf8(stored.server_name),
      alpn: fromUtf8(stored.alpn),
      authorized: stored.authorized === 1,
      peerCertificateType,
      peerChain: stored.peer_chain.map((der) => der.slice()),
    };
  } catch {
    return undefined;
  }
}
