/** Options in, checked and frozen settings out; what is wrong is refused here and not at the first connection. */
import { UsageError } from "../protocol/errors.ts";
import { utf8 } from "../protocol/bytes.ts";
import {
  CipherSuite,
  NamedGroup,
  nameOf,
  SignatureScheme,
  type CipherSuiteName,
  type NamedGroupName,
  type SignatureSchemeName,
} from "../protocol/iana.ts";
import { flag, isBytes, isObject, isText, list, oneOf, onlyKnown, whole } from "../protocol/options.ts";
import { keyExchangeGroup, primitivesOf as partsOf, type KeyExchangeGroup } from "../crypto/groups.ts";
import type { CryptoProvider, HashName, PrimitiveName } from "../crypto/provider.ts";
import { verifiableSchemes } from "../crypto/schemes.ts";
import { selfTest } from "../crypto/selftest.ts";
import { suiteOf, type Suite } from "../crypto/suites.ts";
import { CertificateCache } from "../pki/certificate.ts";
import type { Padding } from "../record/protection.ts";
import {
  allowsExchange,
  checkPolicy,
  PRESETS,
  type Policy,
  type PolicyName,
  type Standing,
} from "../handshake/policy.ts";
import type { Credential } from "../handshake/question.ts";
import { decodeSession } from "../handshake/session.ts";
import type { ClientSettings, ServerSettings, Settings, TicketSealer } from "../handshake/settings.ts";
import {
  CLASSICAL_GROUPS,
  GROUPS,
  KEY_SHARES,
  LIMITS,
  SUITES,
  TICKET_COUNT,
  TICKET_LIFETIME_SECONDS,
  type Limits,
} from "./defaults.ts";
import { checkOfferable, hashOf, invalid, isPsk, pskOf, type PskOption } from "./psk.ts";
import { keyResolver } from "./public-key.ts";

/** A preset's name, or a standing for each source; what is left out is as in the preset `pqc`. */
export type PolicyOption = PolicyName | Partial<Record<"ecdh" | "mlkem" | "qkd", Standing>>;

/** How a QKD key is announced and what it may prove. */
interface QkdIdentityOptions {
  /** Our own SAE ID. */
  readonly sae: string;
  /** `raw` is for peers without RFC 9258; default `imported`. */
  readonly form?: "imported" | "raw";
  /** The hash of raw keys; default sha256, which RFC 9846 §4.3.11 sets for external PSKs. */
  readonly rawHash?: HashName;
  /** Let the key alone authenticate, without certificates; default false. */
  readonly authenticates?: boolean;
}

export interface SharedOptions {
  readonly provider: CryptoProvider;
  readonly now: () => number;
  readonly suites?: readonly CipherSuiteName[];
  readonly groups?: readonly NamedGroupName[];
  readonly signatureSchemes?: readonly SignatureSchemeName[];
  readonly alpn?: readonly string[];
  readonly policy?: PolicyOption;
  /** Refuse keys that say `simulated`; default false. */
  readonly production?: boolean;
  readonly psks?: readonly PskOption[];
  /** Accept PSKs without an ephemeral exchange; default false. */
  readonly pskKe?: boolean;
  /** TLSInnerPlaintext bytes we accept per record, 64 to 16385. RFC 8449. */
  readonly recordSizeLimit?: number;
  /** Pads each record up to a multiple of this many bytes. RFC 9846 §5.4. */
  readonly padding?: number | Padding;
  readonly keyLog?: boolean;
  readonly limits?: Partial<Limits>;
  readonly dangerous?: { readonly allowClassical?: boolean };
}

