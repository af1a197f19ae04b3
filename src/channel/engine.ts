import { client } from "../handshake/client.ts";
import type { ClientInputs, ClientState } from "../handshake/client-state.ts";
import { wipeClient, wipeServer } from "../handshake/leftovers.ts";
import { advance, type Effect, type Machine } from "../handshake/machine.ts";
import { server, serverStart } from "../handshake/server.ts";
import type { ServerInputs, ServerState } from "../handshake/server-state.ts";
import type { ClientSettings, ServerSettings } from "../handshake/settings.ts";

/** A handshake with its state inside; names of inputs that a table does not know are refused by the table. */
export interface Engine {
  step(name: string, input: unknown): readonly Effect[];
  /** Overwrites the secrets that the state holds; no step may follow. */
  wipe(): void;
}

export const clientEngine = (settings: ClientSettings): Engine =>
  engine<ClientState, ClientInputs, ClientSettings>(client, { at: "START" }, settings, wipeClient);

export const serverEngine = (settings: ServerSettings): Engine =>
  engine<ServerState, ServerInputs, ServerSettings>(server, serverStart(), settings, wipeServer);

function engine<S extends { readonly at: string }, I, C>(
  machine: Machine<S, I, C>,
  start: S,
  settings: C,
  wipe: (state: S) => void,
): Engine {
  let state = start;
  return {
    step(name, input) {
      // The channel names inputs by strings from the wire; a name without a row is caught by `advance`.
      const { next, effects } = advance(
        machine,
        state,
        name as keyof I & string,
        input as I[keyof I & string],
        settings,
      );
      state = next;
      return effects;
    },
    wipe: () => wipe(state),
  };
}
