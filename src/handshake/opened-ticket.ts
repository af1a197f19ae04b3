/** What a ticket says, and whether it may still resume anything. RFC 9846 §4.3.11 and §4.7.1. */
import { EMPTY, wipe } from "../protocol/bytes.ts";
import type { Draft, FoundPsk } from "./server-state.ts";
import { decodeTicketState, type TicketState } from "./session.ts";
import type { ServerSettings } from "./settings.ts";

/** The PSK of an opened ticket; undefined for one that does not serve this client any more. Wipes `bytes`. */
export function ticketPsk(
  draft: Draft,
  index: number,
  bytes: Uint8Array,
  settings: ServerSettings,
): FoundPsk | undefined {
  const ticket = decodeTicketState(bytes);
  wipe(bytes);
  if (ticket === undefined) return undefined;
  const suite = settings.suites.find(({ code }) => code === ticket.suite);
  if (suite === undefined || !ticketFits(draft, ticket, settings)) {
    wipe(ticket.psk);
    return undefined;
  }
  return {
    index,
    ready: { identity: EMPTY, secret: ticket.psk, hash: suite.hash, binder: "res binder" },
    ticket,
    ticketAgeSkewMs: ageSkew(draft, index, ticket, settings),
  };
}

/** A hello that comes late or again, and clocks that go apart, tell themselves by it. RFC 9846 §4.3.10 and §8.3. */
function ageSkew(
  { received }: Draft,
  index: number,
  { ageAdd, issuedMs }: TicketState,
  settings: ServerSettings,
): number {
  const identity = received.hello.extensions.pre_shared_key?.identities[index];
  // Modulo 2^32, and below zero where the client's clock was set back; seven days are no more than half of that.
  const claimedMs = ((identity?.obfuscated_ticket_age ?? 0) - ageAdd) | 0;
  return claimedMs - (settings.now() - issuedMs);
}

function ticketFits({ received }: Draft, ticket: TicketState, settings: ServerSettings): boolean {
  const ageMs = settings.now() - ticket.issuedMs;
  const fresh = ageMs >= 0 && ageMs <= 1000 * ticket.lifetimeSeconds;
  const named = ticket.serverName === (received.serverName ?? "");
  const identified = settings.clientAuth !== "require" || (ticket.authorized && ticket.peerChain.length > 0);
  const asked = settings.clientAuth !== "none" && ticket.peerChain.length > 0;
  const alike = !asked || settings.clientCertificateTypes.includes(ticket.peerCertificateType);
  return fresh && named && identified && alike;
}
