/** Options in, checked and frozen settings out; what is wrong is refused here and not at the first connection. */
import { utf8 } from "../protocol/bytes.ts";
import { CipherSuite, type CertificateTypeName } from "../protocol/iana.ts";
import { flag, isBytes, isObject, isText, list, oneOf, onlyKnown, whole } from "../protocol/options.ts";
import { selfTest } from "../crypto/selftest.ts";
import { suiteOf, type Suite } from "../crypto/suites.ts";
import { CertificateCache } from "../pki/certificate.ts";
import type { Padding } from "../record/protection.ts";
import { typeOf } from "../handshake/authenticate.ts";
import { X509_ALONE } from "../handshake/certificate-type.ts";
import type { Credential } from "../handshake/question.ts";
import { decodeSession } from "../handshake/session.ts";
import type { ClientSettings, ServerSettings, Settings } from "../handshake/settings.ts";
import {
  compressorsOf,
  equalGroupsOf,
  groupsOf,
  maxSendFragmentOf,
  named,
  policyOf,
  primitivesOf,
  schemesOf,
  sharesOf,
  certificateTypesOf,
} from "./choices.ts";
import { credentialsOf } from "./credential.ts";
import { LIMITS, SUITES, TICKET_COUNT, TICKET_LIFETIME_SECONDS, type Limits } from "./defaults.ts";
import {
  CLIENT,
  SERVER,
  type ClientOptions,
  type QkdIdentityOptions,
  type ServerOptions,
  type SharedOptions,
} from "./options.ts";
import { checkOfferable, hashOf, invalid, isPsk, missing, pskOf } from "./psk.ts";
import { keyResolver } from "./public-key.ts";

interface Framing {
  readonly limits: Limits;
  readonly padding?: Padding;
  readonly maxSendFragment: number;
}
export interface ClientConfig extends Framing {
  readonly settings: ClientSettings;
}
export interface ServerConfig extends Framing {
  readonly settings: ServerSettings;
}

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
  const credentials = credentialsOf(options);
  if (name !== undefined) checkName(name);
  const asksForIdentity = flag(options, "asksForIdentity", false);
  return Object.freeze({
    ...framing(options, settings),
    settings: Object.freeze({
      ...settings,
      ...(name === undefined ? {} : { serverName: name }),
      sendServerName: flag(options, "sendServerName", true) && name !== undefined && !isAddress(name),
      keyShares: sharesOf(options, settings.groups),
      authentication: qkd?.authenticates === true ? ("psk" as const) : authentication,
      ...(qkd === undefined ? {} : { qkd: { ...qkdSettings(qkd), peer: sae(qkd.peer, "qkd.peer") } }),
      credentials,
      serverCertificateTypes: certificateTypesOf(options, "serverCertificateTypes", X509_ALONE),
      clientCertificateTypes: certificateTypesOf(
        options,
        "clientCertificateTypes",
        ownTypes(credentials, asksForIdentity),
      ),
      ...(options.session === undefined ? {} : { session: decodeSession(options.session) }),
      requestOCSP: flag(options, "requestOCSP", false),
      resumption: flag(options, "resumption", true),
      asksForIdentity,
      insistsOnCertificate: flag(options, "insistsOnCertificate", false),
      acceptsUnverified: flag(options, "acceptsUnverified", false),
      middleboxCompatibility: flag(options, "middleboxCompatibility", true),
      permuteExtensions: flag(options, "permuteExtensions", false),
    }),
  });
}

/** Of a host that may have a certificate only when it is asked, one is expected to be X.509. */
function ownTypes(
  credentials: readonly Credential[],
  asksForIdentity: boolean,
): readonly CertificateTypeName[] {
  const types = [...new Set(credentials.map(typeOf))];
  return types.length === 0 && asksForIdentity ? X509_ALONE : types;
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
  const credentials = credentialsOf(options);
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
      asksForOcsp: flag(options, "asksForOcsp", false),
      clientAuth: oneOf(options, "clientAuth", ["none", "request", "require"], "none"),
      clientCertificateTypes: certificateTypesOf(options, "clientCertificateTypes", X509_ALONE),
      certificateAuthorities: list(options, "certificateAuthorities", "DER names", isBytes),
      ...(qkd === undefined ? {} : { qkd: { ...qkdSettings(qkd), acceptRaw: qkd.form === "raw" } }),
      ...(tickets === undefined || tickets === false ? {} : { tickets: ticketsOf(tickets) }),
      equalGroups: equalGroupsOf(options),
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
    grease: flag(options, "grease", false),
    acceptDelegatedCredentials: flag(options, "acceptDelegatedCredentials", false),
    requestSCT: flag(options, "requestSCT", false),
    keyLog: flag(options, "keyLog", false),
    now: options.now,
    publicKeyOf: keyResolver(provider, certificates),
    maxChainLength: options.limits?.chainLength ?? LIMITS.chainLength,
    maxCertificateBytes: options.limits?.handshakeMessageBytes ?? LIMITS.handshakeMessageBytes,
    certificateCompression: compressorsOf(options),
  };
}

/** Parsed certificates are public and shared by every connection of the process. */
const certificates = new CertificateCache();

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
  const maxSendFragment = maxSendFragmentOf(options);
  return { limits, maxSendFragment, ...(padding === undefined ? {} : { padding }) };
}

function paddingOf(padding: number | Padding | undefined): Padding | undefined {
  if (padding === undefined || typeof padding === "function") return padding;
  const block = whole({ padding }, "padding", padding, 1, 16_384);
  return (contentBytes) => Math.ceil(contentBytes / block) * block;
}

const isAddress = (name: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(name) || name.includes(":");