export interface ClientOptions extends SharedOptions {
  readonly serverName?: string;
  /** Default true for names, never for IP addresses. */
  readonly sendServerName?: boolean;
  /** How many groups, from the front, get a key share in the first ClientHello, or which; default 1. */
  readonly keyShares?: number | readonly NamedGroupName[];
  /** What the server may prove itself with, default `certificate`; `any` takes a certificate or a pre-shared key. */
  readonly authentication?: "certificate" | "psk" | "any";
  readonly qkd?: QkdIdentityOptions & { readonly peer: string };
  /** The first that the server can verify is shown. */
  readonly credentials?: readonly Credential[];
  /** Ask the server for an OCSP answer, which `verify_peer` then carries and nothing here checks; default false. */
  readonly requestOCSP?: boolean;
  readonly session?: Uint8Array;
  readonly resumption?: boolean;
  readonly acceptsUnverified?: boolean;
  readonly middleboxCompatibility?: boolean;
}

export interface ServerOptions extends SharedOptions {
  readonly credentials?: readonly Credential[];
  readonly asksForIdentity?: boolean;
  readonly asksForPsk?: boolean;
  readonly clientAuth?: "none" | "request" | "require";
  /** DER names for CertificateRequest. */
  readonly certificateAuthorities?: readonly Uint8Array[];
  readonly qkd?: QkdIdentityOptions;
  /** False for no tickets; `store` when the host keeps the sessions. */
  readonly tickets?:
    | false
    | { readonly count?: number; readonly lifetimeSeconds?: number; readonly sealer?: TicketSealer };
  readonly honorOwnOrder?: boolean;
  readonly demandsCookie?: boolean;
}

interface Framing {
  readonly limits: Limits;
  readonly padding?: Padding;
}
export interface ClientConfig extends Framing {
  readonly settings: ClientSettings;
}
export interface ServerConfig extends Framing {
  readonly settings: ServerSettings;
}

const SHARED = [
  "provider",
  "now",
  "suites",
  "groups",
  "signatureSchemes",
  "alpn",
  "policy",
  "production",
  "psks",
  "pskKe",
  "recordSizeLimit",
  "padding",
  "keyLog",
  "limits",
  "dangerous",
  "qkd",
]; // prettier-ignore
const CLIENT = [
  ...SHARED,
  "serverName",
  "sendServerName",
  "keyShares",
  "authentication",
  "credentials",
  "requestOCSP",
  "session",
  "resumption",
  "acceptsUnverified",
  "middleboxCompatibility",
]; // prettier-ignore
const SERVER = [
  ...SHARED,
  "credentials",
  "asksForIdentity",
  "asksForPsk",
  "clientAuth",
  "certificateAuthorities",
  "tickets",
  "honorOwnOrder",
  "demandsCookie",
]; // prettier-ignore

/** Throws a UsageError naming the option. */
export function clientConfig(options: ClientOptions): ClientConfig {
  onlyKnown(options, CLIENT, "client");
  const settings = sharedSettings(options, options.qkd !== undefined);
  const { psks } = settings;
  checkOfferable(psks);
  const authentication = oneOf(options, "authentication", ["certificate", "psk", "any"], "certificate");
  if (authentication === "psk" && psks.length === 0 && options.qkd?.authenticates !== true) {
    throw missing("psks", 'authentication: "psk" needs a pre-shared key');
  }
  const { serverName: name, qkd } = options;
  if (name !== undefined) checkName(name);
  return Object.freeze({
    ...framing(options, settings),
    settings: Object.freeze({
      ...settings,
      ...(name === undefined ? {} : { serverName: name }),
      sendServerName: flag(options, "sendServerName", true) && name !== undefined && !isAddress(name),
      keyShares: sharesOf(options, settings.groups),
      authentication: qkd?.authenticates === true ? ("psk" as const) : authentication,
      ...(qkd === undefined ? {} : { qkd: { ...qkdSettings(qkd), peer: sae(qkd.peer, "qkd.peer") } }),
      credentials: list(options, "credentials", CREDENTIALS, isCredential),
      ...(options.session === undefined ? {} : { session: decodeSession(options.session) }),
      requestOCSP: flag(options, "requestOCSP", false),
      resumption: flag(options, "resumption", true),
      acceptsUnverified: flag(options, "acceptsUnverified", false),
      middleboxCompatibility: flag(options, "middleboxCompatibility", true),
    }),
  });
}

