/** The client's table of states. RFC 9846 Appendix A.1. */
import { EMPTY, fromUtf8, wipe } from "../protocol/bytes.ts";
import { ExtensionType, nameOf } from "../protocol/iana.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { decode } from "../wire/codec.ts";
import { CertificateRequest, EncryptedExtensions } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import { trafficKeys } from "../schedule/traffic.ts";
import { onClientKeyUpdate, onSessionTicket, updateClientKeys } from "./afterwards.ts";
import {
  algorithmOf,
  certificateMessage,
  certificateVerifyMessage,
  checkCertificateVerify,
  type ChosenCredential,
  checkFinished,
  chooseCredential,
  demandAuthorized,
  finishedMessage,
  NOTHING_SHOWN,
  proofOf,
  readCertificate,
  shownProof,
  signedContent,
  stapledFor,
} from "./authenticate.ts";
import { answeredType, unsupportedType } from "./certificate-type.ts";
import { certificateBody, checkCompressionOffer, compressCertificate } from "./certificate-compression.ts";
import {
  onQkdFailure,
  onQkdKey,
  onServerHello,
  onSessionRefusal,
  onSessionVerdict,
  onStart,
} from "./client-hello.ts";
import type { Agreed, ClientInputs, ClientState, ServerIdentity } from "./client-state.ts";
import type { Authentication, Established } from "./established.ts";
import { illegalParameter, missingExtension, nothingInCommon, unsupportedExtension } from "./fault.ts";
import { moveTo, type Effect, type Machine, type Step } from "./machine.ts";
import type { Verdict } from "./question.ts";
import type { ClientSettings } from "./settings.ts";

type In<At extends ClientState["at"]> = Extract<ClientState, { readonly at: At }>;
type ClientStep = Step<ClientState>;

export const client: Machine<ClientState, ClientInputs, ClientSettings> = {
  START: { start: onStart },
  WAIT_QKD_KEY: { qkd_key: onQkdKey, qkd_failure: onQkdFailure },
  WAIT_SESSION_VERDICT: { verdict: onSessionVerdict, refusal: onSessionRefusal },
  WAIT_SH: { server_hello: onServerHello },
  WAIT_EE: { encrypted_extensions: onEncryptedExtensions },
  WAIT_CERT_CR: {
    certificate_request: onCertificateRequest,
    certificate: onCertificate,
    compressed_certificate: onCertificate,
  },
  WAIT_CERT: { certificate: onCertificate, compressed_certificate: onCertificate },
  WAIT_CV: { certificate_verify: onCertificateVerify },
  WAIT_VERDICT: { verdict: onVerdict },
  WAIT_FINISHED: { finished: onFinished },
  WAIT_SIGNATURE: { signature: onSignature },
  CONNECTED: {
    new_session_ticket: onSessionTicket,
    key_update: onClientKeyUpdate,
    update_keys: updateClientKeys,
  },
};

function onEncryptedExtensions(
  { agreed }: In<"WAIT_EE">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  const { extensions } = decode(EncryptedExtensions, message.body);
  for (const type of extensions.present ?? []) {
    if (!agreed.offer.sent.has(type)) {
      throw unsupportedExtension(`encrypted_extensions: ${nameOf(ExtensionType, type)} was not offered`);
    }
  }
  const alpn = chosenProtocol(extensions.application_layer_protocol_negotiation, settings);
  agreed.transcript.add(message.bytes);
  const next = {
    ...agreed,
    ...(alpn === undefined ? {} : { alpn }),
    ...agreedTypes(agreed, extensions, settings),
  };
  const effects: Effect[] = [];
  const limit = extensions.record_size_limit;
  if (limit !== undefined) {
    if (limit < 64) throw illegalParameter(`encrypted_extensions: record_size_limit ${limit} is below 64`);
    effects.push({ do: "limit_records", maxContentBytes: limit - 1 });
  }
  if (byCertificate(agreed)) return moveTo({ at: "WAIT_CERT_CR", agreed: next }, ...effects);
  const session = agreed.psk?.session;
  const server: ServerIdentity = {
    certificateType: session?.peerCertificateType ?? "X509",
    chain: session?.peerChain ?? [],
    verdict: agreed.psk?.verdict ?? { authorized: session?.authorized ?? true },
  };
  return moveTo({ at: "WAIT_FINISHED", agreed: next, request: undefined, server }, ...effects);
}

