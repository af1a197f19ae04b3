/** How a server finds, redeems and checks the PSK it will use. RFC 9846 §4.3.11, RFC 9258, RFC 9973. */
import { equal, wipe } from "../protocol/bytes.ts";
import { KeySourceError, TrustError } from "../protocol/errors.ts";
import { PskKeyExchangeMode } from "../protocol/iana.ts";
import { bindersBytes, type OfferedPsks } from "../wire/hello.ts";
import { EarlySecret } from "../schedule/stages.ts";
import { chooseSuite } from "./choose.ts";
import { decryptError, illegalParameter } from "./fault.ts";
import { moveTo, type Step } from "./machine.ts";
import { ticketPsk } from "./opened-ticket.ts";
import { missingLeg } from "./policy.ts";
import { isTicket } from "./psk-hash.ts";
import { readQkdIdentity, redeemedPsk } from "./qkd-identity.ts";
import { shortKey } from "./question.ts";
import { answer } from "./server-flight.ts";
import type { Draft, FoundPsk, PskSearch, ServerInputs, ServerState } from "./server-state.ts";
import type { ServerSettings, StaticPsk } from "./settings.ts";
import { announces, readyPsk } from "./static-psk.ts";

type In<At extends ServerState["at"]> = Extract<ServerState, { readonly at: At }>;
type ServerStep = Step<ServerState>;

/** Looks through the offered identities from `search` on; asks the host where only it can know. */
export function searchPsk(draft: Draft, search: PskSearch, settings: ServerSettings): ServerStep {
  const offered = usablePsks(draft, settings);
  if (offered === undefined) return answer(draft, undefined, settings);
  const count = Math.min(offered.identities.length, settings.maxIdentities);
  if (search.stage === "qkd" && search.next === 0) refuseTickets(draft, offered, settings);
  for (let index = search.next; index < count; index++) {
    const identity = offered.identities[index]?.identity as Uint8Array;
    const step =
      search.stage === "qkd"
        ? tryQkd(draft, index, identity, settings)
        : tryOther(draft, index, identity, settings);
    if (step !== undefined) return step;
  }
  return search.stage === "qkd"
    ? searchPsk(draft, { stage: "others", next: 0 }, settings)
    : answer(draft, undefined, settings);
}

/** RFC 9973 §5.1: what is offered beside a certificate is external. */
function refuseTickets({ received }: Draft, { identities }: OfferedPsks, settings: ServerSettings): void {
  if (!received.hello.extensions.tls_cert_with_extern_psk) return;
  if (identities.slice(0, settings.maxIdentities).some(({ identity }) => isTicket(identity, settings))) {
    throw illegalParameter("client_hello: a ticket with tls_cert_with_extern_psk");
  }
}

/** The offered PSKs, when their modes and ours allow one to be used at all. */
function usablePsks({ received, group }: Draft, settings: ServerSettings): OfferedPsks | undefined {
  const { pre_shared_key: psks, psk_key_exchange_modes: modes } = received.hello.extensions;
  const mode = group === undefined ? PskKeyExchangeMode.psk_ke : PskKeyExchangeMode.psk_dhe_ke;
  // RFC 9973 §5.1 leaves no choice of mode beside a certificate.
  const withCertificate = received.hello.extensions.tls_cert_with_extern_psk;
  if (group === undefined && (!settings.pskKe || withCertificate)) return undefined;
  return modes?.includes(mode) ? psks : undefined;
}

/** A QKD identity asks the host to redeem its key; whatever is none is passed over. */
function tryQkd(
  draft: Draft,
  index: number,
  identity: Uint8Array,
  settings: ServerSettings,
): ServerStep | undefined {
  const qkd = settings.qkd;
  if (qkd === undefined || settings.policy.qkd === "off") return undefined;
  const announced = readQkdIdentity(draft, identity, settings);
  if (announced === undefined) return undefined;
  const alone = !draft.received.hello.extensions.tls_cert_with_extern_psk;
  if (alone && (!qkd.authenticates || settings.clientAuth === "require")) {
    const reason = "the client offered the QKD key without tls_cert_with_extern_psk";
    return searchPsk(excused(draft, reason), { stage: "qkd", next: index + 1 }, settings);
  }
  if (announced.responder !== qkd.sae) {
    const reason = "the QKD key that the client offered is for another SAE";
    return searchPsk(excused(draft, reason), { stage: "qkd", next: index + 1 }, settings);
  }
  const { initiator, keyId, form } = announced;
  return moveTo(
    { at: "WAIT_QKD_KEY", draft, search: { stage: "qkd", next: index }, form, initiator, keyId },
    { do: "ask", question: { ask: "redeem_qkd_key", initiator, keyId } },
  );
}

