/** The options that all commands with a channel share, and how they become options of the library. */
import type { Command } from "commander";
import { PRESETS, type PolicyName } from "../handshake/policy.ts";
import type { CertificateCompressionName } from "../node/certificate-compression.ts";
import type { ConnectOptions, ContextOptions, ServerOptions } from "../node/options.ts";
import { utf8 } from "../protocol/bytes.ts";
import {
  CertificateCompressionAlgorithm,
  CipherSuite,
  NamedGroup,
  type CipherSuiteName,
  type NamedGroupName,
} from "../protocol/iana.ts";
import { addIdentity, identity, passphrase, stapled } from "./identity-options.ts";
import { PSK_HASHES, pskOptions, qkdOptions, reserved } from "./key-options.ts";
import { bad, collect, needed, oneOf, readPem, seconds, wholeNumber } from "./value.ts";

export { formatEndpoint, parseEndpoint, type Endpoint } from "./value.ts";

/** What commander collects for both sides; the values are still text. */
export interface ChannelFlags {
  readonly cert?: string;
  readonly key?: string;
  readonly cert2?: string;
  readonly key2?: string;
  readonly cert3?: string;
  readonly key3?: string;
  readonly cert4?: string;
  readonly key4?: string;
  readonly rawKey?: string;
  readonly peerKey?: readonly string[];
  readonly passphraseFile?: string;
  readonly ca?: readonly string[];
  readonly groups?: string;
  readonly suites?: string;
  readonly alpn?: readonly string[];
  readonly psk?: readonly string[];
  readonly pskFile?: string;
  readonly pskHash?: string;
  readonly pskKe?: boolean;
  readonly pskImport?: boolean;
  readonly pskContext?: string;
  readonly kme?: string;
  readonly sae?: string;
  readonly peerSae?: readonly string[];
  readonly kmeCa?: string;
  readonly kmeCert?: string;
  readonly kmeKey?: string;
  readonly qkdRaw?: boolean;
  readonly qkdAuthenticates?: boolean;
  readonly policy?: string;
  readonly production?: boolean;
  readonly dangerouslyAllowClassical?: boolean;
  readonly keylog?: string;
  readonly recordSizeLimit?: string;
  readonly maxSendFragment?: string;
  readonly padding?: string;
  readonly certificateCompression?: string;
  readonly grease?: boolean;
  readonly acceptDelegated?: boolean;
  readonly timeout?: string;
  readonly json?: boolean;
}

export interface ClientFlags extends ChannelFlags {
  readonly servername?: string;
  readonly insecure?: boolean;
  readonly permuteExtensions?: boolean;
  readonly qkdReserve?: string;
}

export interface ServerFlags extends ChannelFlags {
  readonly requestCert?: boolean;
  readonly requireCert?: boolean;
  readonly ocspResponse?: string;
  readonly tickets?: string;
}

/** Adds the options of a client's channel to a command. */
export function addClientOptions(command: Command): Command {
  addIdentity(command);
  addShared(command, "the SAE at the other end");
  return addClientOnly(command);
}

/** Adds the options of both sides to a command that may be either. */
export function addEitherOptions(command: Command): Command {
  return addClientOnly(addServerOptions(command));
}

/** Adds the options of a server's channel to a command. */
export function addServerOptions(command: Command): Command {
  addIdentity(command)
    .option(
      "--request-cert",
      "ask clients for a certificate; without a valid one they are served as unverified",
    )
    .option("--require-cert", "serve only clients with a certificate that --ca vouches for")
    .option("--ocsp-response <file>", "an OCSP response (DER) about --cert, for clients that ask for one");
  addShared(command, "an SAE that may connect; repeat for several (default: any that the KME links)");
  return command.option("--tickets <n>", "session tickets for each connection, 0 for none (default: 2)");
}

/** The library's options for `connect`. Throws a UsageError that names the option at fault. */
export function clientOptions(flags: ClientFlags): ConnectOptions {
  const qkd = qkdOptions(flags, () => passphrase(flags));
  const peers = flags.peerSae ?? [];
  if (qkd !== undefined && peers.length === 0)
    throw needed("--peer-sae", "--kme needs the SAE ID of the server");
  if (peers.length > 1) throw bad("--peer-sae", "a client has one peer");
  const shared = contextOptions(flags);
  return {
    ...shared,
    ...(qkd === undefined ? {} : { qkd: { ...reserved(qkd, flags, peers[0] ?? ""), peer: peers[0] ?? "" } }),
    ...(flags.servername === undefined ? {} : { servername: named(flags.servername, "--servername") }),
    ...(flags.insecure === true ? { rejectUnauthorized: false } : {}),
    ...(flags.permuteExtensions === true ? { permuteExtensions: true } : {}),
    ...handshakeTimeout(flags),
    allowHalfOpen: true,
  };
}