const byCertificate = ({ psk }: Agreed): boolean =>
  psk === undefined || (psk.session === undefined && psk.withCertificate === true);

/** The types of certificate that the server chose. Throws a TrustError (unsupported_certificate). RFC 7250 §4.2. */
function agreedTypes(
  agreed: Agreed,
  { server_certificate_type: theirs, client_certificate_type: ours }: EncryptedExtensions["extensions"],
  settings: ClientSettings,
): Pick<Agreed, "serverCertificateType" | "clientCertificateType"> {
  const serverCertificateType = answeredType(theirs, settings.serverCertificateTypes);
  // Where the server shows nothing and says nothing, there is nothing to agree on.
  if (serverCertificateType === undefined && (theirs !== undefined || byCertificate(agreed))) {
    throw unsupportedType("encrypted_extensions: server_certificate_type was not offered");
  }
  const clientCertificateType = answeredType(ours, settings.clientCertificateTypes);
  if (clientCertificateType === undefined && ours !== undefined) {
    throw unsupportedType("encrypted_extensions: client_certificate_type was not offered");
  }
  return {
    ...(serverCertificateType === undefined ? {} : { serverCertificateType }),
    ...(clientCertificateType === undefined ? {} : { clientCertificateType }),
  };
}

function chosenProtocol(
  answer: readonly Uint8Array[] | undefined,
  settings: ClientSettings,
): string | undefined {
  if (answer === undefined) return undefined;
  const names = answer.map((name) => settings.alpn.find((ours) => ours === textOf(name)));
  if (names.length !== 1 || names[0] === undefined) {
    throw illegalParameter("encrypted_extensions: the application protocol was not offered");
  }
  return names[0];
}

function textOf(name: Uint8Array): string | undefined {
  try {
    return fromUtf8(name);
  } catch {
    return undefined;
  }
}

function onCertificateRequest(
  { agreed }: In<"WAIT_CERT_CR">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  const { certificate_request_context: context, extensions } = decode(CertificateRequest, message.body);
  if (context.length > 0) {
    throw illegalParameter("certificate_request: the context is not empty during the handshake");
  }
  if (extensions.signature_algorithms === undefined) {
    throw missingExtension("certificate_request: signature_algorithms");
  }
  const compression = extensions.compress_certificate;
  checkCompressionOffer(compression, "certificate_request");
  agreed.transcript.add(message.bytes);
  const type = agreed.clientCertificateType;
  const own = chooseCredential(settings.credentials, type === undefined ? [] : [type], extensions);
  if (own === undefined && settings.insistsOnCertificate) {
    throw nothingInCommon("certificate_request: the server can verify none of our certificates");
  }
  const stapled = own === undefined ? {} : stapledFor(own.credential, extensions);
  return moveTo({ at: "WAIT_CERT", agreed, request: { own, compression, stapled } });
}

function onCertificate(
  state: In<"WAIT_CERT_CR"> | In<"WAIT_CERT">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  const type = state.agreed.serverCertificateType ?? "X509";
  const shown = readCertificate(certificateBody(message, settings), type, settings, state.agreed.offer.sent);
  const [leaf] = shown.chain;
  if (leaf === undefined) {
    throw new ProtocolError("ERR_TLS_DECODE", "decode_error", "certificate: the server sent none");
  }
  const key = settings.publicKeyOf(leaf, type);
  state.agreed.transcript.add(message.bytes);
  const request = state.at === "WAIT_CERT" ? state.request : undefined;
  return moveTo({ at: "WAIT_CV", agreed: state.agreed, request, shown, key });
}