const excused = (draft: Draft, reason: string, code?: string, cause?: unknown): Draft => ({
  ...draft,
  excuses: { ...draft.excuses, qkd: { reason, ...(code === undefined ? {} : { code }), cause } },
});

/** WAIT_QKD_KEY: the key is here; its binder tells whether both ends hold the same. */
export function onRedeemedKey(
  state: In<"WAIT_QKD_KEY">,
  delivered: ServerInputs["qkd_key"],
  settings: ServerSettings,
): ServerStep {
  const { draft, search, form, initiator, keyId } = state;
  const tooShort = shortKey(delivered);
  if (tooShort !== undefined) return onRedeemFailure(state, tooShort, settings);
  if (delivered.simulated && settings.policy.production) {
    wipe(delivered.key);
    const reason = "the QKD key comes from a simulator, which production mode refuses";
    throw new TrustError("ERR_POLICY_SIMULATED_KEY", "insufficient_security", reason, { missing: "qkd" });
  }
  const found: FoundPsk = {
    index: search.next,
    ...redeemedPsk({ form, initiator, keyId }, delivered, draft.suite.hash, settings),
  };
  checkBinder(draft, found, settings);
  const { next, effects } = answer(draft, found, settings);
  return moveTo(next, { do: "qkd_key_used", initiator, keyId }, ...effects);
}

/** The client announced a key that is not there for it; any other failure is on our side. */
const NOT_THERE = new Set(["ERR_QKD_UNKNOWN_KEY", "ERR_QKD_KEY_USED", "ERR_QKD_REFUSED"]);

/** WAIT_QKD_KEY: no key came; the policy says whether the connection goes on without. */
export function onRedeemFailure(
  { draft }: In<"WAIT_QKD_KEY">,
  error: ServerInputs["qkd_failure"],
  settings: ServerSettings,
): ServerStep {
  if (error instanceof KeySourceError && error.fatal) throw error;
  const code = error instanceof KeySourceError ? error.code : undefined;
  if (settings.policy.qkd === "required") {
    const alert = code !== undefined && NOT_THERE.has(code) ? "unknown_psk_identity" : "internal_error";
    throw missingLeg(settings.policy, "qkd", error.message, error, alert);
  }
  return searchPsk(excused(draft, error.message, code, error), { stage: "others", next: 0 }, settings);
}

/** A ticket of ours or a static PSK; undefined when the identity is neither. */
function tryOther(
  draft: Draft,
  index: number,
  identity: Uint8Array,
  settings: ServerSettings,
): ServerStep | undefined {
  const search: PskSearch = { stage: "others", next: index };
  if (maySeeTicket(draft, settings)) {
    const sealer = settings.tickets?.sealer;
    if (sealer === undefined) {
      if (identity.length === 32) {
        return moveTo(
          { at: "WAIT_TICKET", draft, search },
          { do: "ask", question: { ask: "load_ticket", ticket: identity } },
        );
      }
    } else {
      const state = sealer.open(identity);
      const step = state === undefined ? undefined : tryTicket(draft, index, state, settings);
      if (step !== undefined) return step;
    }
  }
  if (!mayUseStatic(draft, settings)) return undefined;
  const step = tryStatics(draft, index, settings);
  if (step !== undefined || !settings.asksForPsk) return step;
  return moveTo({ at: "WAIT_PSK", draft, search }, { do: "ask", question: { ask: "find_psk", identity } });
}

/** WAIT_TICKET: the host looked into its store. */
export function onStoredTicket(
  { draft, search }: In<"WAIT_TICKET">,
  state: ServerInputs["ticket"],
  settings: ServerSettings,
): ServerStep {
  // The store's own bytes stay as they are; tryTicket wipes what it is given.
  const step =
    state === undefined ? undefined : tryTicket(draft, search.next, Uint8Array.from(state), settings);
  return step ?? searchPsk(draft, { stage: "others", next: search.next + 1 }, settings);
}

/** WAIT_PSK: the host knew the identity, or did not. */
export function onHostPsk(
  { draft, search }: In<"WAIT_PSK">,
  psk: ServerInputs["psk"],
  settings: ServerSettings,
): ServerStep {
  const identity = draft.received.hello.extensions.pre_shared_key?.identities[search.next]?.identity;
  const step =
    psk === undefined || identity === undefined
      ? undefined
      : tryStatic(draft, search.next, identity, psk, settings);
  return step ?? searchPsk(draft, { stage: "others", next: search.next + 1 }, settings);
}

