/** What a client and a server may be told; `config.ts` checks it. */
import type {
  CertificateTypeName,
  CipherSuiteName,
  NamedGroupName,
  SignatureSchemeName,
} from "../protocol/iana.ts";
import type { CryptoProvider, HashName } from "../crypto/provider.ts";
import type { Padding } from "../record/protection.ts";
import type { PolicyName, Standing } from "../handshake/policy.ts";
import type { Credential } from "../handshake/question.ts";
import type { CertificateCompressor, TicketSealer } from "../handshake/settings.ts";
import type { Limits } from "./defaults.ts";
import type { PskOption } from "./psk.ts";

/** A preset's name, or a standing for each source; what is left out is as in the preset `pqc`. */
export type PolicyOption = PolicyName | Partial<Record<"ecdh" | "mlkem" | "qkd", Standing>>;

/** How a QKD key is announced and what it may prove. */
export interface QkdIdentityOptions {
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
  /** Best first. Those in a list of their own rank equal: a server goes by the client's order among them. */
  readonly groups?: readonly (NamedGroupName | readonly NamedGroupName[])[];
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
  /** The most content of a record that we send, 512 to 16384 bytes; default 16384, less where the peer takes less. */
  readonly maxSendFragment?: number;
  /** Pads each record up to a multiple of this many bytes. RFC 9846 §5.4. */
  readonly padding?: number | Padding;
  /** How Certificate messages may be compressed, the most wanted first; default not at all. RFC 8879. */
  readonly certificateCompression?: readonly CertificateCompressor[];
  /** Send reserved values, so that peers go on passing over what they do not know; default false. RFC 8701. */
  readonly grease?: boolean;
  /** Take a key that the peer's certificate delegated to in place of its own; default false. RFC 9345. */
  readonly acceptDelegatedCredentials?: boolean;
  /** Ask the peer for the signed certificate timestamps of its certificate, for `verify_peer` to judge; default false. */
  readonly requestSCT?: boolean;
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
  /** Have the host choose, once a server has asked for a certificate and has proven itself; default false. */
  readonly asksForIdentity?: boolean;
  /** The first that the server can verify is shown. */
  readonly credentials?: readonly Credential[];
  /**
   * Fail where the server asks for a certificate and can verify none of `credentials`, instead of going on as nobody;
   * default false, as RFC 9846 §4.5.1 has it.
   */
  readonly insistsOnCertificate?: boolean;
  /** What the server may show, best first; default X509 alone. RFC 7250. */
  readonly serverCertificateTypes?: readonly CertificateTypeName[];
  /** What we offer to show, best first; default the types of `credentials`. RFC 7250. */
  readonly clientCertificateTypes?: readonly CertificateTypeName[];
  /** Ask the server for an OCSP answer, which `verify_peer` then carries and nothing here checks; default false. */
  readonly requestOCSP?: boolean;
  readonly session?: Uint8Array;
  readonly resumption?: boolean;
  readonly acceptsUnverified?: boolean;
  readonly middleboxCompatibility?: boolean;
  /** Write the extensions of ClientHello in an order of chance; default false. */
  readonly permuteExtensions?: boolean;
}

export interface ServerOptions extends SharedOptions {
  readonly credentials?: readonly Credential[];
  readonly asksForIdentity?: boolean;
  readonly asksForPsk?: boolean;
  /** Ask the host for the OCSP answer that a client wants, instead of showing the credential's own; default false. */
  readonly asksForOcsp?: boolean;
  readonly clientAuth?: "none" | "request" | "require";
  /** What a client may show, best first; default X509 alone. RFC 7250. */
  readonly clientCertificateTypes?: readonly CertificateTypeName[];
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

/** The names of the options above; any other is refused. */
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
  "maxSendFragment",
  "padding",
  "certificateCompression",
  "grease",
  "acceptDelegatedCredentials",
  "requestSCT",
  "keyLog",
  "limits",
  "dangerous",
  "qkd",
]; // prettier-ignore
export const CLIENT = [
  ...SHARED,
  "serverName",
  "sendServerName",
  "keyShares",
  "authentication",
  "credentials",
  "asksForIdentity",
  "insistsOnCertificate",
  "serverCertificateTypes",
  "clientCertificateTypes",
  "requestOCSP",
  "session",
  "resumption",
  "acceptsUnverified",
  "middleboxCompatibility",
  "permuteExtensions",
]; // prettier-ignore
export const SERVER = [
  ...SHARED,
  "credentials",
  "asksForIdentity",
  "asksForPsk",
  "asksForOcsp",
  "clientAuth",
  "clientCertificateTypes",
  "certificateAuthorities",
  "tickets",
  "honorOwnOrder",
  "demandsCookie",
]; // prettier-ignore