function onCertificateVerify(
  { agreed, request, shown, key }: In<"WAIT_CV">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  const proven = checkCertificateVerify(message.body, "server", key, agreed.transcript.hash(), settings);
  agreed.transcript.add(message.bytes);
  return moveTo(
    { at: "WAIT_VERDICT", agreed, request, shown, proven },
    {
      do: "ask",
      question: {
        ask: "verify_peer",
        purpose: "server",
        ...shown,
        ...(settings.serverName === undefined ? {} : { name: settings.serverName }),
      },
    },
  );
}

function onVerdict(
  { agreed, request, shown, proven }: In<"WAIT_VERDICT">,
  verdict: Verdict,
  settings: ClientSettings,
): ClientStep {
  if (!settings.acceptsUnverified) demandAuthorized(verdict);
  return moveTo({
    at: "WAIT_FINISHED",
    agreed,
    request,
    server: { ...shown, scheme: proven.scheme, verdict },
  });
}

function onFinished(
  { agreed: before, request, server }: In<"WAIT_FINISHED">,
  message: HandshakeMessage,
  settings: ClientSettings,
): ClientStep {
  const { transcript, hash } = before;
  checkFinished(message.body, hash, before.serverSecret, transcript.hash());
  const agreed = { ...before, serverFinished: message.body.slice() };
  transcript.add(message.bytes);
  const serverFinishedHash = transcript.hash();
  if (request === undefined) {
    return complete(
      agreed,
      server,
      serverFinishedHash,
      [],
      { by: ownProof(agreed, settings), certificateType: "X509", chain: [] },
      settings,
    );
  }
  const { own, compression, stapled } = request;
  if (own === undefined) {
    const nothing = certificateMessage([]);
    transcript.add(nothing);
    const effects: Effect[] = [{ do: "send", message: nothing }];
    return complete(agreed, server, serverFinishedHash, effects, NOTHING_SHOWN, settings);
  }
  const { credential, scheme } = own;
  const plain = certificateMessage(credential.chain, stapled);
  const certificate = compressCertificate(plain, credential, compression, settings);
  transcript.add(certificate);
  const content = signedContent("client", transcript.hash());
  const algorithm = algorithmOf(scheme);
  const send: Effect = { do: "send", message: certificate };
  if (credential.key === "external") {
    const next: ClientState = { at: "WAIT_SIGNATURE", agreed, server, own, serverFinishedHash };
    return moveTo(next, send, {
      do: "ask",
      question: { ask: "sign", algorithm, message: content, credential },
    });
  }
  const signature = credential.key.sign(algorithm, content);
  return signed(agreed, server, serverFinishedHash, own, signature, [send], settings);
}

function onSignature(
  { agreed, server, own, serverFinishedHash }: In<"WAIT_SIGNATURE">,
  signature: Uint8Array,
  settings: ClientSettings,
): ClientStep {
  return signed(agreed, server, serverFinishedHash, own, signature, [], settings);
}

function signed(
  agreed: Agreed,
  server: ServerIdentity,
  serverFinishedHash: Uint8Array,
  { credential, scheme }: ChosenCredential,
  signature: Uint8Array,
  before: readonly Effect[],
  settings: ClientSettings,
): ClientStep {
  const verify = certificateVerifyMessage(scheme, signature);
  agreed.transcript.add(verify);
  const effects: Effect[] = [...before, { do: "send", message: verify }];
  return complete(agreed, server, serverFinishedHash, effects, shownProof(credential, scheme), settings);
}

/** The client's Finished, the application keys, and the connection. */
function complete(
  agreed: Agreed,
  server: ServerIdentity,
  serverFinishedHash: Uint8Array,
  before: readonly Effect[],
  local: Authentication,
  settings: ClientSettings,
): ClientStep {
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
function ownProof({ psk }: Agreed, settings: ClientSettings): Authentication["by"] {
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
