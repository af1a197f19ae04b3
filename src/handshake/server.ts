/** The server's table of states. RFC 9846 Appendix A.2. */
import { wipe } from "../protocol/bytes.ts";
import { TrustError } from "../protocol/errors.ts";
import { ExtensionType } from "../protocol/iana.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import { Transcript } from "../schedule/transcript.ts";
import { trafficKeys } from "../schedule/traffic.ts";
import { onServerKeyUpdate, sessionTickets, updateServerKeys } from "./afterwards.ts";
import {
  checkCertificateVerify,
  checkFinished,
  demandAuthorized,
  NOTHING_SHOWN,
  proofOf,
  readCertificate,
  shownProof,
} from "./authenticate.ts";
import { certificateBody } from "./certificate-compression.ts";
import { checkSecondHello, chooseGroup, readHello, retryMessage } from "./choose.ts";
import { peerKey } from "./delegated.ts";
import type { Authentication, Established } from "./established.ts";
import { illegalParameter, nothingInCommon } from "./fault.ts";
import { moveTo, type Effect, type Machine, type Step } from "./machine.ts";
import { checkKeptPsks, suiteForPsks } from "./psk-hash.ts";
import type { Verdict } from "./question.ts";
import { onOcspResponse, onServerSignature, takesTickets } from "./server-flight.ts";
import {
  onHostPsk,
  onRedeemedKey,
  onRedeemFailure,
  onStoredTicket,
  onTicketRefusal,
  onTicketVerdict,
  searchPsk,
} from "./server-psk.ts";
import type {
  Answered,
  ClientIdentity,
  Draft,
  ReceivedHello,
  ServerInputs,
  ServerState,
} from "./server-state.ts";
import type { ServerSettings } from "./settings.ts";

type In<At extends ServerState["at"]> = Extract<ServerState, { readonly at: At }>;
type ServerStep = Step<ServerState>;

export const server: Machine<ServerState, ServerInputs, ServerSettings> = {
  START: { client_hello: onClientHello },
  WAIT_IDENTITY: { identity: onIdentity },
  WAIT_QKD_KEY: { qkd_key: onRedeemedKey, qkd_failure: onRedeemFailure },
  WAIT_TICKET: { ticket: onStoredTicket },
  WAIT_TICKET_VERDICT: { verdict: onTicketVerdict, refusal: onTicketRefusal },
  WAIT_PSK: { psk: onHostPsk },
  WAIT_OCSP_RESPONSE: { ocsp_response: onOcspResponse },
  WAIT_SIGNATURE: { signature: onServerSignature },
  WAIT_CERT: { certificate: onCertificate, compressed_certificate: onCertificate },
  WAIT_CV: { certificate_verify: onCertificateVerify },
  WAIT_VERDICT: { verdict: onVerdict },
  WAIT_FINISHED: { finished: onFinished },
  CONNECTED: { key_update: onServerKeyUpdate, update_keys: updateServerKeys },
};

/** The state that a server begins in. */
export const serverStart = (): ServerState => ({ at: "START", transcript: new Transcript() });

function onClientHello(
  { retry, transcript }: In<"START">,
  message: HandshakeMessage,
  settings: ServerSettings,
): ServerStep {
  const received = readHello(message);
  if (retry !== undefined) {
    checkSecondHello(received, retry);
    checkKeptPsks(received, retry, settings);
  }
  const suite = retry?.suite ?? suiteForPsks(received, settings);
  if (suite === undefined) throw nothingInCommon("client_hello: no cipher suite in common");
  const choice = chooseGroup(received.hello, settings);
  const missing = choice.group !== undefined && !choice.shared;
  if (retry === undefined && (missing || settings.demandsCookie)) {
    return askAgain(received, suite, missing ? choice.group : undefined, transcript, settings);
  }
  if (missing) throw illegalParameter("client_hello: the key share asked for is missing");
  const draft: Draft = {
    received,
    suite,
    ...(choice.group === undefined ? {} : { group: choice.group }),
    retried: retry !== undefined,
    transcript,
    excuses: {},
  };
  if (settings.asksForIdentity && received.serverName !== undefined) {
    return moveTo(
      { at: "WAIT_IDENTITY", draft },
      { do: "ask", question: { ask: "choose_identity", serverName: received.serverName } },
    );
  }
  return searchPsk(draft, { stage: "qkd", next: 0 }, settings);
}

/** HelloRetryRequest with a cookie that this connection alone knows. RFC 9846 §4.2.4 and §4.3.2. */
function askAgain(
  received: ReceivedHello,
  suite: Draft["suite"],
  group: Draft["group"],
  transcript: Transcript,
  settings: ServerSettings,
): ServerStep {
  const cookie = settings.provider.random(32).slice();
  const message = retryMessage(received.hello, suite, group?.code, cookie);
  transcript.add(received.bytes);
  transcript.foldRetry(settings.provider.hash(suite.hash));
  transcript.add(message);
  const effects: Effect[] = [{ do: "send", message }];
  if (received.hello.legacy_session_id.length > 0) effects.push({ do: "send_change_cipher_spec" });
  if (received.hello.extensions.early_data)
    effects.push({ do: "skip_early_data", until: "second_client_hello" });
  const retry = { suite, ...(group === undefined ? {} : { group }), cookie, first: received };
  return moveTo({ at: "START", retry, transcript }, ...effects);
}

function onIdentity(
  { draft }: In<"WAIT_IDENTITY">,
  identity: ServerInputs["identity"],
  settings: ServerSettings,
): ServerStep {
  const chosen =
    identity === undefined ? draft : { ...draft, credentials: "chain" in identity ? [identity] : identity };
  return searchPsk(chosen, { stage: "qkd", next: 0 }, settings);
}

