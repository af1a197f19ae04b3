import { EMPTY, utf8, wipe } from "../protocol/bytes.ts";
import {
  CertificateStatusType,
  type ExtensionName,
  ExtensionType,
  PskKeyExchangeMode,
  SignatureScheme,
  TLS12,
  TLS13,
} from "../protocol/iana.ts";
import { encodeHandshake } from "../wire/handshake.ts";
import { bindersBytes, ClientHello, type ClientExtensions, type HelloRetryRequest } from "../wire/hello.ts";
import { suiteOf } from "../crypto/suites.ts";
import type { PendingExchange } from "../crypto/groups.ts";
import type { HashName } from "../crypto/provider.ts";
import {
  importPsk,
  qkdContext,
  qkdIdentity,
  rawPsk,
  rawQkdIdentity,
  type ReadyPsk,
} from "../schedule/psk.ts";
import { asciiHostName } from "../pki/name.ts";
import { EarlySecret } from "../schedule/stages.ts";
import { Transcript } from "../schedule/transcript.ts";
import { typesToOffer } from "./certificate-type.ts";
import { compressionOffer } from "./certificate-compression.ts";
import { delegationOffer } from "./delegated.ts";
import type { QkdFacts } from "./established.ts";
import { ordered } from "./extension-order.ts";
import { nothingInCommon } from "./fault.ts";
import { greased } from "./grease.ts";
import type { DeliveredKey, Verdict } from "./question.ts";
import { MAX_TICKET_LIFETIME_SECONDS, type Session } from "./session.ts";
import type { ClientSettings } from "./settings.ts";

/** A PSK in a ClientHello, and where it came from. */
export interface OfferedPsk {
  readonly ready: ReadyPsk;
  readonly qkd?: QkdFacts;
  readonly session?: Session;
  /** The host's word, today, on the certificate behind the session. */
  readonly verdict?: Verdict;
  /** The server took it and shows a certificate too. RFC 9973. */
  readonly withCertificate?: true;
}

/** What a client proposed, and the private halves of it. */
export interface Offer {
  readonly hello: ClientHello;
  readonly exchanges: ReadonlyMap<number, PendingExchange>;
  readonly psks: readonly OfferedPsk[];
  readonly transcript: Transcript;
  /** Extension types we sent, which the server may answer. */
  readonly sent: ReadonlySet<number>;
  /** The suite that HelloRetryRequest chose; undefined before one. */
  readonly retriedSuite?: number;
}

/** The first ClientHello and its bytes. RFC 9846 §4.2.2. */
export function firstOffer(
  settings: ClientSettings,
  psks: readonly OfferedPsk[],
): { readonly offer: Offer; readonly message: Uint8Array } {
  const exchanges = new Map<number, PendingExchange>();
  for (const code of settings.keyShares) {
    const group = settings.groups.find((each) => each.code === code);
    if (group !== undefined) exchanges.set(code, group.start());
  }
  const plain: ClientHello = {
    legacy_version: TLS12,
    random: settings.provider.random(32),
    legacy_session_id: settings.provider.random(settings.middleboxCompatibility ? 32 : 0),
    cipher_suites: settings.suites.map((suite) => suite.code),
    legacy_compression_methods: Uint8Array.of(0),
    extensions: firstExtensions(settings, exchanges, psks),
  };
  const { grease, permuteExtensions, provider } = settings;
  const hello = ordered(grease ? greased(plain, provider) : plain, permuteExtensions, provider);
  return seal(settings, { hello, exchanges, psks, transcript: new Transcript() });
}

/** The ClientHello that answers a HelloRetryRequest. RFC 9846 §4.2.2. */
export function secondOffer(
  settings: ClientSettings,
  first: Offer,
  retry: HelloRetryRequest,
): { readonly offer: Offer; readonly message: Uint8Array } {
  const group = settings.groups.find(({ code }) => code === retry.extensions.key_share);
  const exchanges = group === undefined ? first.exchanges : new Map([[group.code, group.start()]]);
  const suite = suiteOf(retry.cipher_suite);
  const psks = first.psks.filter(({ ready }) => ready.hash === suite?.hash);
  wipePsks(first.psks.filter((psk) => !psks.includes(psk)));
  const { pre_shared_key: _, tls_cert_with_extern_psk: withCertificate, ...kept } = first.hello.extensions;
  if (psks.length === 0 && settings.authentication === "psk") {
    throw nothingInCommon("hello_retry_request: no PSK fits the cipher suite that the server chose");
  }
  const hello: ClientHello = {
    ...first.hello,
    extensions: {
      ...kept,
      ...(group === undefined ? {} : { key_share: keyShares(exchanges) }),
      ...(retry.extensions.cookie === undefined ? {} : { cookie: retry.extensions.cookie.slice() }),
      ...(withCertificate && psks.length > 0 ? { tls_cert_with_extern_psk: true as const } : {}),
      ...preSharedKey(settings, psks),
    },
  };
  return seal(settings, {
    hello,
    exchanges,
    psks,
    transcript: first.transcript,
    retriedSuite: retry.cipher_suite,
  });
}

