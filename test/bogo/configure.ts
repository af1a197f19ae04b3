/** The runner's flags as our own options. */
import { readFileSync } from "node:fs";
import {
  clientConfig,
  serverConfig,
  type ClientConfig,
  type ServerConfig,
} from "../../src/channel/config.ts";
import type { SharedOptions } from "../../src/channel/options.ts";
import type { PskOption } from "../../src/channel/psk.ts";
import type { TicketKeys } from "../../src/channel/tickets.ts";
import type { CryptoProvider, SigningKey } from "../../src/crypto/provider.ts";
import { schemes } from "../../src/crypto/schemes.ts";
import type { Credential } from "../../src/handshake/question.ts";
import { parseCertificate } from "../../src/pki/certificate.ts";
import { loadDelegatedIdentity } from "../../src/pki/delegated-credential.ts";
import { loadIdentity, loadRawIdentity, type Identity } from "../../src/pki/identity.ts";
import {
  CertificateType,
  type CertificateTypeName,
  type CipherSuiteName,
  NamedGroup,
  type NamedGroupName,
  type SignatureSchemeName,
} from "../../src/protocol/iana.ts";
import { COMPRESSORS } from "./compressors.ts";
import { decode, opaque, vector } from "../../src/wire/codec.ts";
import { POLICIES, Unimplemented, type CredentialFlags, type Flags } from "./flags.ts";

/** A credential of ours with its place among the runner's; the one from flags before any other counts as -1. */
export interface Numbered {
  readonly index: number;
  readonly credential?: Credential;
  readonly signingKey?: SigningKey;
  readonly psk?: PskOption;
}

/** What a connection is made with. */
export interface Setting {
  readonly config: ClientConfig | ServerConfig;
  readonly credentials: readonly Numbered[];
}

export interface Surroundings {
  readonly provider: CryptoProvider;
  readonly now: () => number;
  readonly ticketKeys: TicketKeys;
  readonly session?: Uint8Array;
}

export function configure(flags: Flags, surroundings: Surroundings): Setting {
  const credentials = credentialsOf(flags, surroundings.provider);
  return {
    config: flags.server
      ? server(flags, credentials, surroundings)
      : client(flags, credentials, surroundings),
    credentials,
  };
}

function client(
  flags: Flags,
  credentials: readonly Numbered[],
  { session, ...shared }: Surroundings,
): ClientConfig {
  const groups = groupsOf(flags);
  const shares = flags.keyShares?.map(groupName) ?? defaultShares(groups);
  const psks = credentials.some(({ psk }) => psk !== undefined);
  const [theirs, ours] = [typesOf(flags.acceptedTypes), typesOf(flags.availableTypes)];
  return clientConfig({
    ...sharedOptions(flags, credentials, shared),
    groups,
    keyShares: shares,
    ...(flags.hostName === undefined ? {} : { serverName: flags.hostName }),
    credentials: credentials.flatMap(({ credential }) => credential ?? []),
    ...(theirs === undefined ? {} : { serverCertificateTypes: theirs }),
    ...(ours === undefined ? {} : { clientCertificateTypes: ours }),
    authentication: !psks ? "certificate" : flags.verifyPeer ? "any" : "psk",
    ...(session === undefined ? {} : { session }),
    // A credential that fits nowhere is an error to the runner.
    insistsOnCertificate: credentials.some(({ credential }) => credential !== undefined),
    acceptsUnverified: !verifiesServer(flags),
    requestOCSP: flags.requestOcsp,
    permuteExtensions: flags.permuteExtensions,
    asksForIdentity: flags.rejectsHello !== undefined,
    requestSCT: flags.requestTimestamps,
    resumption: !flags.noTicket,
    alpn: protocolsOf(flags.advertiseAlpn ?? ""),
  });
}

function server(
  flags: Flags,
  credentials: readonly Numbered[],
  { ticketKeys, ...shared }: Surroundings,
): ServerConfig {
  const theirs = typesOf(flags.acceptedTypes);
  return serverConfig({
    ...sharedOptions(flags, credentials, shared),
    groups: ranked(groupsOf(flags), flags.groupFlags),
    credentials: credentials.flatMap(({ credential }) => credential ?? []),
    clientAuth: clientAuth(flags, credentials),
    asksForIdentity: flags.rejectsHello !== undefined || flags.failOcsp,
    ...(theirs === undefined ? {} : { clientCertificateTypes: theirs }),
    tickets: flags.noTicket ? false : { sealer: ticketKeys },
    honorOwnOrder: flags.serverPreference,
    certificateAuthorities: namesOf(flags.clientCaList),
    alpn: serverProtocols(flags),
  });
}

