/** Answers the channel's questions for one connection: keys, trust, certificates, sessions, signatures. */
import { X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import type { PeerCertificate } from "node:tls";
import { KeySourceError, TrustError, UsageError } from "../protocol/errors.ts";
import { isBytes } from "../protocol/options.ts";
import { fromUtf8, wipe } from "../protocol/bytes.ts";
import type { Credential, DeliveredKey, Question, Verdict } from "../handshake/question.ts";
import type { StaticPsk } from "../handshake/settings.ts";
import { drawer, type Drawer } from "../qkd/drawer.ts";
import type { Redeemer } from "../qkd/redeemer.ts";
import type { KeySource } from "../qkd/source.ts";
import { SecureContext } from "./context.ts";
import { ocspResponse, type OcspRequest } from "./ocsp.ts";
import type { ConnectOptions, ExternalSigner, ServerOptions } from "./options.ts";
import { checkRawKey } from "./raw-keys.ts";

/** What a connection asks its surroundings; everything may be answered at once or later. */
export interface Host {
  answer(question: Question, socket: Duplex): unknown;
  /** A QKD key proved itself. Throws when the same key did so before. */
  keyUsed(initiator: string, keyId: string): void;
  storeTicket(ticket: Uint8Array, state: Uint8Array): void;
}

export interface ServerParts {
  readonly redeemer?: Redeemer;
  /** How a server hears that a client wants an OCSP answer. */
  readonly ocspRequest?: OcspRequest;
  readonly options: Pick<ServerOptions, "SNICallback" | "pskCallback" | "ticketStore" | "sessionTimeout">;
}

/** The host of a client, or with `server` of a server's connection. */
export function host(
  context: SecureContext,
  server?: ServerParts,
  { signal, certificateCallback }: Pick<ConnectOptions, "signal" | "certificateCallback"> = {},
): Host {
  return {
    answer: (question, socket) =>
      promised(
        question.ask === "choose_client_identity"
          ? chooseClientIdentity(question, certificateCallback)
          : answer(question, context, socket, server, signal),
      ),
    keyUsed: (initiator, keyId) => server?.redeemer?.commit(initiator, keyId),
    storeTicket(ticket, state) {
      const { ticketStore, sessionTimeout } = server?.options ?? {};
      // A store that fails, at once or later, costs a resumption and not the connection.
      const kept = async (): Promise<void> => ticketStore?.set(ticket, state, sessionTimeout ?? 7200);
      kept().catch(() => undefined);
    },
  };
}

/** What a caller's code answers later may be a promise of another realm or library; none passes for an answer. */
function promised(answered: unknown): unknown {
  const later = typeof answered === "object" && answered !== null && "then" in answered;
  return later ? Promise.resolve(answered) : answered;
}

function answer(
  question: Exclude<Question, { ask: "choose_client_identity" }>,
  context: SecureContext,
  socket: Duplex,
  server: ServerParts | undefined,
  signal: AbortSignal | undefined,
): unknown {
  switch (question.ask) {
    case "verify_peer":
      return verify(question, context);
    case "draw_qkd_key":
      return unlessGone(draw(question.peer, context, signal), socket);
    case "redeem_qkd_key":
      return unlessGone(redeem(question.initiator, question.keyId, server, signal), socket);
    case "choose_identity":
      return chooseIdentity(question.serverName, server);
    case "find_psk":
      return findPsk(question.identity, socket, server);
    case "load_ticket":
      return loadTicket(question.ticket, server?.options.ticketStore);
    case "find_ocsp_response":
      return ocspResponse(question.credential, context, server?.ocspRequest);
    case "sign":
      return sign(question);
  }
}

type Shown = Extract<Question, { ask: "verify_peer" }>;

/** The chain and the name, or the raw key, and then whatever further verdict the caller wants. */
function verify(shown: Shown, context: SecureContext): Verdict | Promise<Verdict> {
  const { verifyPeer, rejectUnauthorized } = context.options;
  // What no list vouches for needs a word of the caller's own.
  const isVouched = shown.certificateType === "X509" || context.rawPublicKeys !== undefined;
  try {
    if (shown.certificateType === "X509") checkChain(shown, context);
    else checkRawKey(context.rawPublicKeys, shown.chain[0] as Uint8Array);
    if (!isVouched && verifyPeer === undefined) throw unvouched();
  } catch (error) {
    // As in node:tls nothing but false lets an unverified peer in.
    if (rejectUnauthorized !== false || !(error instanceof TrustError)) throw error;
    return { authorized: false, error };
  }
  return verifyPeer === undefined ? { authorized: true } : furtherVerdict(shown, verifyPeer, isVouched);
}

function checkChain({ purpose, chain, name }: Shown, context: SecureContext): void {
  const custom = purpose === "server" ? context.options.checkServerIdentity : undefined;
  context.verified.verify({
    provider: context.provider,
    chain: chain.map((der) => context.certificates.parse(der)),
    anchors: context.anchors,
    purpose,
    ...(name === undefined || custom !== undefined ? {} : { name }),
    nowMs: Date.now(),
  });
  if (custom !== undefined) checkByCaller(custom, name ?? "", chain);
}

function furtherVerdict(
  shown: Shown,
  verifyPeer: NonNullable<SecureContext["options"]["verifyPeer"]>,
  isVouched: boolean,
): Verdict | Promise<Verdict> {
  const { ask: _, resumes: __, ...peer } = shown;
  const judge = (said: unknown): Verdict => verdictOf(said, isVouched);
  let more: unknown;
  try {
    more = verifyPeer(peer);
  } catch (error) {
    throw refusedByCaller(error);
  }
  if (more === undefined) return judge(more);
  return Promise.resolve(more).then(judge, (error: unknown) => {
    throw refusedByCaller(error);
  });
}

const unvouched = (): TrustError =>
  new TrustError("ERR_CERT_UNTRUSTED", "certificate_unknown", "nobody vouches for the peer's raw public key");

/** In the caller's own words, with the alert of a certificate that is not accepted. */
function refusedByCaller(cause: unknown): TrustError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new TrustError("ERR_CERT_UNTRUSTED", "certificate_unknown", message, { cause });
}

