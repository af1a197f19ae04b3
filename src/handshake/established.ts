import type { Suite } from "../crypto/suites.ts";
import type { KeyExchangeGroup } from "../crypto/groups.ts";
import type { CertificateTypeName, SignatureSchemeName } from "../protocol/iana.ts";
import type { Degradation, Policy } from "./policy.ts";
import type { Verdict } from "./question.ts";

/** The QKD key a connection rests on, without the key. */
export interface QkdFacts {
  readonly keyId: string;
  /** SAE IDs of the TLS client and the TLS server. */
  readonly initiator: string;
  readonly responder: string;
  readonly simulated: boolean;
  readonly kind: string;
  readonly kmes?: { readonly source: string; readonly target: string };
  /** By RFC 9258, or as a plain external PSK. */
  readonly form: "imported" | "raw";
}

/** How one side proved who it is. */
export interface Authentication {
  readonly by: "certificate" | "rawPublicKey" | "psk" | "resumption" | "none";
  /** What `chain` holds. */
  readonly certificateType: CertificateTypeName;
  /** DER chain, leaf first, or one SubjectPublicKeyInfo; empty without either. */
  readonly chain: readonly Uint8Array[];
  readonly scheme?: SignatureSchemeName;
  /** The DelegatedCredential, encoded, whose key signed in the certificate's place. RFC 9345. */
  readonly delegatedCredential?: Uint8Array;
  /** The OCSP answer that was shown beside the certificate, DER. */
  readonly ocspResponse?: Uint8Array;
  /** The signed certificate timestamps that were shown beside it. */
  readonly signedCertificateTimestampList?: readonly Uint8Array[];
  /** External PSK identity, when one authenticated. */
  readonly pskIdentity?: Uint8Array;
}

/** The secrets of a finished handshake; the channel keeps them and wipes them at its end. */
export interface ConnectionSecrets {
  clientTraffic: Uint8Array;
  serverTraffic: Uint8Array;
  readonly exporter: Uint8Array;
}

/** What a finished handshake agreed on: the facts behind the evidence. */
export interface Established {
  readonly role: "client" | "server";
  readonly suite: Suite;
  /** Undefined with psk_ke alone. */
  readonly group?: KeyExchangeGroup;
  readonly resumed: boolean;
  /** On a server that resumed: the age of the ticket as the client has it, less its age as we have it. */
  readonly ticketAgeSkewMs?: number;
  readonly qkd?: QkdFacts;
  /** The identity of a static external PSK in the key schedule. */
  readonly externalPsk?: Uint8Array;
  readonly serverName?: string;
  readonly alpn?: string;
  readonly local: Authentication;
  readonly peer: Authentication;
  readonly verdict: Verdict;
  readonly policy: Policy;
  readonly degraded: readonly Degradation[];
  readonly retried: boolean;
  readonly secrets: ConnectionSecrets;
  /** verify_data of both Finished messages. RFC 9846 §4.5.3. */
  readonly finished: { readonly local: Uint8Array; readonly peer: Uint8Array };
}