/** The same configuration for one connection's own name and stored session. Throws a UsageError (`session`). */
export function forConnection(
  config: ClientConfig,
  {
    serverName,
    sendServerName = true,
    session,
  }: { readonly serverName?: string; readonly sendServerName?: boolean; readonly session?: Uint8Array },
): ClientConfig {
  if (serverName !== undefined) checkName(serverName);
  const named =
    serverName === undefined ? {} : { serverName, sendServerName: sendServerName && !isAddress(serverName) };
  const resumed = session === undefined ? {} : { session: decodeSession(session) };
  return { ...config, settings: { ...config.settings, ...named, ...resumed } };
}

/** Throws a UsageError naming the option. */
export function serverConfig(options: ServerOptions): ServerConfig {
  onlyKnown(options, SERVER, "server");
  const settings = sharedSettings(options, options.qkd !== undefined);
  const credentials = list(options, "credentials", CREDENTIALS, isCredential);
  const asksForIdentity = flag(options, "asksForIdentity", false);
  const asksForPsk = flag(options, "asksForPsk", false);
  const anchored = credentials.length > 0 || asksForIdentity || asksForPsk;
  if (!anchored && settings.psks.length === 0 && options.qkd?.authenticates !== true) {
    throw missing(
      "cert",
      "a server needs a certificate and its key, or a pre-shared key, to prove who it is",
    );
  }
  const { qkd, tickets } = options;
  return Object.freeze({
    ...framing(options, settings),
    settings: Object.freeze({
      ...settings,
      credentials,
      asksForIdentity,
      asksForPsk,
      clientAuth: oneOf(options, "clientAuth", ["none", "request", "require"], "none"),
      certificateAuthorities: list(options, "certificateAuthorities", "DER names", isBytes),
      ...(qkd === undefined ? {} : { qkd: { ...qkdSettings(qkd), acceptRaw: qkd.form === "raw" } }),
      ...(tickets === undefined || tickets === false ? {} : { tickets: ticketsOf(tickets) }),
      honorOwnOrder: flag(options, "honorOwnOrder", true),
      maxIdentities: framing(options, settings).limits.identitiesPerHello,
      demandsCookie: flag(options, "demandsCookie", false),
    }),
  });
}

function ticketsOf(tickets: Exclude<ServerOptions["tickets"], false | undefined>) {
  if (!isObject(tickets)) throw invalid("tickets", "is neither false nor an object");
  onlyKnown(tickets, ["count", "lifetimeSeconds", "sealer"], "tickets");
  return {
    count: whole(tickets, "count", TICKET_COUNT, 0, 16),
    lifetimeSeconds: whole(tickets, "lifetimeSeconds", TICKET_LIFETIME_SECONDS, 1, 604_800),
    ...(tickets.sealer === undefined ? {} : { sealer: tickets.sealer }),
  };
}

function sharedSettings(options: SharedOptions, hasSource: boolean): Settings {
  const { provider } = options;
  if (!isObject(provider)) throw missing("provider", "a crypto provider must be given");
  if (typeof options.now !== "function") throw missing("now", "a clock must be given");
  const policy = policyOf(options, hasSource);
  const suites = named(options.suites ?? SUITES, "suites", CipherSuite).map((code) => suiteOf(code) as Suite);
  const groups = groupsOf(options, policy);
  selfTest(provider, primitivesOf(suites, groups));
  const limit = options.recordSizeLimit;
  return {
    provider,
    suites,
    groups,
    schemes: schemesOf(options),
    alpn: alpnOf(list(options, "alpn", "protocol names", isText)),
    policy,
    pskKe: flag(options, "pskKe", false),
    psks: list(options, "psks", "pre-shared keys", isPsk).map(pskOf),
    ...(limit === undefined ? {} : { recordSizeLimit: whole(options, "recordSizeLimit", limit, 64, 16_385) }),
    keyLog: flag(options, "keyLog", false),
    now: options.now,
    publicKeyOf: keyResolver(provider, certificates),
    maxChainLength: options.limits?.chainLength ?? LIMITS.chainLength,
  };
}

