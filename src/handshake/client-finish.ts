/** The end of a client's handshake: its Finished, the application keys, and what was agreed on. */
import { EMPTY, wipe } from "../protocol/bytes.ts";
import { trafficKeys } from "../schedule/traffic.ts";
import { finishedMessage, proofOf } from "./authenticate.ts";
import type { Agreed, ClientState, ServerIdentity } from "./client-state.ts";
import type { Authentication, Established } from "./established.ts";
import { moveTo, type Effect, type Step } from "./machine.ts";
import type { ClientSettings } from "./settings.ts";

/** The client's Finished, the application keys, and the connection. */
export function complete(
  agreed: Agreed,
  server: ServerIdentity,
  serverFinishedHash: Uint8Array,
  before: readonly Effect[],
  local: Authentication,
  settings: ClientSettings,
): Step<ClientState> {
  const { suite, hash, transcript } = agreed;
  const finished = finishedMessage(hash, agreed.clientSecret, transcript.hash());
  transcript.add(finished);
  const main = agreed.handshakeSecret.intoMain();
  const secrets = {
    clientTraffic: main.clientTraffic(serverFinishedHash),
    serverTraffic: main.serverTraffic(serverFinishedHash),
    exporter: main.exporter(serverFinishedHash),
  };
  const resumptionSecret = main.resumption(transcript.hash());
  main.wipe();
  wipe(agreed.clientSecret, agreed.serverSecret);
  const established = describe(agreed, server, local, finished.subarray(4), secrets, settings);
  const connected = {
    suite,
    hash,
    secrets,
    resumptionSecret,
    serverName: settings.serverName ?? "",
    alpn: agreed.alpn ?? "",
    authorized: server.verdict.authorized,
    peerCertificateType: server.certificateType,
    peerChain: server.chain,
    // A delegated credential is checked anew for each connection. RFC 9345 §4.1.3.
    resumable: server.delegatedCredential === undefined,
  };
  return moveTo(
    { at: "CONNECTED", connected },
    ...before,
    { do: "send", message: finished },
    { do: "log_secret", label: "CLIENT_TRAFFIC_SECRET_0", secret: secrets.clientTraffic },
    { do: "log_secret", label: "SERVER_TRAFFIC_SECRET_0", secret: secrets.serverTraffic },
    { do: "log_secret", label: "EXPORTER_SECRET", secret: secrets.exporter },
    { do: "write_keys", keys: trafficKeys(settings.provider, suite, secrets.clientTraffic) },
    { do: "read_keys", keys: trafficKeys(settings.provider, suite, secrets.serverTraffic) },
    { do: "connected", established },
  );
}

/** How a side without a certificate proved itself: by the PSK it shares, or not at all. */
export function ownProof({ psk }: Agreed, settings: ClientSettings): Authentication["by"] {
  if (psk === undefined || (psk.qkd !== undefined && settings.qkd?.authenticates !== true)) return "none";
  return psk.session === undefined ? "psk" : "resumption";
}

function describe(
  agreed: Agreed,
  server: ServerIdentity,
  local: Authentication,
  ownFinished: Uint8Array,
  secrets: Established["secrets"],
  settings: ClientSettings,
): Established {
  const { psk } = agreed;
  const { scheme, verdict, ...shown } = server;
  const identity = psk !== undefined && psk.session === undefined ? { pskIdentity: psk.ready.identity } : {};
  return {
    role: "client",
    suite: agreed.suite,
    ...(agreed.group === undefined ? {} : { group: agreed.group }),
    resumed: psk?.session !== undefined,
    ...(psk?.qkd === undefined ? {} : { qkd: psk.qkd }),
    ...(psk !== undefined && psk.qkd === undefined && psk.session === undefined
      ? { externalPsk: psk.ready.identity }
      : {}),
    ...(settings.serverName === undefined ? {} : { serverName: settings.serverName }),
    ...(agreed.alpn === undefined ? {} : { alpn: agreed.alpn }),
    local: local.by === "psk" ? { ...local, ...identity } : local,
    peer: {
      ...shown,
      by: scheme === undefined ? ownProof(agreed, settings) : proofOf(shown.certificateType),
      ...(scheme === undefined ? identity : { scheme }),
    },
    verdict,
    policy: settings.policy,
    degraded: agreed.degraded,
    retried: agreed.retried,
    secrets,
    finished: { local: ownFinished, peer: agreed.serverFinished ?? EMPTY },
  };
}