/** False is a refusal, for whoever writes a predicate means it as one. */
function verdictOf(said: unknown, isVouched: boolean): Verdict {
  if (said === true || (isVouched && said !== false)) return { authorized: true };
  if (said !== false) throw unvouched();
  throw new TrustError("ERR_CERT_UNTRUSTED", "certificate_unknown", "verifyPeer refused the peer");
}

function checkByCaller(
  check: NonNullable<SecureContext["options"]["checkServerIdentity"]>,
  name: string,
  chain: readonly Uint8Array[],
): void {
  const error = check(name, legacyCertificate(chain[0] as Uint8Array));
  if (error === undefined) return;
  throw new TrustError("ERR_CERT_NAME_MISMATCH", "certificate_unknown", error.message, { cause: error });
}

/** A certificate in the form of `tls.TLSSocket.getPeerCertificate`. */
export function legacyCertificate(der: Uint8Array): PeerCertificate {
  return new X509Certificate(der).toLegacyObject();
}

// One guard for each source and time limit, so that a breaker outlives the connection that opened it.
const drawers = new WeakMap<KeySource, Map<number | undefined, Drawer>>();

async function draw(peer: string, context: SecureContext, signal?: AbortSignal): Promise<DeliveredKey> {
  const qkd = context.options.qkd;
  if (qkd === undefined) throw new KeySourceError("ERR_QKD_CLOSED", "no key source was given");
  const { source, timeoutMs } = qkd;
  const ofSource = drawers.get(source) ?? new Map<number | undefined, Drawer>();
  const guarded = ofSource.get(timeoutMs) ?? drawer(source, timeoutMs === undefined ? {} : { timeoutMs });
  drawers.set(source, ofSource.set(timeoutMs, guarded));
  return guarded.draw(peer, signal === undefined ? {} : { signal });
}