/** Parsed certificates are public and shared by every connection of the process. */
const certificates = new CertificateCache();

/** The policy in force: a source given without a word means that it is required, for silent downgrade is the fear. */
function policyOf(options: SharedOptions, hasSource: boolean): Policy {
  const wanted = options.policy ?? (hasSource ? "hybrid" : "pqc");
  if (typeof wanted === "string" && !Object.hasOwn(PRESETS, wanted)) {
    throw new UsageError(
      "ERR_OPTION_INVALID",
      `policy: ${JSON.stringify(wanted)} is none of ${Object.keys(PRESETS).join(", ")}`,
      { option: "policy" },
    );
  }
  if (typeof wanted !== "string" && !isObject(wanted))
    throw invalid("policy", "is neither a name nor an object");
  if (typeof wanted === "object") onlyKnown(wanted, ["ecdh", "mlkem", "qkd"], "policy");
  if (options.dangerous !== undefined) onlyKnown(options.dangerous, ["allowClassical"], "dangerous");
  const allowClassical = flag(options.dangerous ?? {}, "allowClassical", false);
  const legs = typeof wanted === "string" ? PRESETS[wanted] : { ...PRESETS.pqc, ...wanted };
  const mlkem = allowClassical && legs.mlkem === "required" ? "preferred" : legs.mlkem;
  const policy = checkPolicy({
    name: typeof wanted === "string" ? wanted : "custom",
    ...legs,
    mlkem,
    allowClassical,
    production: flag(options, "production", false),
  });
  if (policy.qkd === "required" && !hasSource) {
    throw missing("qkd", `policy ${policy.name} requires QKD, so a key source must be given`);
  }
  return Object.freeze(policy);
}

function groupsOf(options: SharedOptions, policy: Policy): readonly KeyExchangeGroup[] {
  const wanted = options.groups ?? [...GROUPS, ...CLASSICAL_GROUPS];
  const groups = named(wanted, "groups", NamedGroup).map((code) => {
    const name = Object.entries(NamedGroup).find(([, value]) => value === code)?.[0] as NamedGroupName;
    return keyExchangeGroup(options.provider, name);
  });
  const allowed = groups.filter((group) => allowsExchange(policy, group));
  const refused = groups.find((group) => !allowed.includes(group));
  if (options.groups !== undefined && refused !== undefined) {
    throw invalid("groups", `policy ${policy.name} does not allow ${refused.name}`);
  }
  if (allowed.length === 0) throw invalid("groups", `policy ${policy.name} leaves no group`);
  return allowed;
}

function sharesOf(options: ClientOptions, groups: readonly KeyExchangeGroup[]): readonly number[] {
  if (!Array.isArray(options.keyShares)) {
    const count = whole(options, "keyShares", KEY_SHARES, 0, groups.length);
    return groups.slice(0, count).map(({ code }) => code);
  }
  const names = options.keyShares as readonly NamedGroupName[];
  const codes = names.length === 0 ? [] : named(names, "keyShares", NamedGroup);
  const stray = codes.find((code) => !groups.some((group) => group.code === code));
  if (stray !== undefined) throw invalid("keyShares", `${nameOf(NamedGroup, stray)} is none of the groups`);
  // In the order of the groups, whatever the order of the names. RFC 9846 §4.3.8.
  return groups.filter(({ code }) => codes.includes(code)).map(({ code }) => code);
}

