import { equal, wipe } from "../protocol/bytes.ts";
import { KeySourceError, ProtocolError, TrustError } from "../protocol/errors.ts";
import { ExtensionType, nameOf, TLS12, TLS13 } from "../protocol/iana.ts";
import {
  decodeOlderServerHello,
  decodeServerHello,
  warnsOfDowngrade,
  type HelloRetryRequest,
  type ServerHello,
} from "../wire/hello.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import type { Suite } from "../crypto/suites.ts";
import { EarlySecret } from "../schedule/stages.ts";
import { trafficKeys } from "../schedule/traffic.ts";
import type { Agreed, ClientInputs, ClientState, Excuses } from "./client-state.ts";
import { illegalParameter, missingExtension, unsupportedExtension, wrongVersion } from "./fault.ts";
import { moveTo, type Effect, type Step } from "./machine.ts";
import { shortKey } from "./question.ts";
import {
  firstOffer,
  qkdPsks,
  secondOffer,
  sessionPsk,
  staticPsks,
  wipePsks,
  type Offer,
  type OfferedPsk,
} from "./offer.ts";
import { allowsExchange, enforce, missingLeg } from "./policy.ts";
import type { ClientSettings } from "./settings.ts";

type In<At extends ClientState["at"]> = Extract<ClientState, { readonly at: At }>;
type ClientStep = Step<ClientState>;

/** START: asks for the QKD key that the hello will announce, or says hello without one. */
export function onStart(_: In<"START">, __: true, settings: ClientSettings): ClientStep {
  if (settings.qkd === undefined || settings.policy.qkd === "off") {
    if (settings.policy.qkd === "required") {
      throw missingLeg(settings.policy, "qkd", "no key source was given");
    }
    return sayHello(settings, [], { qkd: { reason: "no key source was given" } });
  }
  return moveTo(
    { at: "WAIT_QKD_KEY" },
    { do: "ask", question: { ask: "draw_qkd_key", peer: settings.qkd.peer } },
  );
}

export function onQkdKey(
  _: In<"WAIT_QKD_KEY">,
  delivered: ClientInputs["qkd_key"],
  settings: ClientSettings,
): ClientStep {
  const tooShort = shortKey(delivered);
  if (tooShort !== undefined) return onQkdFailure(_, tooShort, settings);
  if (delivered.simulated && settings.policy.production) {
    wipe(delivered.key);
    throw new TrustError(
      "ERR_POLICY_SIMULATED_KEY",
      "insufficient_security",
      "the QKD key comes from a simulator, which production mode refuses",
      { missing: "qkd" },
    );
  }
  return sayHello(settings, qkdPsks(settings, delivered), {});
}

/** WAIT_QKD_KEY: the source failed; what that means is the policy's to say. */
export function onQkdFailure(
  _: In<"WAIT_QKD_KEY">,
  error: ClientInputs["qkd_failure"],
  settings: ClientSettings,
): ClientStep {
  if (error instanceof KeySourceError && error.fatal) throw error;
  if (settings.policy.qkd === "required") throw missingLeg(settings.policy, "qkd", error.message, error);
  const code = error instanceof KeySourceError ? error.code : undefined;
  return sayHello(settings, [], { qkd: { reason: error.message, ...(code === undefined ? {} : { code }) } });
}

/** A QKD key is fresh for each connection, so a stored session is offered only without one. */
function sayHello(settings: ClientSettings, qkd: readonly OfferedPsk[], excuses: Excuses): ClientStep {
  const resumes =
    qkd.length === 0 && (settings.authentication !== "certificate" || settings.psks.length === 0);
  const session = resumes ? sessionPsk(settings) : undefined;
  const chain = session?.session?.peerChain ?? [];
  if (session === undefined || chain.length === 0) {
    return offerPsks(settings, [...(session === undefined ? [] : [session]), ...qkd], excuses);
  }
  const name = settings.serverName === undefined ? {} : { name: settings.serverName };
  const certificateType = session.session?.peerCertificateType ?? "X509";
  const shown = { certificateType, chain, ...name };
  return moveTo(
    { at: "WAIT_SESSION_VERDICT", session, excuses },
    { do: "ask", question: { ask: "verify_peer", purpose: "server", ...shown, resumes: true } },
  );
}

function offerPsks(settings: ClientSettings, psks: readonly OfferedPsk[], excuses: Excuses): ClientStep {
  const { offer, message } = firstOffer(settings, [...psks, ...staticPsks(settings)]);
  return moveTo({ at: "WAIT_SH", offer, retried: false, excuses }, { do: "send", message });
}

