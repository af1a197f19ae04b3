/** What one side is, trusts and allows, read once and shared by its connections. */
import { rootCertificates } from "node:tls";
import { utf8 } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import {
  CipherSuite,
  NamedGroup,
  SignatureScheme,
  type CipherSuiteName,
  type SignatureSchemeName,
} from "../protocol/iana.ts";
import { nodeProvider } from "../crypto/node.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { trustAnchors, type TrustAnchors } from "../pki/anchors.ts";
import { CertificateCache } from "../pki/certificate.ts";
import { certificatesFromPem } from "../pki/pem.ts";
import { VerifiedPathCache } from "../pki/verify.ts";
import type { SharedOptions } from "../channel/options.ts";
import type { PskOption } from "../channel/psk.ts";
import { flag } from "../protocol/options.ts";
import type { Credential } from "../handshake/question.ts";
import type { CertificateCompressor } from "../handshake/settings.ts";
import { readCredentials } from "./credentials.ts";
import { compressorsNamed } from "./certificate-compression.ts";
import { checkOptionNames, CONTEXT_OPTIONS } from "./option-names.ts";
import { listOf, type ContextOptions, type ExternalSigner, type Pem } from "./options.ts";
import { readPublicKeys } from "./raw-keys.ts";

/** A checked set of options; make one with `createSecureContext`. */
export class SecureContext {
  readonly provider: CryptoProvider;
  readonly credentials: readonly (Credential & { readonly sign?: ExternalSigner })[];
  /** They hold keys, which a printed context must not show. */
  readonly #options: ContextOptions;
  readonly certificates = sharedCertificates;
  readonly verified = sharedPaths;
  /** Raw public keys of peers, DER; undefined where none were given. */
  readonly rawPublicKeys: readonly Uint8Array[] | undefined;
  readonly #compressors: readonly CertificateCompressor[];
  #anchors: TrustAnchors | undefined;

  constructor(options: ContextOptions) {
    this.#options = options;
    this.provider = options.provider ?? defaultProvider();
    this.credentials = readCredentials(this.provider, options);
    this.rawPublicKeys =
      options.rawPublicKeys === undefined ? undefined : readPublicKeys(listOf(options.rawPublicKeys));
    this.#compressors = compressorsNamed(options.certificateCompression ?? []);
    if (options.ca !== undefined) this.#anchors = readAnchors(options.ca);
    checkVersions(options);
    for (const name of FLAGS) flag(options, name, false);
  }

  get options(): ContextOptions {
    return this.#options;
  }

  /** The trust anchors; Node's own roots are read at first use. */
  get anchors(): TrustAnchors {
    this.#anchors ??= defaultAnchors();
    return this.#anchors;
  }

  /** The part of the channel's options that every connection of this context shares. */
  get shared(): SharedOptions {
    const { options } = this;
    const suites = options.suites ?? listed(options.ciphers, "ciphers", CipherSuite);
    const groups = options.groups ?? listed(options.ecdhCurve, "ecdhCurve", NamedGroup);
    const schemes = options.signatureSchemes ?? listed(options.sigalgs, "sigalgs", SignatureScheme);
    return {
      provider: this.provider,
      now: Date.now,
      ...(suites === undefined ? {} : { suites: suites as readonly CipherSuiteName[] }),
      ...(groups === undefined ? {} : { groups: groups as NonNullable<SharedOptions["groups"]> }),
      ...(schemes === undefined ? {} : { signatureSchemes: schemes as readonly SignatureSchemeName[] }),
      ...(options.ALPNProtocols === undefined ? {} : { alpn: options.ALPNProtocols }),
      ...pick(options, [
        "policy",
        "production",
        "dangerous",
        "pskKe",
        "recordSizeLimit",
        "maxSendFragment",
        "padding",
        "grease",
        "limits",
        "acceptDelegatedCredentials",
      ]),
      certificateCompression: this.#compressors,
      psks: listOf(options.psk),
    };
  }
}

const FLAGS = [
  "production",
  "acceptDelegatedCredentials",
  "pskKe",
  "grease",
  "rejectUnauthorized",
  "keylog",
] as const;

/** Runs what makes a channel's configuration; a refusal names the option as it is called here. */
export function inOurWords<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    const option = error instanceof UsageError ? OUR_WORDS[error.option ?? ""] : undefined;
    if (!(error instanceof UsageError) || option === undefined) throw error;
    throw new UsageError(error.code, `${option}: ${error.message}`, { option, cause: error });
  }
}
const OUR_WORDS: Readonly<Record<string, string>> = {
  alpn: "ALPNProtocols",
  count: "tickets",
  honorOwnOrder: "honorCipherOrder",
  lifetimeSeconds: "sessionTimeout",
  psks: "psk",
  serverName: "servername",
};

