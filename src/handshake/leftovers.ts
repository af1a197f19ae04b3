import { wipe } from "../protocol/bytes.ts";
import type { ClientState } from "./client-state.ts";
import { wipePsks } from "./offer.ts";
import type { Flight, ServerState } from "./server-state.ts";

/** Overwrites the secrets that a client's state still holds when its connection is over. */
export function wipeClient(state: ClientState): void {
  if ("session" in state) wipePsks([state.session]);
  if ("offer" in state) wipePsks(state.offer.psks);
  if ("agreed" in state) {
    const { handshakeSecret, clientSecret, serverSecret } = state.agreed;
    handshakeSecret.wipe();
    wipe(clientSecret, serverSecret);
  }
  if ("connected" in state) {
    const { secrets, resumptionSecret } = state.connected;
    wipe(secrets.clientTraffic, secrets.serverTraffic, secrets.exporter, resumptionSecret);
  }
}

/** Overwrites the secrets that a server's state still holds when its connection is over. */
export function wipeServer(state: ServerState): void {
  if ("found" in state) wipe(state.found?.ready.secret);
  if ("flight" in state) wipeFlight(state.flight);
  if ("answered" in state) wipeFlight(state.answered.flight);
  const secrets =
    "answered" in state ? state.answered.secrets : "connected" in state ? state.connected.secrets : undefined;
  wipe(secrets?.clientTraffic, secrets?.serverTraffic, secrets?.exporter);
}

function wipeFlight({ clientSecret, serverSecret, main }: Flight): void {
  wipe(clientSecret, serverSecret);
  main.wipe();
}