/** To the runner a pre-shared key does in place of the certificate that is required; with us "request" says so. */
function clientAuth(flags: Flags, credentials: readonly Numbered[]): "none" | "request" | "require" {
  const isRequired = flags.requireClientCertificate && credentials.every(({ psk }) => psk === undefined);
  if (isRequired) return "require";
  return flags.verifyPeer || flags.requireClientCertificate ? "request" : "none";
}

function sharedOptions(
  flags: Flags,
  credentials: readonly Numbered[],
  { provider, now }: Pick<Surroundings, "provider" | "now">,
): SharedOptions {
  const policy = flags.policy === undefined ? undefined : POLICIES[flags.policy];
  return {
    provider,
    now,
    suites: policy?.suites ?? SUITES,
    signatureSchemes: schemesOf(flags),
    policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
    psks: credentials.flatMap(({ psk }) => psk ?? []),
    ...(flags.maxSendFragment === undefined ? {} : { maxSendFragment: flags.maxSendFragment }),
    // Its own servers always do.
    grease: flags.grease || flags.server,
    certificateCompression: COMPRESSORS.filter(({ algorithm }) =>
      flags.certificateCompression.includes(algorithm),
    ),
    limits: {
      ...LIMITS,
      ...(flags.maxCertList === undefined ? {} : { handshakeMessageBytes: flags.maxCertList }),
    },
    dangerous: { allowClassical: true },
  };
}

/** A raw key that nobody verifies says nothing, so the runner takes its verification for granted. */
export const verifiesServer = ({ verifyPeer, acceptedTypes }: Flags): boolean =>
  verifyPeer || acceptedTypes.includes(CertificateType.RawPublicKey);

/** Types of certificate; undefined where the runner says nothing of them. */
function typesOf(codes: readonly number[]): readonly CertificateTypeName[] | undefined {
  if (codes.length === 0) return undefined;
  return codes.map((code) => (code === CertificateType.X509 ? "X509" : "RawPublicKey"));
}

/** What the runner takes for the defaults of the stack that it tests. */
const GROUPS = [
  "X25519MLKEM768",
  "x25519",
  "secp256r1",
  "secp384r1",
] as const satisfies readonly NamedGroupName[];

const SUITES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
] as const satisfies readonly CipherSuiteName[];
const SCHEMES = [
  "ecdsa_secp256r1_sha256",
  "rsa_pss_rsae_sha256",
  "rsa_pkcs1_sha256",
  "ecdsa_secp384r1_sha384",
  "rsa_pss_rsae_sha384",
  "rsa_pkcs1_sha384",
  "rsa_pss_rsae_sha512",
  "rsa_pkcs1_sha512",
] as const satisfies readonly SignatureSchemeName[];
/** Bounds as tight as the runner's own; the longest chain that it sends is long. */
const LIMITS = { postHandshakeMessagesPerMinute: 32, earlyDataBytes: 16_384, chainLength: 64 };

function groupsOf(flags: Flags): readonly NamedGroupName[] {
  if (flags.policy !== undefined) return POLICIES[flags.policy].groups;
  return flags.groups.length === 0 ? GROUPS : flags.groups.map(groupName);
}

/** Groups that rank equal with the next one stand in a list with it. */
function ranked(
  groups: readonly NamedGroupName[],
  flags: readonly number[],
): readonly (readonly NamedGroupName[])[] {
  const lists: NamedGroupName[][] = [];
  for (const [at, name] of groups.entries()) {
    const equal = at > 0 && flags[at - 1] === 1;
    if (equal) lists.at(-1)?.push(name);
    else lists.push([name]);
  }
  return lists;
}

function groupName(code: number): NamedGroupName {
  const found = Object.entries(NamedGroup).find(([, value]) => value === code);
  if (found === undefined) throw new Unimplemented(`the group 0x${code.toString(16)}`);
  return found[0] as NamedGroupName;
}

/** A share of the first group with ML-KEM and of the first without. */
function defaultShares(groups: readonly NamedGroupName[]): readonly NamedGroupName[] {
  const hasKem = (name: NamedGroupName): boolean => name.includes("MLKEM");
  const shared = [groups.find(hasKem), groups.find((name) => !hasKem(name))];
  return groups.filter((name) => shared.includes(name));
}

function schemesOf(flags: Flags): readonly SignatureSchemeName[] {
  const wanted = named(flags.verifyPrefs);
  if (wanted.length > 0) return wanted;
  return flags.policy === undefined ? SCHEMES : POLICIES[flags.policy].schemes;
}