/** WAIT_SESSION_VERDICT: a certificate that was good enough once may have expired, and what we trust may have changed. */
export function onSessionVerdict(
  state: In<"WAIT_SESSION_VERDICT">,
  { authorized, ...why }: ClientInputs["verdict"],
  settings: ClientSettings,
): ClientStep {
  const { session, excuses } = state;
  if (!authorized && !settings.acceptsUnverified) return onSessionRefusal(state, undefined, settings);
  const verdict = { ...why, authorized: authorized && session.session?.authorized === true };
  return offerPsks(settings, [{ ...session, verdict }], excuses);
}

/** WAIT_SESSION_VERDICT: the server has to prove itself anew. */
export function onSessionRefusal(
  { session, excuses }: In<"WAIT_SESSION_VERDICT">,
  _: Error | undefined,
  settings: ClientSettings,
): ClientStep {
  wipePsks([session]);
  return offerPsks(settings, [], excuses);
}

/** WAIT_SH: ServerHello or HelloRetryRequest. RFC 9846 §4.2.3 and §4.2.4. */
export function onServerHello(
  state: In<"WAIT_SH">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  refuseOlder(message.body);
  const decoded = decodeServerHello(message.body);
  const suite = checkCommon(decoded.hello, state.offer, settings);
  return decoded.retry
    ? retryHello(state, decoded.hello, message, suite, settings)
    : settle(state, decoded.hello, message, suite, settings);
}

/** Before the rest is looked at. A server that warns of a downgrade was made to believe that we speak nothing newer. RFC 9846 §4.3.1, §4.2.3. */
function refuseOlder(body: Uint8Array): void {
  const older = decodeOlderServerHello(body);
  if (older === undefined) return;
  if (warnsOfDowngrade(older.random)) {
    throw illegalParameter("server_hello: an older version, and a random that warns of a downgrade");
  }
  throw wrongVersion("server_hello: the server does not speak TLS 1.3");
}

/** What ServerHello and HelloRetryRequest have in common. */
function checkCommon(hello: ServerHello | HelloRetryRequest, offer: Offer, settings: ClientSettings): Suite {
  const version = hello.extensions.supported_versions;
  if (hello.legacy_version !== TLS12) throw wrongVersion("server_hello: legacy_version is not 0x0303");
  if (version !== TLS13) {
    throw illegalParameter(`server_hello: version 0x${version?.toString(16)} was not offered`);
  }
  if (!equal(hello.legacy_session_id_echo, offer.hello.legacy_session_id)) {
    throw illegalParameter("server_hello: legacy_session_id_echo is not ours");
  }
  if (hello.legacy_compression_method !== 0) throw illegalParameter("server_hello: compression was chosen");
  for (const type of hello.extensions.present ?? []) {
    const isCookie = type === ExtensionType.cookie;
    if (!offer.sent.has(type) && !isCookie) {
      throw unsupportedExtension(`server_hello: ${nameOf(ExtensionType, type)} was not offered`);
    }
  }
  const suite = settings.suites.find(({ code }) => code === hello.cipher_suite);
  if (suite === undefined) throw illegalParameter("server_hello: the cipher suite was not offered");
  if (offer.retriedSuite !== undefined && offer.retriedSuite !== suite.code) {
    throw illegalParameter("server_hello: another cipher suite than in the HelloRetryRequest");
  }
  return suite;
}

function retryHello(
  state: In<"WAIT_SH">,
  retry: HelloRetryRequest,
  message: HandshakeMessage,
  suite: Suite,
  settings: ClientSettings,
): ClientStep {
  if (state.retried) {
    throw new ProtocolError("ERR_TLS_UNEXPECTED_MESSAGE", "unexpected_message", "a second HelloRetryRequest");
  }
  const { key_share: group, cookie } = retry.extensions;
  if (group === undefined && cookie === undefined) {
    throw illegalParameter("hello_retry_request: it would change nothing");
  }
  if (group !== undefined) {
    if (!settings.groups.some(({ code }) => code === group)) {
      throw illegalParameter("hello_retry_request: the group was not offered");
    }
    if (state.offer.exchanges.has(group)) {
      throw illegalParameter("hello_retry_request: the group already had a share");
    }
  }
  state.offer.transcript.foldRetry(settings.provider.hash(suite.hash));
  state.offer.transcript.add(message.bytes.slice());
  const { offer, message: second } = secondOffer(settings, state.offer, retry);
  const effects: Effect[] = [];
  if (settings.middleboxCompatibility) effects.push({ do: "send_change_cipher_spec" });
  effects.push({ do: "send", message: second });
  return moveTo({ at: "WAIT_SH", offer, retried: true, excuses: state.excuses }, ...effects);
}