/** Reads certificates, keys and anchors. Throws a UsageError naming the option. */
export function createSecureContext(options: ContextOptions = {}): SecureContext {
  checkOptionNames(options, CONTEXT_OPTIONS, "createSecureContext");
  return new SecureContext(options);
}

/** The context that was given, or that of the options. Throws a UsageError for an option that both would hold. */
export function contextOf(
  options: ContextOptions & { readonly secureContext?: SecureContext },
): SecureContext {
  const { secureContext } = options;
  if (secureContext === undefined) return contextFor(options);
  const option = CONTEXT_OPTIONS.find((name) => options[name] !== undefined);
  if (option === undefined) return secureContext;
  throw new UsageError(
    "ERR_OPTION_INVALID",
    `${option}: give it to createSecureContext, not beside its result`,
    { option },
  );
}

/**
 * The context of these options; the last few are remembered, so that many connections with the same share one.
 * Lists and plain objects are compared by what is in them, because callers write them anew for each call.
 */
export function contextFor(options: ContextOptions): SecureContext {
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && isContextOption(name)) own[name] = snapshot(value);
  }
  const known = recent.find((context) => sameOptions(context.options, own));
  if (known !== undefined) return known;
  const context = new SecureContext(own);
  recent.unshift(context);
  recent.length = Math.min(recent.length, RECENT);
  return context;
}

const contextOptions: ReadonlySet<string> = new Set(CONTEXT_OPTIONS);
const isContextOption = (name: string): boolean => contextOptions.has(name);

function sameOptions(known: object, given: Readonly<Record<string, unknown>>): boolean {
  const [before, now] = [Object.entries(known), Object.entries(given)];
  return before.length === now.length && before.every(([name, value]) => sameValue(value, given[name]));
}

function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return (
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((each, at) => each === b[at] || (Array.isArray(each) && sameValue(each, b[at])))
    );
  if (!isLiteral(a) || !isLiteral(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** A copy of what a caller might change later. */
function snapshot(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((each: unknown) => (Array.isArray(each) ? [...(each as readonly unknown[])] : each));
  return isLiteral(value) ? { ...value } : value;
}

const isLiteral = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const RECENT = 8;
const recent: SecureContext[] = [];

// Certificates and verified chains are public facts, kept once for the whole process and bounded.
const sharedCertificates = new CertificateCache();
const sharedPaths = new VerifiedPathCache();

/** The provider that every context uses unless it is given another. */
function defaultProvider(): CryptoProvider {
  const made = provider ?? nodeProvider();
  provider = made;
  return made;
}
let provider: CryptoProvider | undefined;

function defaultAnchors(): TrustAnchors {
  const read = roots ?? readAnchors(rootCertificates);
  roots = read;
  return read;
}
let roots: TrustAnchors | undefined;

function readAnchors(ca: Pem | readonly Pem[]): TrustAnchors {
  return trustAnchors(listOf<Pem>(ca).flatMap((pem) => certificatesFromPem(pem, "ca")));
}

function checkVersions({ minVersion, maxVersion }: ContextOptions): void {
  const older = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
  if (minVersion !== undefined && !older.includes(minVersion)) throw badVersion("minVersion", minVersion);
  if (maxVersion !== undefined && maxVersion !== "TLSv1.3") throw badVersion("maxVersion", maxVersion);
}

function badVersion(option: string, value: string): UsageError {
  return new UsageError("ERR_OPTION_UNSUPPORTED", `${option}: only TLS 1.3 is spoken, not ${value}`, {
    option,
  });
}

/** Names separated by colons, in any case, as node:tls takes them. */
function listed(text: string | undefined, option: string, registry: object): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const known = Object.keys(registry);
  return text.split(":").map((word) => {
    const name = known.find(
      (each) => each.toLowerCase() === (ALIASES[word.toLowerCase()] ?? word.toLowerCase()),
    );
    if (name === undefined) {
      throw new UsageError("ERR_OPTION_INVALID", `${option}: ${word} is none of ${known.join(", ")}`, {
        option,
      });
    }
    return name;
  });
}
const ALIASES: Readonly<Record<string, string>> = {
  "p-256": "secp256r1",
  "p-384": "secp384r1",
  "p-521": "secp521r1",
  prime256v1: "secp256r1",
};

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked;
}

/** What pskCallback answered, as a static PSK. */
export function callbackPsk(identity: string, psk: Uint8Array): PskOption {
  return { identity: utf8(identity), key: psk };
}
