import { client } from "../handshake/client.ts";
import type { ClientInputs, ClientState } from "../handshake/client-state.ts";
import { advance, type Effect, type Machine } from "../handshake/machine.ts";
import { server, serverStart } from "../handshake/server.ts";
import type { ServerInputs, ServerState } from "../handshake/server-state.ts";
import type { ClientSettings, ServerSettings } from "../handshake/settings.ts";

/** A handshake with its state inside; names of inputs that a table does not know are refused by the table. */
export interface Engine {
  step(name: string, input: unknown): readonly Effect[];
}

export const clientEngine = (settings: ClientSettings): Engine =>
  engine<ClientState, ClientInputs, ClientSettings>(client, { at: "START" }, settings);

export const serverEngine = (settings: ServerSettings): Engine =>
  engine<ServerState, ServerInputs, ServerSettings>(server, serverStart(), settings);

function engine<S extends { readonly at: string }, I, C>(
  machine: Machine<S, I, C>,
  start: S,
  settings: C,
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
  };
}