/** SHA-1 with RSA and with ECDSA, rsa_pkcs1_sha256_legacy (RFC 9963), and the runner's own for MD5 with SHA-1. */
const UNNAMED = [0x0201, 0x0203, 0x0420, 0xff01];

/** The schemes that our options can name: what is asked for beyond them, the peer may try in vain. */
const named = (codes: readonly number[]): readonly SignatureSchemeName[] =>
  codes.filter((code) => !UNNAMED.includes(code)).map(schemeName);

function schemeName(code: number): SignatureSchemeName {
  const found = schemes.find((scheme) => scheme.code === code);
  if (found === undefined) throw new Unimplemented(`the signature scheme 0x${code.toString(16)}`);
  return found.name;
}

function credentialsOf(flags: Flags, provider: CryptoProvider): readonly Numbered[] {
  const [own, ...further] = flags.credentials as [CredentialFlags, ...CredentialFlags[]];
  const numbered = further.map((credential, index) => ({ credential, index }));
  if (own.certFile !== undefined) numbered.push({ credential: own, index: -1 });
  return numbered.map(({ credential, index }) => ({ index, ...credentialOf(credential, flags, provider) }));
}

function credentialOf(
  given: CredentialFlags,
  flags: Flags,
  provider: CryptoProvider,
): Omit<Numbered, "index"> {
  if (given.type === "psk") return { psk: pskOf(given) };
  const key = readFileSync(given.keyFile ?? "");
  const identity =
    given.type === "rawPublicKey"
      ? loadRawIdentity(provider, key)
      : { certificateType: "X509" as const, ...certified(given, key, provider) };
  const allowed = flags.policy === undefined ? undefined : POLICIES[flags.policy].schemes.map(String);
  const preferred = named(given.signingPrefs).filter((name) => identity.schemes.includes(name));
  const wanted = preferred.length === 0 ? identity.schemes : preferred;
  const schemes = wanted.filter((name) => allowed?.includes(name) ?? true);
  return {
    credential: {
      certificateType: identity.certificateType,
      chain: identity.chain,
      key: flags.async ? "external" : identity.key,
      schemes,
      ...(given.ocspResponse === undefined || flags.declineOcsp ? {} : { ocspResponse: given.ocspResponse }),
      ...(given.delegated === undefined ? {} : { delegatedCredential: given.delegated }),
      ...(given.timestamps === undefined
        ? {}
        : { signedCertificateTimestampList: decode(Timestamps, given.timestamps) }),
      ...(given.mustMatchIssuer === true ? { issuers: issuersOf(identity.chain) } : {}),
    },
    signingKey: identity.key,
  };
}

function certified(given: CredentialFlags, key: Uint8Array, provider: CryptoProvider): Identity {
  const cert = readFileSync(given.certFile ?? "");
  const { delegated: delegatedCredential } = given;
  return delegatedCredential === undefined
    ? loadIdentity(provider, { cert, key })
    : loadDelegatedIdentity(provider, { cert, key, delegatedCredential });
}

/** RFC 6962 §3.3, but that it may be empty, for our options to refuse. */
const Timestamps = vector(2, opaque(2));

const issuersOf = (chain: readonly Uint8Array[]): readonly Uint8Array[] =>
  chain.map((der) => parseCertificate(der).issuer.der);

function pskOf({ pskKey, pskIdentity, pskContext, pskHash }: CredentialFlags): PskOption {
  return {
    identity: pskIdentity ?? new Uint8Array(0),
    key: pskKey ?? new Uint8Array(0),
    importContext: pskContext ?? new Uint8Array(0),
    ...(pskHash === undefined ? {} : { hash: pskHash }),
  };
}

/** Names with their lengths in front, as in the extension. */
function protocolsOf(list: string): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at < list.length; at += 1 + list.charCodeAt(at)) {
    names.push(list.slice(at + 1, at + 1 + list.charCodeAt(at)));
  }
  return names;
}

function serverProtocols(flags: Flags): readonly string[] {
  if (flags.declineAlpn) return [];
  if (flags.rejectAlpn) return ["no client offers this"];
  return flags.selectAlpn === undefined ? [] : [flags.selectAlpn];
}

/** Distinguished names in hexadecimal with commas between them. */
function namesOf(list = ""): readonly Uint8Array[] {
  if (list === "" || list === "<EMPTY>" || list === "<NULL>") return [];
  return list.split(",").map((hex) => new Uint8Array(Buffer.from(hex, "hex")));
}

/** The certificates of a PEM file. */
export function leafOf(file: string): Uint8Array {
  const pem = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  return parseCertificate(new Uint8Array(Buffer.from(pem, "base64"))).der;
}