/** The library's options for `createServer`. Throws a UsageError that names the option at fault. */
export function serverOptions(flags: ServerFlags): ServerOptions {
  const qkd = qkdOptions(flags, () => passphrase(flags));
  const { requestCert = false, requireCert = false } = flags;
  if (requireCert && flags.ca === undefined && flags.peerKey === undefined)
    throw needed("--ca", "--require-cert needs to know whom to trust (--ca or --peer-key)");
  const shared = contextOptions(flags);
  return {
    ...shared,
    ...stapled(flags),
    ...(qkd === undefined
      ? {}
      : { qkd: { ...qkd, ...(flags.peerSae === undefined ? {} : { allow: flags.peerSae }) } }),
    ...(requestCert || requireCert ? { requestCert: true, rejectUnauthorized: requireCert } : {}),
    ...(flags.tickets === undefined ? {} : { tickets: wholeNumber(flags.tickets, "--tickets", 0, 16) }),
    ...handshakeTimeout(flags),
    allowHalfOpen: true,
    keepAlive: true,
  };
}

function addClientOnly(command: Command): Command {
  return command
    .option("--servername <name>", "the name that the server's certificate must carry (default: the host)")
    .option("--insecure", "go on with a server that cannot be verified; the evidence says so")
    .option("--permute-extensions", "write the extensions of ClientHello in an order of chance")
    .option("--qkd-reserve <n>", "draw this many keys ahead, as a client");
}

function addShared(command: Command, peerSae: string): void {
  command
    .option(
      "--policy <name>",
      `which secrets must protect: ${Object.keys(PRESETS).join(", ")} (default: hybrid with --kme, else pqc)`,
    )
    .option(
      "--kme <url>",
      "take QKD keys from the KME at https://host:port or unix:/path, by ETSI GS QKD 014",
    )
    .option("--sae <id>", "our SAE ID: the common name of the certificate that the KME knows us by")
    .option("--peer-sae <id>", peerSae, collect)
    .option("--kme-ca <file>", "who vouches for the KME (default: --ca)")
    .option("--kme-cert <file>", "our certificate for the KME (default: --cert)")
    .option("--kme-key <file>", "its private key (default: --key)")
    .option("--qkd-raw", "announce QKD keys as plain external PSKs, for peers without RFC 9258")
    .option("--qkd-authenticates", "let the QKD key prove who the peer is, without certificates")
    .option("--production", "refuse QKD keys that come from a simulator")
    .option(
      "--psk <identity:hex>",
      "a pre-shared key; repeat for several. Others on this machine can see it: prefer --psk-file",
      collect,
    )
    .option("--psk-file <file>", "pre-shared keys, a line identity:hex each, or JSON; mode 0600")
    .option(
      "--psk-hash <name>",
      `the hash that the pre-shared keys are for: ${PSK_HASHES.join(" or ")} (default: sha256)`,
    )
    .option("--psk-import", "import the pre-shared keys by RFC 9258 instead of using them as they are")
    .option("--psk-context <text>", "the context that both sides import them with; implies --psk-import")
    .option("--psk-ke", "allow pre-shared keys without a key exchange; gives up forward secrecy")
    .option("--groups <a:b>", `key exchange groups in order: ${Object.keys(NamedGroup).join(", ")}`)
    .option("--suites <a:b>", `cipher suites in order: ${Object.keys(CipherSuite).join(", ")}`)
    .option("--alpn <a,b>", "application protocols, the most wanted first; may be repeated", collect)
    .option("--dangerously-allow-classical", "permit connections that neither ML-KEM nor QKD protects")
    .option("--record-size-limit <bytes>", "the largest record we accept, 64 to 16385 (RFC 8449)")
    .option("--max-send-fragment <bytes>", "the largest record we send, 512 to 16384 (default: 16384)")
    .option("--padding <bytes>", "pad records up to a multiple of this, 1 to 16384")
    .option(
      "--certificate-compression <a,b>",
      "let certificates be compressed (RFC 8879), the most wanted first: zlib, brotli, zstd",
    )
    .option(
      "--keylog <file>",
      "append the connection's secrets, for Wireshark; whoever reads it reads the traffic",
    )
    .option("--accept-delegated", "take a key that the peer's certificate delegated to (RFC 9345)")
    .option("--grease", "send reserved values, which the peer has to pass over (RFC 8701)")
    .option("--timeout <seconds>", "time limit for the handshake (default: 30)")
    .option("--json", "events as JSON, one object a line");
}

