/** What may happen on an established connection: tickets and key updates. RFC 9846 §4.7. */
import { wipe } from "../protocol/bytes.ts";
import type { CryptoProvider, HashAlgorithm } from "../crypto/provider.ts";
import type { Suite } from "../crypto/suites.ts";
import { decode } from "../wire/codec.ts";
import { encodeHandshake, KeyUpdate, KeyUpdateRequest, NewSessionTicket } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import { nextTrafficSecret, ticketPsk, trafficKeys } from "../schedule/traffic.ts";
import type { ClientState } from "./client-state.ts";
import type { ConnectionSecrets } from "./established.ts";
import { illegalParameter } from "./fault.ts";
import { reservedExtension } from "./grease.ts";
import { moveTo, type Effect, type Step } from "./machine.ts";
import { encodeTicketState, MAX_TICKET_LIFETIME_SECONDS, type TicketState } from "./session.ts";
import type { ServerState } from "./server-state.ts";
import type { ClientSettings, ServerSettings } from "./settings.ts";

type ConnectedClientState = Extract<ClientState, { at: "CONNECTED" }>;
type ConnectedServerState = Extract<ServerState, { at: "CONNECTED" }>;

/** A ticket from the server becomes a session to keep. */
export function onSessionTicket(
  state: ConnectedClientState,
  message: HandshakeMessage,
  settings: ClientSettings,
): Step<ClientState> {
  if (!settings.resumption || !state.connected.resumable) return moveTo(state);
  const { ticket_lifetime, ticket_age_add, ticket_nonce, ticket } = decode(NewSessionTicket, message.body);
  if (ticket_lifetime > MAX_TICKET_LIFETIME_SECONDS) {
    throw illegalParameter(`new_session_ticket: lifetime ${ticket_lifetime} s is over seven days`);
  }
  // A lifetime of zero asks us to throw the ticket away at once.
  if (ticket_lifetime === 0) return moveTo(state);
  const { connected } = state;
  return moveTo(state, {
    do: "session",
    session: {
      suite: connected.suite.code,
      psk: ticketPsk(connected.hash, connected.resumptionSecret, ticket_nonce),
      ticket: ticket.slice(),
      ageAdd: ticket_age_add,
      receivedMs: settings.now(),
      lifetimeSeconds: ticket_lifetime,
      serverName: connected.serverName,
      alpn: connected.alpn,
      authorized: connected.authorized,
      peerCertificateType: connected.peerCertificateType,
      peerChain: connected.peerChain,
    },
  });
}

/** What a ticket will remember of this connection. */
export type TicketFacts = Pick<
  TicketState,
  "serverName" | "alpn" | "authorized" | "peerCertificateType" | "peerChain" | "sinceMs"
> & {
  readonly resumed: boolean;
};

/**
 * The tickets a server sends once the client has finished. RFC 9846 §4.7.1.
 * A connection that was resumed used one up and gets one in its place.
 */
export function sessionTickets(
  settings: ServerSettings,
  suite: Suite,
  resumptionSecret: Uint8Array,
  { resumed, ...facts }: TicketFacts,
): readonly Effect[] {
  const tickets = settings.tickets;
  if (tickets === undefined) return [];
  const { provider } = settings;
  // However often it is renewed, a session ends seven days after the proofs that began it. RFC 9846 §4.7.1.
  const ageSeconds = Math.ceil((settings.now() - facts.sinceMs) / 1000);
  const lifetimeSeconds = Math.min(tickets.lifetimeSeconds, MAX_TICKET_LIFETIME_SECONDS - ageSeconds);
  if (lifetimeSeconds < 1) return [];
  const hash = provider.hash(suite.hash);
  const count = resumed ? Math.min(1, tickets.count) : tickets.count;
  return Array.from({ length: count }, (_, index): readonly Effect[] => {
    const nonce = Uint8Array.of(index);
    const ageAdd = readU32(provider.random(4));
    const state = encodeTicketState({
      ...facts,
      suite: suite.code,
      psk: ticketPsk(hash, resumptionSecret, nonce),
      ageAdd,
      issuedMs: settings.now(),
      lifetimeSeconds,
    });
    const ticket = tickets.sealer === undefined ? provider.random(32) : tickets.sealer.seal(state);
    const message = encodeHandshake("new_session_ticket", NewSessionTicket, {
      ticket_lifetime: lifetimeSeconds,
      ticket_age_add: ageAdd,
      ticket_nonce: nonce,
      ticket,
      extensions: settings.grease ? { unnamed: [reservedExtension(provider, Uint8Array.of(0))] } : {},
    });
    const send: Effect = { do: "send", message };
    if (tickets.sealer !== undefined) {
      wipe(state);
      return [send];
    }
    return [{ do: "store_ticket", ticket, state }, send];
  }).flat();
}