/** Takes ServerHello's choices, enforces the policy on them and starts to encrypt. */
function settle(
  state: In<"WAIT_SH">,
  hello: ServerHello,
  message: HandshakeMessage,
  suite: Suite,
  settings: ClientSettings,
): ClientStep {
  const { offer } = state;
  const psk = chosenPsk(hello, offer, suite, settings);
  const { group, secret } = chosenExchange(hello, offer, psk, settings);
  const degraded = enforce(
    settings.policy,
    {
      ecdh: group?.ecdh ?? false,
      mlkem: group?.mlkem ?? false,
      qkd: psk?.qkd !== undefined,
      simulated: psk?.qkd?.simulated ?? false,
    },
    { qkd: { reason: "the peer did not take the QKD key" }, ...state.excuses },
  );
  if (psk === undefined && settings.authentication === "psk") {
    const message =
      "the peer took none of the keys that it was offered, and nothing else authenticates it here";
    throw new TrustError("ERR_PSK_REFUSED", "handshake_failure", message);
  }
  const hash = settings.provider.hash(suite.hash);
  const { transcript } = offer;
  transcript.select(hash);
  transcript.add(message.bytes);
  const handshakeSecret = new EarlySecret(hash, psk?.ready.secret).intoHandshake(secret);
  wipePsks(offer.psks);
  const helloHash = transcript.hash();
  const clientSecret = handshakeSecret.clientTraffic(helloHash);
  const serverSecret = handshakeSecret.serverTraffic(helloHash);
  const agreed: Agreed = {
    suite,
    hash,
    ...(group === undefined ? {} : { group }),
    ...(psk === undefined ? {} : { psk }),
    degraded,
    retried: state.retried,
    offer,
    transcript,
    handshakeSecret,
    clientSecret,
    serverSecret,
  };
  const effects: Effect[] = [
    { do: "log_secret", label: "CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret: clientSecret },
    { do: "log_secret", label: "SERVER_HANDSHAKE_TRAFFIC_SECRET", secret: serverSecret },
    { do: "read_keys", keys: trafficKeys(settings.provider, suite, serverSecret) },
  ];
  if (settings.middleboxCompatibility && !state.retried) effects.push({ do: "send_change_cipher_spec" });
  effects.push({ do: "write_keys", keys: trafficKeys(settings.provider, suite, clientSecret) });
  return moveTo({ at: "WAIT_EE", agreed }, ...effects);
}

function chosenPsk(
  hello: ServerHello,
  offer: Offer,
  suite: Suite,
  settings: ClientSettings,
): OfferedPsk | undefined {
  const { pre_shared_key: index, tls_cert_with_extern_psk: withCertificate } = hello.extensions;
  if (index === undefined) {
    if (withCertificate) throw illegalParameter("server_hello: tls_cert_with_extern_psk without a PSK");
    return undefined;
  }
  const psk = offer.psks[index];
  if (psk === undefined) throw illegalParameter(`server_hello: selected_identity ${index} was not offered`);
  if (psk.ready.hash !== suite.hash) {
    throw illegalParameter("server_hello: the hash of the suite is not that of the PSK");
  }
  if (settings.authentication === "certificate" && psk.session === undefined && !withCertificate) {
    throw new TrustError(
      "ERR_CERT_REQUIRED",
      "certificate_required",
      "the peer took the key without a certificate, and the key alone does not authenticate it here",
    );
  }
  return withCertificate ? { ...psk, withCertificate } : psk;
}

function chosenExchange(
  hello: ServerHello,
  offer: Offer,
  psk: OfferedPsk | undefined,
  settings: ClientSettings,
): { readonly group?: Agreed["group"]; readonly secret?: Uint8Array } {
  const entry = hello.extensions.key_share;
  if (entry === undefined) {
    if (psk === undefined) throw missingExtension("server_hello: neither key_share nor pre_shared_key");
    // RFC 9973 §5.1 leaves no choice of mode beside a certificate.
    if (!settings.pskKe || hello.extensions.tls_cert_with_extern_psk) {
      throw illegalParameter("server_hello: psk_ke was not offered");
    }
    return {};
  }
  const exchange = offer.exchanges.get(entry.group);
  const group = settings.groups.find(({ code }) => code === entry.group);
  if (exchange === undefined || group === undefined || !allowsExchange(settings.policy, group)) {
    throw illegalParameter("server_hello: key_share of a group that had no share");
  }
  return { group, secret: exchange.complete(entry.key_exchange) };
}
