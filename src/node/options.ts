/** The options of `connect`, `createServer` and `createSecureContext`: those of node:tls, and ours. */
import type { KeyObject } from "node:crypto";
import type { Socket, TcpNetConnectOpts, IpcNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { PeerCertificate } from "node:tls";
import type { PolicyOption } from "../channel/options.ts";
import type { Limits } from "../channel/defaults.ts";
import type { PskOption } from "../channel/psk.ts";
import { flag, LONGEST_MS, whole } from "../protocol/options.ts";
import type { CryptoProvider, HashName } from "../crypto/provider.ts";
import type { Credential } from "../handshake/question.ts";
import type {
  CertificateTypeName,
  CipherSuiteName,
  NamedGroupName,
  SignatureSchemeName,
} from "../protocol/iana.ts";
import type { KeySource } from "../qkd/source.ts";
import type { Padding } from "../record/protection.ts";
import type { CertificateCompressionName } from "./certificate-compression.ts";
import type { SecureContext } from "./context.ts";

export type Pem = string | Uint8Array;

/** Where QKD keys come from, and between whom. */
export interface QkdOptions {
  readonly source: KeySource;
  /** The SAE ID of the peer; needed by clients, ignored by servers. */
  readonly peer?: string;
  /** Our own SAE ID; default that of the source. */
  readonly sae?: string;
  /** `raw` announces keys to peers without RFC 9258; default `imported`. */
  readonly form?: "imported" | "raw";
  /** The hash of raw keys; default sha256. */
  readonly rawHash?: HashName;
  /** Let the key alone authenticate, without certificates; default false. */
  readonly authenticates?: boolean;
  /** SAE IDs that may announce keys to this server; default any. */
  readonly allow?: readonly string[] | ((sae: string) => boolean);
  /** For one draw or look-up, in milliseconds; default 5000. */
  readonly timeoutMs?: number;
  /** Look-ups under way at once; default 64. */
  readonly maxConcurrent?: number;
  /** Look-ups a minute for one SAE; default 600. */
  readonly maxPerPeerPerMinute?: number;
}

export interface ContextOptions {
  /** Trust anchors in PEM; default Node's own roots. */
  readonly ca?: Pem | readonly Pem[];
  /** Own certificate chain in PEM; several for several key types, each with its `key`. */
  readonly cert?: Pem | readonly Pem[];
  readonly key?: Pem | KeyObject | readonly (Pem | KeyObject)[];
  /** Own private key that is shown as a raw public key, without a certificate; several for several kinds. RFC 7250. */
  readonly rawKey?: Pem | KeyObject | readonly (Pem | KeyObject)[];
  /**
   * The raw public keys of peers that we trust: PEM ("PUBLIC KEY"), DER SubjectPublicKeyInfo or KeyObject. With them,
   * and without `ca`, a peer has to show one of them. A key carries no name: trust for one peer what is that peer's
   * alone, for who may enrol a key of another's can pass for it (RFC 9846 §F.9).
   */
  readonly rawPublicKeys?: Pem | KeyObject | readonly (Pem | KeyObject)[];
  readonly passphrase?: string;
  /** An OCSP response (DER) about `cert`, for clients that ask; whoever listens to OCSPRequest answers instead. */
  readonly ocspResponse?: Uint8Array;
  /** Signed certificate timestamps of `cert`, each as a log gave it, for peers that ask. RFC 6962 §3.3.1. */
  readonly signedCertificateTimestampList?: readonly Uint8Array[];
  /** Keys that certificates delegated to for some days; shown before `cert`, to peers that take them. RFC 9345. */
  readonly delegatedCredentials?: readonly DelegatedOptions[];
  /** Take a key that the peer's certificate delegated to in place of its own; default false. RFC 9345. */
  readonly acceptDelegatedCredentials?: boolean;
  /** Ready credentials, whose key may live elsewhere (`key: "external"` with `sign`). */
  readonly credentials?: readonly (Credential & { readonly sign?: ExternalSigner })[];
  readonly provider?: CryptoProvider;
  readonly policy?: PolicyOption;
  readonly production?: boolean;
  readonly dangerous?: { readonly allowClassical?: boolean };
  readonly psk?: PskOption | readonly PskOption[];
  readonly pskKe?: boolean;
  readonly qkd?: QkdOptions;
  readonly suites?: readonly CipherSuiteName[];
  /** Best first. Those in a list of their own rank equal: a server goes by the client's order among them. */
  readonly groups?: readonly (NamedGroupName | readonly NamedGroupName[])[];
  readonly signatureSchemes?: readonly SignatureSchemeName[];
  /** As in node:tls: suites separated by colons. */
  readonly ciphers?: string;
  /** As in node:tls: groups separated by colons. */
  readonly ecdhCurve?: string;
  /** As in node:tls: signature schemes separated by colons. */
  readonly sigalgs?: string;
  readonly minVersion?: string;
  readonly maxVersion?: string;
  readonly ALPNProtocols?: readonly string[];
  readonly recordSizeLimit?: number;
  /** The most content of a record that we send, 512 to 16384 bytes. See also `setMaxSendFragment` of the socket. */
  readonly maxSendFragment?: number;
  readonly padding?: number | Padding;
  /**
   * Algorithms for Certificate messages, the most wanted first, as in node:tls; default none. RFC 8879.
   * zstd needs Node 22.15 or 23.8.
   */
  readonly certificateCompression?: readonly CertificateCompressionName[];
  /** Send reserved values, so that peers go on passing over what they do not know; default false. RFC 8701. */
  readonly grease?: boolean;
  readonly limits?: Partial<Limits>;
  /** Default true: a peer that cannot be verified ends the connection. */
  readonly rejectUnauthorized?: boolean;
  /** Replaces the check of the server's name. As in node:tls. */
  readonly checkServerIdentity?: (hostname: string, certificate: PeerCertificate) => Error | undefined;
  /**
   * A further verdict on a peer whose chain is valid, or whose raw key is trusted; throwing, or false, refuses it. May
   * take its time. A raw key that no list vouches for needs a `true`.
   */
  readonly verifyPeer?: (peer: PeerToVerify) => void | boolean | Promise<void | boolean>;
  /** Emit `keylog` events; default only when somebody listens on the server. */
  readonly keylog?: boolean;
}

/** A key that signs in the place of a certificate's own, which need not be here. */
export interface DelegatedOptions {
  /** Leaf first. */
  readonly cert: Pem;
  /** The delegated key, as `key` is given elsewhere. */
  readonly key: Pem | KeyObject;
  /** The DelegatedCredential of RFC 9345 §4, encoded. */
  readonly delegatedCredential: Uint8Array;
}

/** A signature by a key that never comes here. */
export type ExternalSigner = (algorithm: string, message: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** What a server said when it asked a client for a certificate. */
export interface CertificateWanted {
  readonly certificateType: CertificateTypeName;
  /** Those that the server can verify, as far as we know them. */
  readonly signatureSchemes: readonly SignatureSchemeName[];
  /** DER names of the CAs that the server trusts; empty where it says nothing of them. */
  readonly authorities: readonly Uint8Array[];
}

export interface PeerToVerify {
  readonly purpose: "server" | "client";
  /** DER, leaf first; of the type RawPublicKey the one SubjectPublicKeyInfo. */
  readonly chain: readonly Uint8Array[];
  readonly certificateType: CertificateTypeName;
  readonly name?: string;
  /** Where the leaf delegated to another key, which signed: the DelegatedCredential, already checked. RFC 9345. */
  readonly delegatedCredential?: Uint8Array;
  /** The server's OCSP answer (DER), where `requestOCSP` asked for it and it came; to judge it is yours. */
  readonly ocspResponse?: Uint8Array;
  /** Signed certificate timestamps beside the leaf, where `requestSCT` asked and they came; to judge them is yours. */
  readonly signedCertificateTimestampList?: readonly Uint8Array[];
}

export interface ConnectOptions
  extends ContextOptions,
    Partial<Omit<TcpNetConnectOpts & IpcNetConnectOpts, "timeout" | "onread" | "signal">> {
  readonly secureContext?: SecureContext;
  /** A transport that is already there: a socket or any Duplex. */
  readonly socket?: Duplex;
  /** The name to verify and to send; default the host, else localhost. `""` sends none and verifies the host. */
  readonly servername?: string;
  /** What the server may prove itself with; `any` takes a certificate or a pre-shared key. */
  readonly authentication?: "certificate" | "psk" | "any";
  /** How many groups, from the front, get a key share in the first ClientHello, or which. */
  readonly keyShares?: number | readonly NamedGroupName[];
  /**
   * Chooses what a server is shown that asks for a certificate and has proven itself: a context with credentials, one
   * without any to show none, or undefined for those of this connection's own. May take its time; throwing ends the connection.
   */
  readonly certificateCallback?: (
    request: CertificateWanted,
  ) => SecureContext | undefined | null | Promise<SecureContext | undefined | null>;
  /** Fail where the server asks for a certificate and can verify none of ours, instead of going on as nobody; default false. */
  readonly insistsOnCertificate?: boolean;
  /** What the server may show, best first; default X509, or RawPublicKey with `rawPublicKeys`. RFC 7250. */
  readonly serverCertificateTypes?: readonly CertificateTypeName[];
  /** What we offer to show, best first; default what we have: certificates before raw keys. RFC 7250. */
  readonly clientCertificateTypes?: readonly CertificateTypeName[];
  /** Ask the server for an OCSP answer, which goes to `verifyPeer`; none has to come. RFC 6066 §8. */
  readonly requestOCSP?: boolean;
  /** Ask the server for signed certificate timestamps, which go to `verifyPeer`; none have to come. RFC 6962 §3.3.1. */
  readonly requestSCT?: boolean;
  readonly middleboxCompatibility?: boolean;
  /** Write the extensions of ClientHello in an order of chance; default false. */
  readonly permuteExtensions?: boolean;
  readonly resumption?: boolean;
  /** A session from an earlier `session` event. */
  readonly session?: Uint8Array;
  readonly pskCallback?: (hint: null) => { readonly psk: Uint8Array; readonly identity: string } | null;
  /** Milliseconds; default 30000. */
  readonly handshakeTimeout?: number;
  readonly allowHalfOpen?: boolean;
  readonly timeout?: number;
  readonly highWaterMark?: number;
  readonly signal?: AbortSignal;
}

/** Where sessions wait for their tickets, when tickets shall not hold them. */
export interface TicketStore {
  get(ticket: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  set(ticket: Uint8Array, state: Uint8Array, lifetimeSeconds: number): void | Promise<void>;
}

export interface ServerOptions extends ContextOptions {
  readonly secureContext?: SecureContext;
  readonly requestCert?: boolean;
  /** Where `requestCert` asks for a certificate, ask for its signed certificate timestamps too, for `verifyPeer`. */
  readonly requestSCT?: boolean;
  /** What a client may show, best first; default X509, or RawPublicKey with `rawPublicKeys`. RFC 7250. */
  readonly clientCertificateTypes?: readonly CertificateTypeName[];
  readonly SNICallback?: (
    servername: string,
    callback: (error: Error | null, context?: SecureContext) => void,
  ) => void;
  readonly pskCallback?: (
    socket: Duplex,
    identity: string,
  ) => Uint8Array | null | undefined | Promise<Uint8Array | null | undefined>;
  /** 48 bytes that servers share; rotate them with `setTicketKeys`. */
  readonly ticketKeys?: Uint8Array;
  readonly ticketStore?: TicketStore;
  /** Tickets per connection; 0 or false for none. Default 2. */
  readonly tickets?: number | false;
  /** How long a session may be resumed, in seconds; default 7200. */
  readonly sessionTimeout?: number;
  readonly honorCipherOrder?: boolean;
  readonly demandsCookie?: boolean;
  readonly handshakeTimeout?: number;
  readonly allowHalfOpen?: boolean;
  readonly highWaterMark?: number;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly pauseOnConnect?: boolean;
  readonly signal?: AbortSignal;
}

/** One value, several or none. */
export function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

const HANDSHAKE_TIMEOUT_MS = 30_000;

/** What either side says about the stream itself. Throws a UsageError. */
export function streamOptions(options: ConnectOptions | ServerOptions): {
  readonly handshakeTimeoutMs: number;
  readonly allowHalfOpen: boolean;
  readonly highWaterMark?: number;
} {
  return {
    handshakeTimeoutMs: whole(options, "handshakeTimeout", HANDSHAKE_TIMEOUT_MS, 1, LONGEST_MS),
    allowHalfOpen: flag(options, "allowHalfOpen", false),
    ...((options.highWaterMark ?? undefined) === undefined
      ? {}
      : { highWaterMark: whole(options, "highWaterMark", 0, 0) }),
  };
}

/** True for a socket of node:net, which has an address and timers of its own. */
export const isNetSocket = (transport: Duplex): transport is Socket =>
  "remoteAddress" in transport && "setNoDelay" in transport;