function contextOptions(flags: ChannelFlags): ContextOptions {
  const psks = pskOptions(flags);
  const keys = [flags.key, flags.rawKey, flags.kmeKey];
  if (flags.passphraseFile !== undefined && keys.every((key) => key === undefined))
    throw needed("--key", "--passphrase-file is for a private key");
  return {
    ...identity(flags),
    ...(flags.peerKey === undefined
      ? {}
      : { rawPublicKeys: flags.peerKey.map((path) => readPem(path, "--peer-key")) }),
    ...(flags.ca === undefined ? {} : { ca: flags.ca.map((path) => readPem(path, "--ca")) }),
    ...(flags.policy === undefined ? {} : { policy: policyName(flags.policy) }),
    ...(flags.production === true ? { production: true } : {}),
    ...(flags.dangerouslyAllowClassical === true ? { dangerous: { allowClassical: true } } : {}),
    ...(psks.length === 0 ? {} : { psk: psks }),
    ...(flags.pskKe === true ? { pskKe: true } : {}),
    ...(flags.groups === undefined ? {} : { groups: groups(flags.groups) }),
    ...(flags.suites === undefined ? {} : { suites: suites(flags.suites) }),
    ...(flags.alpn === undefined ? {} : { ALPNProtocols: protocols(flags.alpn) }),
    ...(flags.recordSizeLimit === undefined
      ? {}
      : { recordSizeLimit: wholeNumber(flags.recordSizeLimit, "--record-size-limit", 64, 16_385) }),
    ...(flags.maxSendFragment === undefined
      ? {}
      : { maxSendFragment: wholeNumber(flags.maxSendFragment, "--max-send-fragment", 512, 16_384) }),
    ...(flags.padding === undefined ? {} : { padding: wholeNumber(flags.padding, "--padding", 1, 16_384) }),
    ...(flags.certificateCompression === undefined
      ? {}
      : { certificateCompression: compressions(flags.certificateCompression) }),
    ...(flags.grease === true ? { grease: true } : {}),
    ...(flags.acceptDelegated === true ? { acceptDelegatedCredentials: true } : {}),
    ...(flags.keylog === undefined ? {} : { keylog: true }),
  };
}

const handshakeTimeout = (flags: ChannelFlags): { handshakeTimeout?: number } =>
  flags.timeout === undefined ? {} : { handshakeTimeout: seconds(flags.timeout, "--timeout") };

function policyName(text: string): PolicyName {
  return oneOf(text, "--policy", Object.keys(PRESETS) as PolicyName[]); // Object.keys forgets the names.
}

function groups(text: string): readonly NamedGroupName[] {
  const known = Object.keys(NamedGroup) as NamedGroupName[]; // Object.keys forgets the names.
  return listed(text, "--groups", (word) =>
    oneOf(GROUP_ALIASES[word.toLowerCase()] ?? word, "--groups", known),
  );
}

/** Other names that OpenSSL and NIST have for the curves. */
const GROUP_ALIASES: Readonly<Record<string, NamedGroupName>> = {
  "p-256": "secp256r1",
  "p-384": "secp384r1",
  "p-521": "secp521r1",
  prime256v1: "secp256r1",
};

function suites(text: string): readonly CipherSuiteName[] {
  const known = Object.keys(CipherSuite) as CipherSuiteName[]; // Object.keys forgets the names.
  return listed(text, "--suites", (word) => oneOf(word, "--suites", known));
}

function compressions(text: string): readonly CertificateCompressionName[] {
  const option = "--certificate-compression";
  const known = Object.keys(CertificateCompressionAlgorithm) as CertificateCompressionName[]; // It forgets the names.
  return listed(text, option, (word) => oneOf(word, option, known));
}

function listed<T>(text: string, option: string, read: (word: string) => T): readonly T[] {
  const found = text.split(/[:,]/).map((word) => read(word.trim()));
  if (new Set(found).size !== found.length) throw bad(option, "names something twice");
  return found;
}

function protocols(given: readonly string[]): readonly string[] {
  return given
    .flatMap((text) => text.split(","))
    .map((name) => {
      const { length } = utf8(name);
      if (length === 0 || length > 255) throw bad("--alpn", "a protocol's name has 1 to 255 bytes");
      return name;
    });
}

function named(text: string, option: string): string {
  if (text === "" || text.length > 255 || /[\s\p{Cc}]/u.test(text))
    throw bad(option, `${JSON.stringify(text)} is no host name`);
  return text;
}