/** Encodes the hello, fills its binders in and starts the transcript. */
function seal(
  settings: ClientSettings,
  draft: Omit<Offer, "sent">,
): { readonly offer: Offer; readonly message: Uint8Array } {
  const message = encodeHandshake("client_hello", ClientHello, draft.hello);
  const psks = draft.hello.extensions.pre_shared_key;
  if (psks !== undefined) {
    const truncated = message.subarray(0, message.length - bindersBytes(psks));
    let at = truncated.length + 2;
    for (const { ready } of draft.psks) {
      const hash = settings.provider.hash(ready.hash);
      const early = new EarlySecret(hash, ready.secret);
      const binder = early.binder(ready.binder, draft.transcript.hashTruncated(hash, truncated));
      early.wipe();
      message.set(binder, at + 1);
      at += 1 + binder.length;
    }
  }
  draft.transcript.add(message);
  const sent = new Set(
    (Object.keys(ExtensionType) as ExtensionName[]) // Object.keys forgets the names.
      .filter((name) => draft.hello.extensions[name as keyof ClientExtensions] !== undefined)
      .map((name) => ExtensionType[name]),
  );
  return { offer: { ...draft, sent }, message };
}

function firstExtensions(
  settings: ClientSettings,
  exchanges: ReadonlyMap<number, PendingExchange>,
  psks: readonly OfferedPsk[],
): ClientExtensions {
  const named = settings.sendServerName && settings.serverName !== undefined;
  const certificates = settings.authentication !== "psk";
  return {
    ...(named
      ? { server_name: [{ name_type: 0, host_name: utf8(asciiHostName(settings.serverName)) }] }
      : {}),
    ...(certificates && settings.requestOCSP ? { status_request: OCSP_REQUEST } : {}),
    ...(certificates ? compressionOffer(settings) : {}),
    ...(certificates ? delegationOffer(settings) : {}),
    ...(certificates && settings.requestSCT ? { signed_certificate_timestamp: true as const } : {}),
    supported_versions: [TLS13],
    supported_groups: settings.groups.map((group) => group.code),
    key_share: keyShares(exchanges),
    ...(certificates ? { signature_algorithms: settings.schemes.map((name) => SignatureScheme[name]) } : {}),
    ...(settings.alpn.length === 0
      ? {}
      : { application_layer_protocol_negotiation: settings.alpn.map((name) => utf8(name)) }),
    ...(certificates ? certificateTypes(settings) : {}),
    ...(settings.recordSizeLimit === undefined ? {} : { record_size_limit: settings.recordSizeLimit }),
    ...(psks.length > 0 || settings.resumption ? { psk_key_exchange_modes: pskModes(settings) } : {}),
    ...(settings.authentication === "certificate" && psks.some(({ session }) => session === undefined)
      ? { tls_cert_with_extern_psk: true as const }
      : {}),
    ...preSharedKey(settings, psks),
  };
}

/** What both sides may show, where that is more than X.509 alone. RFC 7250 §4.1. */
function certificateTypes(settings: ClientSettings): ClientExtensions {
  const ours = typesToOffer(settings.clientCertificateTypes);
  const theirs = typesToOffer(settings.serverCertificateTypes);
  return {
    ...(ours === undefined ? {} : { client_certificate_type: ours }),
    ...(theirs === undefined ? {} : { server_certificate_type: theirs }),
  };
}

/** No responder is preferred, and nothing is said to it. RFC 6066 §8. */
const OCSP_REQUEST = {
  status_type: CertificateStatusType.ocsp,
  responder_id_list: [],
  request_extensions: EMPTY,
} as const;

const keyShares = (exchanges: ReadonlyMap<number, PendingExchange>) =>
  [...exchanges].map(([group, { share }]) => ({ group, key_exchange: share }));