/** Where QKD is required its key is fresh for each connection; RFC 9973 keeps resumption out of its handshakes. */
function maySeeTicket({ received }: Draft, settings: ServerSettings): boolean {
  return (
    settings.tickets !== undefined &&
    settings.policy.qkd !== "required" &&
    !received.hello.extensions.tls_cert_with_extern_psk
  );
}

/** Without a certificate beside it a PSK leaves no room for a client certificate. */
function mayUseStatic({ received }: Draft, settings: ServerSettings): boolean {
  const withCertificate = received.hello.extensions.tls_cert_with_extern_psk === true;
  return withCertificate ? settings.credentials.length > 0 : settings.clientAuth !== "require";
}

function tryTicket(
  draft: Draft,
  index: number,
  bytes: Uint8Array,
  settings: ServerSettings,
): ServerStep | undefined {
  const found = ticketPsk(draft, index, bytes, settings);
  return found === undefined ? undefined : accept(draft, found, settings);
}

/** Where the identity at `index` is one of our static PSKs: of those offered from there on, the first in our order. */
function tryStatics(draft: Draft, index: number, settings: ServerSettings): ServerStep | undefined {
  const { identities = [] } = draft.received.hello.extensions.pre_shared_key ?? {};
  const offered = identities.slice(index, settings.maxIdentities).map(({ identity }) => identity);
  const [first] = offered;
  if (first === undefined || !settings.psks.some((psk) => announces(first, psk))) return undefined;
  for (const psk of settings.psks) {
    for (const [further, identity] of offered.entries()) {
      const step = tryStatic(draft, index + further, identity, psk, settings);
      if (step !== undefined) return step;
    }
  }
  return undefined;
}

function tryStatic(
  draft: Draft,
  index: number,
  identity: Uint8Array,
  psk: StaticPsk,
  settings: ServerSettings,
): ServerStep | undefined {
  const ready = readyPsk(identity, psk, settings);
  return ready === undefined ? undefined : accept(draft, { index, ready }, settings);
}

/** Takes a PSK when a common suite has its hash; a suite that a retry announced cannot change any more. */
function accept(draft: Draft, found: FoundPsk, settings: ServerSettings): ServerStep | undefined {
  const fits = draft.suite.hash === found.ready.hash;
  const suite =
    fits || draft.retried ? draft.suite : chooseSuite(draft.received.hello, settings, found.ready.hash);
  if (suite === undefined || suite.hash !== found.ready.hash) {
    wipe(found.ready.secret);
    return undefined;
  }
  checkBinder(draft, found, settings);
  const chain = found.ticket?.peerChain ?? [];
  if (chain.length === 0) return answer({ ...draft, suite }, found, settings);
  const certificateType = found.ticket?.peerCertificateType ?? "X509";
  return moveTo(
    { at: "WAIT_TICKET_VERDICT", draft, suite, found },
    { do: "ask", question: { ask: "verify_peer", purpose: "client", certificateType, chain, resumes: true } },
  );
}

/** WAIT_TICKET_VERDICT: a certificate that was good enough once may have expired, and what we trust may have changed. */
export function onTicketVerdict(
  state: In<"WAIT_TICKET_VERDICT">,
  verdict: ServerInputs["verdict"],
  settings: ServerSettings,
): ServerStep {
  const { draft, suite, found } = state;
  if (!verdict.authorized && found.ticket?.authorized === true)
    return onTicketRefusal(state, undefined, settings);
  return answer({ ...draft, suite }, { ...found, verdict }, settings);
}

/** WAIT_TICKET_VERDICT: the client has to prove itself anew. */
export function onTicketRefusal(
  { draft, found }: In<"WAIT_TICKET_VERDICT">,
  _: Error | undefined,
  settings: ServerSettings,
): ServerStep {
  wipe(found.ready.secret);
  return searchPsk(draft, { stage: "others", next: found.index + 1 }, settings);
}

/** Checks the one binder that counts. Throws a ProtocolError (decrypt_error). RFC 9846 §4.3.11. */
function checkBinder(draft: Draft, { index, ready }: FoundPsk, settings: ServerSettings): void {
  const offered = draft.received.hello.extensions.pre_shared_key as OfferedPsks;
  const { bytes } = draft.received;
  const truncated = bytes.subarray(0, bytes.length - bindersBytes(offered));
  const hash = settings.provider.hash(ready.hash);
  const early = new EarlySecret(hash, ready.secret);
  const expected = early.binder(ready.binder, draft.transcript.hashTruncated(hash, truncated));
  early.wipe();
  if (!equal(offered.binders[index] as Uint8Array, expected)) {
    wipe(ready.secret);
    throw decryptError("client_hello: the binder does not match, so the two ends hold different keys");
  }
}
