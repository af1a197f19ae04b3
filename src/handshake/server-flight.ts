/** A server's first flight, from ServerHello to Finished. RFC 9846 §2 and §4.2.3. */
import { EMPTY, utf8, wipe } from "../protocol/bytes.ts";
import { CertificateType, PskKeyExchangeMode, SignatureScheme, TLS12, TLS13 } from "../protocol/iana.ts";
import { CertificateRequest, EncryptedExtensions, encodeHandshake } from "../wire/handshake.ts";
import { ServerHello } from "../wire/hello.ts";
import { EarlySecret } from "../schedule/stages.ts";
import { trafficKeys } from "../schedule/traffic.ts";
import {
  algorithmOf,
  certificateMessage,
  certificateVerifyMessage,
  type ChosenCredential,
  finishedMessage,
  signedContent,
  typeOf,
} from "./authenticate.ts";
import { typesOf } from "./certificate-type.ts";
import { compressCertificate, compressionOffer } from "./certificate-compression.ts";
import { delegationOffer } from "./delegated.ts";
import { reservedExtension, reservedValue } from "./grease.ts";
import { moveTo, type Effect, type Step } from "./machine.ts";
import { asksForOcsp, type Choices, choose } from "./server-choices.ts";
import type { Draft, Flight, FoundPsk, ServerInputs, ServerState } from "./server-state.ts";
import type { ServerSettings } from "./settings.ts";
import { stapledFor, withHostsWord } from "./staple.ts";

type ServerStep = Step<ServerState>;

/**
 * Everything is found: chooses the rest and writes the flight, or as much of it as goes before an answer of the host.
 * A pre-shared key of which nothing comes is overwritten.
 */
export function answer(draft: Draft, psk: FoundPsk | undefined, settings: ServerSettings): ServerStep {
  try {
    const choices = choose(draft, psk, settings);
    const { own } = choices;
    if (own !== undefined && asksForOcsp(draft, own, settings)) {
      return moveTo(
        { at: "WAIT_OCSP_RESPONSE", draft, found: psk },
        { do: "ask", question: { ask: "find_ocsp_response", credential: own.credential } },
      );
    }
    const { flight, effects } = hello(draft, psk, choices, settings);
    effects.push(...encryptedPart(flight, settings));
    return own === undefined ? finish(flight, effects, settings) : prove(flight, own, effects, settings);
  } catch (error) {
    wipe(psk?.ready.secret);
    throw error;
  }
}

/** Certificate and, unless the signature is made elsewhere, all that follows it. */
function prove(
  flight: Flight,
  { credential, scheme }: ChosenCredential,
  effects: Effect[],
  settings: ServerSettings,
): ServerStep {
  const { transcript, received, ocsp } = flight.draft;
  const wishes = received.hello.extensions;
  const plain = certificateMessage(credential.chain, stapledFor(withHostsWord(credential, ocsp), wishes));
  const certificate = compressCertificate(plain, credential, wishes.compress_certificate, settings);
  transcript.add(certificate);
  effects.push({ do: "send", message: certificate });
  const content = signedContent("server", transcript.hash());
  const algorithm = algorithmOf(scheme);
  if (credential.key === "external") {
    effects.push({ do: "ask", question: { ask: "sign", algorithm, message: content, credential } });
    return moveTo({ at: "WAIT_SIGNATURE", flight }, ...effects);
  }
  return verifyAndFinish(flight, credential.key.sign(algorithm, content), effects, settings);
}

/** WAIT_OCSP_RESPONSE: the host had an answer for us to show, or none. */
export function onOcspResponse(
  { draft, found }: Extract<ServerState, { at: "WAIT_OCSP_RESPONSE" }>,
  ocspResponse: ServerInputs["ocsp_response"],
  settings: ServerSettings,
): ServerStep {
  const ocsp = ocspResponse === undefined ? {} : { ocspResponse };
  return answer({ ...draft, ocsp }, found, settings);
}

/** WAIT_SIGNATURE: the signature came from outside. */
export function onServerSignature(
  { flight }: Extract<ServerState, { at: "WAIT_SIGNATURE" }>,
  signature: ServerInputs["signature"],
  settings: ServerSettings,
): ServerStep {
  return verifyAndFinish(flight, signature, [], settings);
}

