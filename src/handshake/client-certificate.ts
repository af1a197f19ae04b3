/** A client's own certificate, where the server asks for one. RFC 9846 §4.4.2 and §4.5. */
import { schemeOf } from "../crypto/schemes.ts";
import { decode } from "../wire/codec.ts";
import { CertificateRequest } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import {
  algorithmOf,
  certificateMessage,
  certificateVerifyMessage,
  type ChosenCredential,
  chooseCredential,
  NOTHING_SHOWN,
  shownProof,
  signedContent,
} from "./authenticate.ts";
import { checkCompressionOffer, compressCertificate } from "./certificate-compression.ts";
import { complete } from "./client-finish.ts";
import type { Agreed, ClientInputs, ClientState, ServerIdentity } from "./client-state.ts";
import { illegalParameter, missingExtension, nothingInCommon } from "./fault.ts";
import { moveTo, type Effect, type Step } from "./machine.ts";
import type { Credential } from "./question.ts";
import type { ClientSettings } from "./settings.ts";
import { stapledFor } from "./staple.ts";

type In<At extends ClientState["at"]> = Extract<ClientState, { readonly at: At }>;
type ClientStep = Step<ClientState>;

/** A server that has proven itself, and what it asked for. */
type Waiting = Omit<In<"WAIT_IDENTITY">, "at">;

export function onCertificateRequest({ agreed }: In<"WAIT_CERT_CR">, message: HandshakeMessage): ClientStep {
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
  // The names are views of a record that will have gone.
  const certificate_authorities = extensions.certificate_authorities?.map((name) => name.slice());
  const request = { wishes: { ...extensions, certificate_authorities }, compression };
  return moveTo({ at: "WAIT_CERT", agreed, request });
}

/** The server has finished: now the host may choose what it is shown, or ours is. */
export function answerRequest(waiting: Waiting, settings: ClientSettings): ClientStep {
  const { clientCertificateType: certificateType } = waiting.agreed;
  if (!settings.asksForIdentity || certificateType === undefined) {
    return showCertificate(waiting, settings.credentials, settings);
  }
  const { signature_algorithms: offered = [], certificate_authorities: authorities = [] } =
    waiting.request.wishes;
  const signatureSchemes = offered.flatMap((code) => schemeOf(code)?.name ?? []);
  return moveTo(
    { at: "WAIT_IDENTITY", ...waiting },
    {
      do: "ask",
      question: { ask: "choose_client_identity", certificateType, signatureSchemes, authorities },
    },
  );
}

/** WAIT_IDENTITY: the host has chosen; undefined leaves it to us. */
export function onIdentity(
  { agreed, server, serverFinishedHash, request }: In<"WAIT_IDENTITY">,
  identity: ClientInputs["identity"],
  settings: ClientSettings,
): ClientStep {
  const chosen = identity === undefined ? settings.credentials : "chain" in identity ? [identity] : identity;
  return showCertificate({ agreed, server, serverFinishedHash, request }, chosen, settings);
}

/** A client's certificate, or the word that it has none. */
function showCertificate(
  { agreed, server, serverFinishedHash, request }: Waiting,
  credentials: readonly Credential[],
  settings: ClientSettings,
): ClientStep {
  const { transcript, clientCertificateType: type } = agreed;
  const { wishes, compression } = request;
  const types = type === undefined ? [] : [type];
  const own = chooseCredential(credentials, types, wishes, settings.now());
  if (own === undefined && settings.insistsOnCertificate) {
    throw nothingInCommon("certificate_request: the server can verify none of our certificates");
  }
  if (own === undefined) {
    const nothing = certificateMessage([]);
    transcript.add(nothing);
    const effects: Effect[] = [{ do: "send", message: nothing }];
    return complete(agreed, server, serverFinishedHash, effects, NOTHING_SHOWN, settings);
  }
  const { credential, scheme } = own;
  const plain = certificateMessage(credential.chain, stapledFor(credential, wishes));
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

export function onSignature(
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
