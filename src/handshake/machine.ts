/**
 * The handshake decides; it sends nothing, waits for nothing and knows no clock.
 * A step takes a state and an input and returns the next state and the effects, in order, as data.
 */
import { ProtocolError } from "../protocol/errors.ts";
import type { TrafficKeys } from "../schedule/traffic.ts";
import type { Established } from "./established.ts";
import type { Question } from "./question.ts";
import type { Session } from "./session.ts";

/** What a step wants done. */
export type Effect =
  | { readonly do: "send"; readonly message: Uint8Array }
  | { readonly do: "send_change_cipher_spec" }
  | { readonly do: "write_keys"; readonly keys: TrafficKeys }
  | { readonly do: "read_keys"; readonly keys: TrafficKeys }
  /** The largest content we may send per record, in bytes. RFC 8449. */
  | { readonly do: "limit_records"; readonly maxContentBytes: number }
  /** Early data was offered and is refused: drop it, up to a bound. RFC 9846 §4.3.10. */
  | { readonly do: "skip_early_data"; readonly until: "second_client_hello" | "first_opened_record" }
  | { readonly do: "ask"; readonly question: Question }
  | { readonly do: "connected"; readonly established: Established }
  | { readonly do: "session"; readonly session: Session }
  /** For a server whose host keeps the sessions. */
  | { readonly do: "store_ticket"; readonly ticket: Uint8Array; readonly state: Uint8Array }
  /** The QKD key proved itself in a binder; the host may forget it. */
  | { readonly do: "qkd_key_used"; readonly initiator: string; readonly keyId: string }
  | { readonly do: "peer_key_update" }
  /** The peer wants our sending keys renewed before we send data again. RFC 9846 §4.7.3. */
  | { readonly do: "owe_key_update" }
  | { readonly do: "log_secret"; readonly label: string; readonly secret: Uint8Array };

export interface Step<S> {
  readonly next: S;
  readonly effects: readonly Effect[];
}

/** For every state, the inputs it takes and the step each one leads to. RFC 9846 Appendix A. */
export type Machine<S extends { readonly at: string }, I, C> = {
  readonly [At in S["at"]]: {
    readonly [K in keyof I]?: (state: Extract<S, { readonly at: At }>, input: I[K], context: C) => Step<S>;
  };
};

/** Takes one step. Whatever the table does not list is `unexpected_message`, and only from here. */
export function advance<S extends { readonly at: string }, I, C, K extends keyof I & string>(
  machine: Machine<S, I, C>,
  state: S,
  name: K,
  input: I[K],
  context: C,
): Step<S> {
  // The table is indexed by the state's own tag, which TypeScript cannot follow through a union.
  const row = machine[state.at as S["at"]] as Readonly<
    Partial<Record<string, (state: S, input: I[K], context: C) => Step<S>>>
  >;
  const step = row[name];
  if (step === undefined) {
    const wanted = Object.keys(row).join(" or ") || "nothing";
    throw new ProtocolError(
      "ERR_TLS_UNEXPECTED_MESSAGE",
      "unexpected_message",
      `${name} arrived in state ${state.at}, which takes ${wanted}`,
    );
  }
  return step(state, input, context);
}

/** A step that changes the state and does nothing else. */
export const moveTo = <S>(next: S, ...effects: readonly Effect[]): Step<S> => ({ next, effects });