/** ServerHello and the handshake keys. */
function hello(
  draft: Draft,
  psk: FoundPsk | undefined,
  { degraded, own, requested, alpn }: Choices,
  settings: ServerSettings,
): { readonly flight: Flight; readonly effects: Effect[] } {
  const { received, suite, group, transcript } = draft;
  const { extensions, legacy_session_id } = received.hello;
  const share = extensions.key_share?.find((entry) => entry.group === group?.code);
  const exchange = group === undefined || share === undefined ? undefined : group.respond(share.key_exchange);
  const message = encodeHandshake("server_hello", ServerHello, {
    legacy_version: TLS12,
    random: settings.provider.random(32),
    legacy_session_id_echo: legacy_session_id,
    cipher_suite: suite.code,
    legacy_compression_method: 0,
    extensions: {
      supported_versions: TLS13,
      ...(group === undefined || exchange === undefined
        ? {}
        : { key_share: { group: group.code, key_exchange: exchange.share } }),
      ...(psk === undefined ? {} : { pre_shared_key: psk.index }),
      ...(psk !== undefined && own !== undefined ? { tls_cert_with_extern_psk: true as const } : {}),
    },
  });
  const hash = settings.provider.hash(suite.hash);
  transcript.add(received.bytes);
  transcript.select(hash);
  transcript.add(message);
  const handshakeSecret = new EarlySecret(hash, psk?.ready.secret).intoHandshake(exchange?.secret);
  wipe(psk?.ready.secret);
  const helloHash = transcript.hash();
  const clientSecret = handshakeSecret.clientTraffic(helloHash);
  const serverSecret = handshakeSecret.serverTraffic(helloHash);
  const main = handshakeSecret.intoMain();
  const effects: Effect[] = [{ do: "send", message }];
  if (legacy_session_id.length > 0 && !draft.retried) effects.push({ do: "send_change_cipher_spec" });
  if (settings.keyLog) {
    // Copies, because the server's own secret may be wiped before the effects of this step are acted on.
    effects.push(
      { do: "log_secret", label: "CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret: clientSecret.slice() },
      { do: "log_secret", label: "SERVER_HANDSHAKE_TRAFFIC_SECRET", secret: serverSecret.slice() },
    );
  }
  effects.push(
    { do: "write_keys", keys: trafficKeys(settings.provider, suite, serverSecret) },
    { do: "read_keys", keys: trafficKeys(settings.provider, suite, clientSecret) },
  );
  if (extensions.early_data) effects.push({ do: "skip_early_data", until: "first_opened_record" });
  const flight: Flight = {
    draft,
    hash,
    ...(psk === undefined ? {} : { psk }),
    ...(alpn === undefined ? {} : { alpn }),
    ...(own === undefined ? {} : { own }),
    degraded,
    clientSecret,
    serverSecret,
    main,
    ...(requested === undefined ? {} : { requestedCertificateType: requested }),
  };
  return { flight, effects };
}

/** EncryptedExtensions and, where a certificate is wanted, CertificateRequest. */
function encryptedPart(flight: Flight, settings: ServerSettings): readonly Effect[] {
  const { draft, alpn } = flight;
  const offered = draft.received.hello.extensions;
  const limit = offered.record_size_limit;
  const named = offered.server_name !== undefined && flight.psk?.ticket === undefined;
  const message = encodeHandshake("encrypted_extensions", EncryptedExtensions, {
    extensions: {
      ...(named ? { server_name: true as const } : {}),
      ...(alpn === undefined ? {} : { application_layer_protocol_negotiation: [utf8(alpn)] }),
      ...(limit === undefined || settings.recordSizeLimit === undefined
        ? {}
        : { record_size_limit: settings.recordSizeLimit }),
      ...answeredTypes(flight, settings),
    },
  });
  draft.transcript.add(message);
  const effects: Effect[] = [];
  if (limit !== undefined && settings.recordSizeLimit !== undefined) {
    effects.push({ do: "limit_records", maxContentBytes: limit - 1 });
  }
  effects.push({ do: "send", message });
  if (flight.requestedCertificateType === undefined) return effects;
  const { certificateAuthorities: authorities, grease, provider } = settings;
  const schemes = settings.schemes.map((name) => SignatureScheme[name]);
  const request = encodeHandshake("certificate_request", CertificateRequest, {
    certificate_request_context: new Uint8Array(0),
    extensions: {
      signature_algorithms: grease ? [reservedValue(provider), ...schemes] : schemes,
      ...(grease ? { unnamed: [reservedExtension(provider, EMPTY)] } : {}),
      ...(authorities.length === 0 ? {} : { certificate_authorities: authorities }),
      ...compressionOffer(settings),
      ...delegationOffer(settings),
      ...(settings.requestSCT ? { signed_certificate_timestamp: true as const } : {}),
    },
  });
  draft.transcript.add(request);
  effects.push({ do: "send", message: request });
  return effects;
}

/** The types of certificate in force, to a client that named some. RFC 7250 §4.2. */
function answeredTypes(
  { draft, own, requestedCertificateType }: Flight,
  settings: ServerSettings,
): Pick<EncryptedExtensions["extensions"], "client_certificate_type" | "server_certificate_type"> {
  const { client_certificate_type: theirs, server_certificate_type: ours } = draft.received.hello.extensions;
  const types = typesOf(ours);
  const credentials = draft.credentials ?? settings.credentials;
  // Beside a pre-shared key nothing is shown; the answer says what would have been.
  const shown = own?.credential ?? credentials.find((credential) => types.includes(typeOf(credential)));
  return {
    ...(ours === undefined || shown === undefined
      ? {}
      : { server_certificate_type: CertificateType[typeOf(shown)] }),
    ...(theirs === undefined || requestedCertificateType === undefined
      ? {}
      : { client_certificate_type: CertificateType[requestedCertificateType] }),
  };
}

function verifyAndFinish(
  flight: Flight,
  signature: Uint8Array,
  effects: Effect[],
  settings: ServerSettings,
): ServerStep {
  if (flight.own === undefined) throw new RangeError("a signature without a credential");
  const message = certificateVerifyMessage(flight.own.scheme, signature);
  flight.draft.transcript.add(message);
  effects.push({ do: "send", message });
  return finish(flight, effects, settings);
}

/** Finished and the application keys; what the client sends next is still under its handshake key. */
function finish(flight: Flight, effects: Effect[], settings: ServerSettings): ServerStep {
  const { draft, hash, main, psk } = flight;
  const message = finishedMessage(hash, flight.serverSecret, draft.transcript.hash());
  draft.transcript.add(message);
  const finishedHash = draft.transcript.hash();
  const secrets = {
    clientTraffic: main.clientTraffic(finishedHash),
    serverTraffic: main.serverTraffic(finishedHash),
    exporter: main.exporter(finishedHash),
  };
  wipe(flight.serverSecret);
  effects.push(
    { do: "send", message },
    { do: "log_secret", label: "CLIENT_TRAFFIC_SECRET_0", secret: secrets.clientTraffic },
    { do: "log_secret", label: "SERVER_TRAFFIC_SECRET_0", secret: secrets.serverTraffic },
    { do: "log_secret", label: "EXPORTER_SECRET", secret: secrets.exporter },
    { do: "write_keys", keys: trafficKeys(settings.provider, draft.suite, secrets.serverTraffic) },
  );
  const answered = { flight, secrets, finished: message.subarray(4) };
  if (flight.requestedCertificateType !== undefined) return moveTo({ at: "WAIT_CERT", answered }, ...effects);
  const ticket = psk?.ticket;
  const client = {
    certificateType: ticket?.peerCertificateType ?? ("X509" as const),
    chain: ticket?.peerChain ?? [],
    verdict: psk?.verdict ?? {
      authorized: ticket === undefined ? psk !== undefined && psk.qkd === undefined : ticket.authorized,
    },
  };
  return moveTo({ at: "WAIT_FINISHED", answered, client }, ...effects);
}

/** Whether this client could make use of a ticket. RFC 9846 §4.3.9. */
export function takesTickets({ received }: Draft): boolean {
  const modes = received.hello.extensions.psk_key_exchange_modes ?? [];
  return modes.includes(PskKeyExchangeMode.psk_dhe_ke);
}
