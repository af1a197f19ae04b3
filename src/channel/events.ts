/** What a channel tells its host. */
import type { Established } from "../handshake/established.ts";
import type { Effect } from "../handshake/machine.ts";
import type { Question } from "../handshake/question.ts";
import type { Session } from "../handshake/session.ts";

/** What happened, in order. Byte fields are the receiver's to keep. */
export type ChannelEvent =
  | { readonly event: "question"; readonly question: Question }
  | { readonly event: "connected"; readonly established: Established }
  | { readonly event: "data"; readonly bytes: Uint8Array }
  | { readonly event: "session"; readonly session: Session }
  | { readonly event: "store_ticket"; readonly ticket: Uint8Array; readonly state: Uint8Array }
  | { readonly event: "qkd_key_used"; readonly initiator: string; readonly keyId: string }
  /** A new traffic secret is in use; `by` says whose sending direction changed. */
  | { readonly event: "key_update"; readonly by: "us" | "peer" }
  /** One line in the format of RFC 9850. It holds a secret. */
  | { readonly event: "key_log"; readonly line: string }
  /** The peer sent close_notify: no more data will come, ours may still go. RFC 9846 §6.1. */
  | { readonly event: "end" }
  /** The connection is over; the alert, if one was due, is in the output. */
  | { readonly event: "error"; readonly error: Error };

/** Effects of the handshake that are the host's alone to act on. */
type Told = Extract<Effect, { readonly do: "session" | "store_ticket" | "qkd_key_used" | "peer_key_update" }>;

export function eventOf(effect: Told): ChannelEvent {
  switch (effect.do) {
    case "session":
      return { event: "session", session: effect.session };
    case "store_ticket":
      return { event: "store_ticket", ticket: effect.ticket, state: effect.state };
    case "qkd_key_used":
      return { event: "qkd_key_used", initiator: effect.initiator, keyId: effect.keyId };
    case "peer_key_update":
      return { event: "key_update", by: "peer" };
  }
}