function schemesOf(options: SharedOptions): readonly SignatureSchemeName[] {
  const usable = verifiableSchemes(options.provider);
  if (options.signatureSchemes === undefined) return usable;
  named(options.signatureSchemes, "signatureSchemes", SignatureScheme);
  const unusable = options.signatureSchemes.find((name) => !usable.includes(name));
  if (unusable !== undefined)
    throw invalid("signatureSchemes", `${unusable} is not available with ${options.provider.name}`);
  return options.signatureSchemes;
}

/** Code points of names; an unknown or repeated name is refused. */
function named<T extends Record<string, number>>(
  names: readonly (keyof T)[],
  option: string,
  registry: T,
): number[] {
  if (!Array.isArray(names) || names.length === 0)
    throw invalid(option, "is not a list with at least one name");
  if (new Set(names).size !== names.length) throw invalid(option, "names something twice");
  return names.map((name) => {
    const code = Object.hasOwn(registry, name) ? registry[name] : undefined;
    if (code === undefined)
      throw invalid(option, `${String(name)} is none of ${Object.keys(registry).join(", ")}`);
    return code;
  });
}

function primitivesOf(suites: readonly Suite[], groups: readonly KeyExchangeGroup[]): PrimitiveName[] {
  return [
    ...new Set<PrimitiveName>([
      ...suites.flatMap((suite) => [suite.hash, suite.aead]),
      ...groups.flatMap((group) => partsOf(group.name)),
    ]),
  ];
}

function alpnOf(names: readonly string[]): readonly string[] {
  for (const name of names) {
    const { length } = utf8(name);
    if (length === 0 || length > 255)
      throw invalid("alpn", `${JSON.stringify(name)} is not 1 to 255 bytes long`);
  }
  return names;
}

function qkdSettings(qkd: QkdIdentityOptions) {
  if (!isObject(qkd)) throw invalid("qkd", "is no object");
  onlyKnown(qkd, ["sae", "peer", "form", "rawHash", "authenticates"], "qkd");
  return {
    sae: sae(qkd.sae, "qkd.sae"),
    form: oneOf(qkd, "form", ["imported", "raw"], "imported"),
    rawHash: hashOf(qkd.rawHash, "qkd.rawHash"),
    authenticates: flag(qkd, "authenticates", false),
  };
}

function checkName(name: unknown): void {
  if (!isText(name) || name.length === 0 || name.length > 255)
    throw invalid("serverName", "a server's name has 1 to 255 characters");
}

const CREDENTIALS = "certificate chains with their keys";
const isCredential = (value: unknown): value is Credential =>
  isObject(value) && "chain" in value && "key" in value && "schemes" in value;

function sae(id: string, option: string): string {
  const length = isText(id) ? utf8(id).length : 0;
  if (length === 0 || length > 255) throw invalid(option, "an SAE ID has 1 to 255 bytes");
  return id;
}

function framing(options: SharedOptions, settings: Settings): Framing {
  const given = options.limits ?? {};
  if (!isObject(given)) throw invalid("limits", "is no object");
  onlyKnown(given, Object.keys(LIMITS), "limits");
  const limits = { ...LIMITS };
  for (const name of Object.keys(LIMITS) as (keyof Limits)[])
    limits[name] = whole(given, name, LIMITS[name], 1);
  const strictest = Math.min(...settings.suites.map((suite) => suite.confidentialityLimitRecords));
  limits.recordsPerKey = Math.min(limits.recordsPerKey, strictest);
  const padding = paddingOf(options.padding);
  return { limits, ...(padding === undefined ? {} : { padding }) };
}

function paddingOf(padding: number | Padding | undefined): Padding | undefined {
  if (padding === undefined || typeof padding === "function") return padding;
  const block = whole({ padding }, "padding", padding, 1, 16_384);
  return (contentBytes) => Math.ceil(contentBytes / block) * block;
}

const isAddress = (name: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(name) || name.includes(":");

const missing = (option: string, what: string): UsageError =>
  new UsageError("ERR_OPTION_MISSING", what, { option });