function onCertificate(
  { answered }: In<"WAIT_CERT">,
  message: HandshakeMessage,
  settings: ServerSettings,
): ServerStep {
  const type = answered.flight.requestedCertificateType ?? "X509";
  const shown = readCertificate(certificateBody(message, settings), type, settings, askedOf(settings));
  answered.flight.draft.transcript.add(message.bytes);
  const [leaf] = shown.chain;
  if (leaf === undefined) {
    if (settings.clientAuth === "require") {
      throw new TrustError("ERR_CERT_REQUIRED", "certificate_required", "the client sent no certificate");
    }
    return moveTo({ at: "WAIT_FINISHED", answered, client: { ...shown, verdict: { authorized: false } } });
  }
  return moveTo({ at: "WAIT_CV", answered, shown, key: peerKey(shown, "client", settings) });
}

/** What our CertificateRequest asks to see beside a client's certificate. */
const askedOf = (settings: ServerSettings): ReadonlySet<number> =>
  new Set([
    ...(settings.requestSCT ? [ExtensionType.signed_certificate_timestamp] : []),
    ...(settings.acceptDelegatedCredentials ? [ExtensionType.delegated_credential] : []),
  ]);

function onCertificateVerify(
  { answered, shown, key }: In<"WAIT_CV">,
  message: HandshakeMessage,
  settings: ServerSettings,
): ServerStep {
  const { transcript } = answered.flight.draft;
  const proven = checkCertificateVerify(message.body, "client", key, transcript.hash(), settings);
  transcript.add(message.bytes);
  return moveTo(
    { at: "WAIT_VERDICT", answered, shown, proven },
    { do: "ask", question: { ask: "verify_peer", purpose: "client", ...shown } },
  );
}

function onVerdict(
  { answered, shown, proven }: In<"WAIT_VERDICT">,
  verdict: Verdict,
  settings: ServerSettings,
): ServerStep {
  if (settings.clientAuth === "require") demandAuthorized(verdict);
  return moveTo({ at: "WAIT_FINISHED", answered, client: { ...shown, scheme: proven.scheme, verdict } });
}

function onFinished(
  { answered, client }: In<"WAIT_FINISHED">,
  message: HandshakeMessage,
  settings: ServerSettings,
): ServerStep {
  const { flight, secrets } = answered;
  const { draft, hash, main } = flight;
  checkFinished(message.body, hash, flight.clientSecret, draft.transcript.hash());
  draft.transcript.add(message.bytes);
  wipe(flight.clientSecret);
  const effects: Effect[] = [
    { do: "read_keys", keys: trafficKeys(settings.provider, draft.suite, secrets.clientTraffic) },
    { do: "connected", established: describe(answered, client, message.body.slice(), settings) },
  ];
  // Where QKD is required each connection takes a fresh key, so a ticket would never be accepted.
  // A delegated credential is checked anew for each connection. RFC 9345 §4.1.3.
  const resumable = settings.policy.qkd !== "required" && client.delegatedCredential === undefined;
  if (settings.tickets !== undefined && resumable && takesTickets(draft)) {
    const resumptionSecret = main.resumption(draft.transcript.hash());
    const facts = {
      serverName: draft.received.serverName ?? "",
      alpn: flight.alpn ?? "",
      sinceMs: flight.psk?.ticket?.sinceMs ?? settings.now(),
      authorized: client.verdict.authorized,
      peerCertificateType: client.certificateType,
      peerChain: client.chain,
      resumed: flight.psk?.ticket !== undefined,
    };
    effects.push(...sessionTickets(settings, draft.suite, resumptionSecret, facts));
    wipe(resumptionSecret);
  }
  main.wipe();
  return moveTo({ at: "CONNECTED", connected: { suite: draft.suite, hash, secrets } }, ...effects);
}

function describe(
  { flight, secrets, finished }: Answered,
  client: ClientIdentity,
  clientFinished: Uint8Array,
  settings: ServerSettings,
): Established {
  const { draft, psk, own } = flight;
  const { scheme, verdict, ...shown } = client;
  const external = psk !== undefined && psk.ticket === undefined;
  const identity = external ? { pskIdentity: psk.ready.identity } : {};
  const byPsk = pskProof(flight, settings);
  return {
    role: "server",
    suite: draft.suite,
    ...(draft.group === undefined ? {} : { group: draft.group }),
    resumed: psk?.ticket !== undefined,
    ...(psk?.ticketAgeSkewMs === undefined ? {} : { ticketAgeSkewMs: psk.ticketAgeSkewMs }),
    ...(psk?.qkd === undefined ? {} : { qkd: psk.qkd }),
    ...(external && psk.qkd === undefined ? { externalPsk: psk.ready.identity } : {}),
    ...(draft.received.serverName === undefined ? {} : { serverName: draft.received.serverName }),
    ...(flight.alpn === undefined ? {} : { alpn: flight.alpn }),
    local:
      own === undefined
        ? { ...NOTHING_SHOWN, by: byPsk, ...identity }
        : shownProof(own.credential, own.scheme),
    peer: {
      ...shown,
      ...(scheme === undefined
        ? { by: byPsk, ...(byPsk === "psk" ? identity : {}) }
        : { by: proofOf(shown.certificateType), scheme }),
    },
    verdict,
    policy: settings.policy,
    degraded: flight.degraded,
    retried: draft.retried,
    secrets,
    finished: { local: finished, peer: clientFinished },
  };
}

/** What a PSK proves: a ticket and a static PSK the holder, a QKD key only where it is meant to. */
function pskProof({ psk }: Answered["flight"], settings: ServerSettings): Authentication["by"] {
  if (psk === undefined) return "none";
  if (psk.ticket !== undefined) return "resumption";
  return psk.qkd === undefined || settings.qkd?.authenticates === true ? "psk" : "none";
}