const readU32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);

/** A key update from the server. RFC 9846 §4.7.3. */
export function onClientKeyUpdate(
  state: ConnectedClientState,
  message: HandshakeMessage,
  settings: ClientSettings,
): Step<ClientState> {
  return moveTo(state, ...peerUpdate(state.connected, "serverTraffic", message, settings.provider));
}

/** A key update from the client. */
export function onServerKeyUpdate(
  state: ConnectedServerState,
  message: HandshakeMessage,
  settings: ServerSettings,
): Step<ServerState> {
  return moveTo(state, ...peerUpdate(state.connected, "clientTraffic", message, settings.provider));
}

export function updateClientKeys(
  state: ConnectedClientState,
  { requestPeer }: { readonly requestPeer: boolean },
  settings: ClientSettings,
): Step<ClientState> {
  return moveTo(state, ...ownUpdate(state.connected, "clientTraffic", requestPeer, settings.provider));
}

export function updateServerKeys(
  state: ConnectedServerState,
  { requestPeer }: { readonly requestPeer: boolean },
  settings: ServerSettings,
): Step<ServerState> {
  return moveTo(state, ...ownUpdate(state.connected, "serverTraffic", requestPeer, settings.provider));
}

interface Updatable {
  readonly suite: Suite;
  readonly hash: HashAlgorithm;
  readonly secrets: ConnectionSecrets;
  /** We asked the peer for an update that has not come yet. */
  updateRequested?: boolean;
}
type Direction = "clientTraffic" | "serverTraffic";

function peerUpdate(
  connected: Updatable,
  theirs: Direction,
  message: HandshakeMessage,
  provider: CryptoProvider,
): readonly Effect[] {
  const { request_update } = decode(KeyUpdate, message.body);
  const read: Effect = { do: "read_keys", keys: turn(connected, theirs, provider) };
  connected.updateRequested = false;
  const noted: Effect = { do: "peer_key_update" };
  return request_update === KeyUpdateRequest.update_requested
    ? [read, noted, { do: "owe_key_update" }]
    : [read, noted];
}

function ownUpdate(
  connected: Updatable,
  ours: Direction,
  requestPeer: boolean,
  provider: CryptoProvider,
): readonly Effect[] {
  // Until the peer's update has come a second request would only ask for the same.
  const asks = requestPeer && connected.updateRequested !== true;
  if (asks) connected.updateRequested = true;
  const message = encodeHandshake("key_update", KeyUpdate, {
    request_update: asks ? KeyUpdateRequest.update_requested : KeyUpdateRequest.update_not_requested,
  });
  return [
    { do: "send", message },
    { do: "write_keys", keys: turn(connected, ours, provider) },
  ];
}

/** Replaces one direction's secret by its successor and wipes the old one. RFC 9846 §7.2. */
function turn(connected: Updatable, direction: Direction, provider: CryptoProvider) {
  const old = connected.secrets[direction];
  const secret = nextTrafficSecret(connected.hash, old);
  wipe(old);
  connected.secrets[direction] = secret;
  return trafficKeys(provider, connected.suite, secret);
}
