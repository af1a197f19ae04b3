/** The client's table of states. RFC 9846 Appendix A.1. */
import { fromUtf8 } from "../protocol/bytes.ts";
import { ExtensionType, nameOf } from "../protocol/iana.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { decode } from "../wire/codec.ts";
import { EncryptedExtensions } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import { onClientKeyUpdate, onSessionTicket, updateClientKeys } from "./afterwards.ts";
import { checkCertificateVerify, checkFinished, demandAuthorized, readCertificate } from "./authenticate.ts";
import { answeredType, unsupportedType } from "./certificate-type.ts";
import { certificateBody } from "./certificate-compression.ts";
import { answerRequest, onCertificateRequest, onIdentity, onSignature } from "./client-certificate.ts";
import { complete, ownProof } from "./client-finish.ts";
import {
  onQkdFailure,
  onQkdKey,
  onServerHello,
  onSessionRefusal,
  onSessionVerdict,
  onStart,
} from "./client-hello.ts";
import type { Agreed, ClientInputs, ClientState, ServerIdentity } from "./client-state.ts";
import { peerKey } from "./delegated.ts";
import { illegalParameter, unsupportedExtension } from "./fault.ts";
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
  WAIT_IDENTITY: { identity: onIdentity },
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
  const key = peerKey(shown, "server", settings);
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
  return answerRequest({ agreed, server, serverFinishedHash, request }, settings);
}