/** A key that comes when its connection has gone is wiped. */
async function unlessGone(delivery: Promise<DeliveredKey>, socket: Duplex): Promise<DeliveredKey> {
  const delivered = await delivery;
  if (socket.destroyed) wipe(delivered.key);
  return delivered;
}

async function redeem(
  initiator: string,
  keyId: string,
  server: ServerParts | undefined,
  signal?: AbortSignal,
): Promise<DeliveredKey> {
  if (server?.redeemer === undefined) throw new KeySourceError("ERR_QKD_CLOSED", "no key source was given");
  return server.redeemer.take(initiator, keyId, signal);
}

function chooseIdentity(
  serverName: string,
  server: ServerParts | undefined,
): Promise<readonly Credential[] | undefined> | undefined {
  const choose = server?.options.SNICallback;
  if (choose === undefined) return undefined;
  return new Promise((resolve, reject) => {
    const returned: unknown = choose(serverName, (error, context) => {
      if (error !== null && error !== undefined) {
        reject(new TrustError("ERR_CERT_REQUIRED", "unrecognized_name", error.message, { cause: error }));
      } else if (context === undefined || context === null || context instanceof SecureContext) {
        resolve(context?.credentials);
      } else {
        const what = "SNICallback: a context of createSecureContext of this library is needed";
        reject(new UsageError("ERR_OPTION_INVALID", what, { option: "SNICallback" }));
      }
    });
    // An async function that fails before it calls back must end this connection, and not the process.
    Promise.resolve(returned).catch(reject);
  });
}

async function chooseClientIdentity(
  { certificateType, signatureSchemes, authorities }: Extract<Question, { ask: "choose_client_identity" }>,
  choose: ConnectOptions["certificateCallback"],
): Promise<readonly Credential[] | undefined> {
  const chosen: unknown = await choose?.({ certificateType, signatureSchemes, authorities });
  if (chosen === undefined || chosen === null) return undefined;
  if (chosen instanceof SecureContext) return chosen.credentials;
  const what = "certificateCallback: a context of createSecureContext of this library is needed";
  throw new UsageError("ERR_OPTION_INVALID", what, { option: "certificateCallback" });
}

/** A store that knows no such ticket, or fails, costs a resumption and not the connection. */
async function loadTicket(
  ticket: Uint8Array,
  store: ServerParts["options"]["ticketStore"],
): Promise<Uint8Array | undefined> {
  try {
    const state: unknown = await store?.get(ticket);
    return isBytes(state) ? state : undefined;
  } catch {
    return undefined;
  }
}

async function findPsk(
  identity: Uint8Array,
  socket: Duplex,
  server: ServerParts | undefined,
): Promise<StaticPsk | undefined> {
  const text = textOf(identity);
  if (text === undefined) return undefined;
  const key = await server?.options.pskCallback?.(socket, text);
  if (key === undefined || key === null) return undefined;
  // Text would be taken for bytes that are nearly all zero.
  if (!isBytes(key) || key.length < 16) {
    const what = isBytes(key) ? `${key.length} bytes` : "no bytes";
    throw new UsageError("ERR_OPTION_INVALID", `pskCallback: ${what}; 16 are the least (RFC 9257)`, {
      option: "pskCallback",
    });
  }
  return { identity, key, hash: "sha256" };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return fromUtf8(bytes);
  } catch {
    return undefined;
  }
}

function sign({
  algorithm,
  message,
  credential,
}: Extract<Question, { ask: "sign" }>): Uint8Array | Promise<Uint8Array> {
  const signer = (credential as Credential & { readonly sign?: ExternalSigner }).sign; // As ContextOptions takes it.
  if (signer === undefined) {
    throw new UsageError("ERR_OPTION_MISSING", "credentials: an external key needs its sign function", {
      option: "credentials",
    });
  }
  return signer(algorithm, message);
}