function pskModes(settings: ClientSettings): readonly number[] {
  return settings.pskKe
    ? [PskKeyExchangeMode.psk_dhe_ke, PskKeyExchangeMode.psk_ke]
    : [PskKeyExchangeMode.psk_dhe_ke];
}

/** Identities with binders of the right length and no content yet. */
function preSharedKey(
  settings: ClientSettings,
  psks: readonly OfferedPsk[],
): Pick<ClientExtensions, "pre_shared_key"> {
  if (psks.length === 0) return {};
  return {
    pre_shared_key: {
      identities: psks.map(({ ready, session }) => ({
        identity: ready.identity,
        obfuscated_ticket_age: session === undefined ? 0 : obfuscatedAge(settings.now(), session),
      })),
      binders: psks.map(({ ready }) => new Uint8Array(settings.provider.hash(ready.hash).outputBytes)),
    },
  };
}

function obfuscatedAge(nowMs: number, session: Session): number {
  return ((Math.max(0, nowMs - session.receivedMs) + session.ageAdd) % 2 ** 32) >>> 0;
}

/** The PSKs that stand for a QKD key on the wire; wipes the delivered key. RFC 9258. */
export function qkdPsks(settings: ClientSettings, delivered: DeliveredKey): readonly OfferedPsk[] {
  const qkd = settings.qkd as NonNullable<ClientSettings["qkd"]>;
  const facts: QkdFacts = {
    keyId: delivered.id,
    initiator: qkd.sae,
    responder: qkd.peer,
    simulated: delivered.simulated,
    kind: delivered.kind,
    form: qkd.form,
    ...(delivered.kmes === undefined ? {} : { kmes: delivered.kmes }),
  };
  const ready =
    qkd.form === "raw"
      ? [
          rawPsk({
            identity: rawQkdIdentity(qkd.sae, qkd.peer, delivered.id),
            key: delivered.key,
            hash: qkd.rawHash,
          }),
        ]
      : hashesOf(settings).map((target) =>
          importPsk(
            settings.provider,
            { identity: qkdIdentity(delivered.id), key: delivered.key, hash: "sha256" },
            qkdContext(qkd.sae, qkd.peer),
            target,
          ),
        );
  wipe(delivered.key);
  return ready.map((each) => ({ ready: each, qkd: facts }));
}

/** The static PSKs as they go on the wire. */
export function staticPsks(settings: ClientSettings): readonly OfferedPsk[] {
  return settings.psks.flatMap((psk) => {
    const context = psk.importContext;
    if (context === undefined) return [{ ready: rawPsk(psk) }];
    return hashesOf(settings).map((hash) => ({ ready: importPsk(settings.provider, psk, context, hash) }));
  });
}

/** The stored session, when it still may be offered. RFC 9846 §4.7.1. */
export function sessionPsk(settings: ClientSettings): OfferedPsk | undefined {
  const session = settings.session;
  if (session === undefined || !settings.resumption) return undefined;
  const lifetimeMs = 1000 * Math.min(session.lifetimeSeconds, MAX_TICKET_LIFETIME_SECONDS);
  const ageMs = settings.now() - session.receivedMs;
  const suite = settings.suites.find(({ code }) => code === session.suite);
  const trusted = session.authorized || settings.acceptsUnverified;
  // What authenticated the server then is what we want to authenticate it now.
  const shown = session.peerChain.length > 0;
  const by = shown ? "certificate" : "psk";
  const alike =
    (settings.authentication === "any" || settings.authentication === by) &&
    (!shown || settings.serverCertificateTypes.includes(session.peerCertificateType));
  const fits = trusted && alike && session.serverName === (settings.serverName ?? "");
  if (suite === undefined || !fits || ageMs < 0 || ageMs > lifetimeMs) return undefined;
  const ready: ReadyPsk = {
    identity: session.ticket,
    secret: session.psk.slice(),
    hash: suite.hash,
    binder: "res binder",
  };
  return { ready, session };
}

/** The hashes of the offered suites, in the order of the suites. */
function hashesOf(settings: ClientSettings): readonly HashName[] {
  return [...new Set(settings.suites.map((suite) => suite.hash))];
}

/** Forgets the PSKs that were not chosen. */
export function wipePsks(psks: readonly OfferedPsk[]): void {
  for (const { ready } of psks) wipe(ready.secret);
}
