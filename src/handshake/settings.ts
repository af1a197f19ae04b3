import type { KeyExchangeGroup } from "../crypto/groups.ts";
import type { CryptoProvider, HashName, VerifyingKey } from "../crypto/provider.ts";
import type { Suite } from "../crypto/suites.ts";
import type { CertificateTypeName, SignatureSchemeName } from "../protocol/iana.ts";
import type { Policy } from "./policy.ts";
import type { Credential } from "./question.ts";
import type { Session } from "./session.ts";

/** A static external PSK as provisioned. */
export interface StaticPsk {
  readonly identity: Uint8Array;
  readonly key: Uint8Array;
  readonly hash: HashName;
  /** Set when the PSK is imported by RFC 9258; the context both sides agreed on, possibly empty. */
  readonly importContext?: Uint8Array;
}

/** One algorithm of RFC 8879, as the host brings it along: the core has none of its own. */
export interface CertificateCompressor {
  /** Its number among the TLS Certificate Compression Algorithm IDs. */
  readonly algorithm: number;
  /** Makes less of our own Certificate message; undefined to send it as it is. Asked once for each chain. */
  readonly compress?: (message: Uint8Array) => Uint8Array | undefined;
  /**
   * Undoes what a peer did. It must not yield, nor use memory for, more than `lengthBytes`, whatever it is given;
   * whatever it throws is bad_certificate to the peer.
   */
  readonly decompress?: (compressed: Uint8Array, lengthBytes: number) => Uint8Array;
}

/** What both roles need to decide. The channel room makes it from the user's options. */
export interface Settings {
  readonly provider: CryptoProvider;
  readonly suites: readonly Suite[];
  readonly groups: readonly KeyExchangeGroup[];
  /** Schemes we accept from the peer, for CertificateVerify and inside certificates. */
  readonly schemes: readonly SignatureSchemeName[];
  readonly alpn: readonly string[];
  readonly policy: Policy;
  /** Whether psk_ke (no ephemeral exchange) is acceptable. */
  readonly pskKe: boolean;
  readonly psks: readonly StaticPsk[];
  /** The largest TLSInnerPlaintext we accept, in bytes. RFC 8449. */
  readonly recordSizeLimit?: number;
  readonly keyLog: boolean;
  /** Milliseconds since 1970; handed in, because below the sans-IO line there is no clock. */
  readonly now: () => number;
  /** The key in a DER certificate or SubjectPublicKeyInfo, ready to verify with. Throws for what is none. */
  readonly publicKeyOf: (der: Uint8Array, type: CertificateTypeName) => VerifyingKey;
  /** Whether reserved values are sent beside those that mean something. RFC 8701. */
  readonly grease: boolean;
  readonly maxChainLength: number;
  /** Of a Certificate message, also of one that comes compressed. */
  readonly maxCertificateBytes: number;
  /** In our order of preference. */
  readonly certificateCompression: readonly CertificateCompressor[];
  /** Whether the peer may sign with a key that its certificate delegated to. RFC 9345. */
  readonly acceptDelegatedCredentials: boolean;
  /** Whether the peer is asked for the signed certificate timestamps of its certificate. RFC 6962 §3.3.1. */
  readonly requestSCT: boolean;
}

export interface ClientSettings extends Settings {
  /** The name the peer must have; sent as SNI unless it is an IP address. */
  readonly serverName?: string;
  readonly sendServerName: boolean;
  /** The groups that get a key share in the first ClientHello, by code, in this order. */
  readonly keyShares: readonly number[];
  /** What the server may prove itself with; `any` takes a certificate or a pre-shared key. */
  readonly authentication: "certificate" | "psk" | "any";
  readonly qkd?: {
    readonly sae: string;
    readonly peer: string;
    readonly form: "imported" | "raw";
    readonly rawHash: HashName;
    /** True when the QKD key alone may authenticate the peer (no RFC 9973, no certificate). */
    readonly authenticates: boolean;
  };
  /** Whether the server is asked for an OCSP answer beside its certificate. RFC 6066 §8. */
  readonly requestOCSP: boolean;
  /** What the server may show, best first. RFC 7250. */
  readonly serverCertificateTypes: readonly CertificateTypeName[];
  /** What we may show, best first; empty for nothing. */
  readonly clientCertificateTypes: readonly CertificateTypeName[];
  /** True when the host chooses what a server that asks is shown. */
  readonly asksForIdentity: boolean;
  /** Ours; the first that the server can verify is shown. */
  readonly credentials: readonly Credential[];
  /** Whether a server that asks for a certificate and can verify none of ours is left, rather than told of none. */
  readonly insistsOnCertificate: boolean;
  readonly session?: Session;
  readonly resumption: boolean;
  /** True when a server that the host could not verify is accepted, and its session resumed too. */
  readonly acceptsUnverified: boolean;
  /** Whether the extensions of ClientHello are written in an order of chance. */
  readonly permuteExtensions: boolean;
  /** RFC 9846 §E.4. */
  readonly middleboxCompatibility: boolean;
}

/** Seals ticket states under rotating keys, or hands out keys into a store. */
export interface TicketSealer {
  seal(state: Uint8Array): Uint8Array;
  /** Undefined for a ticket that is not ours or whose key has gone. */
  open(ticket: Uint8Array): Uint8Array | undefined;
}

export interface ServerSettings extends Settings {
  readonly credentials: readonly Credential[];
  /** True when the host chooses by server name (SNICallback). */
  readonly asksForIdentity: boolean;
  /** True when the host has the OCSP answers (OCSPRequest), and credentials none. */
  readonly asksForOcsp: boolean;
  /** True when the host may know PSKs beyond the static ones (pskCallback). */
  readonly asksForPsk: boolean;
  readonly clientAuth: "none" | "request" | "require";
  /** What a client may show, best first. RFC 7250. */
  readonly clientCertificateTypes: readonly CertificateTypeName[];
  readonly certificateAuthorities: readonly Uint8Array[];
  readonly qkd?: {
    readonly sae: string;
    readonly acceptRaw: boolean;
    readonly rawHash: HashName;
    readonly authenticates: boolean;
  };
  readonly tickets?: {
    readonly count: number;
    readonly lifetimeSeconds: number;
    /** Absent when the host keeps the sessions (ticket store). */
    readonly sealer?: TicketSealer;
  };
  /** Codes of groups that rank equal, so that the client's order counts among them. */
  readonly equalGroups: readonly (readonly number[])[];
  /** Whether our order of suites counts, or the client's. */
  readonly honorOwnOrder: boolean;
  /** PSK identities looked at per ClientHello. */
  readonly maxIdentities: number;
  /** True when every client must answer a HelloRetryRequest with our cookie first. RFC 9846 §4.3.2. */
  readonly demandsCookie: boolean;
}
