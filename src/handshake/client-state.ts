import type { Suite } from "../crypto/suites.ts";
import type { KeyExchangeGroup } from "../crypto/groups.ts";
import type { HashAlgorithm } from "../crypto/provider.ts";
import type { PeerKey } from "../pki/delegated-credential.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import type { HandshakeSecret } from "../schedule/stages.ts";
import type { Transcript } from "../schedule/transcript.ts";
import type { CertificateWishes, ChosenCredential, ProvenKey, ShownCertificate } from "./authenticate.ts";
import type { ConnectionSecrets } from "./established.ts";
import type { Offer, OfferedPsk } from "./offer.ts";
import type { Degradation, KeyLeg } from "./policy.ts";
import type { Credential, DeliveredKey, Verdict } from "./question.ts";
import type { StapleWishes } from "./staple.ts";
import type { CertificateTypeName, SignatureSchemeName } from "../protocol/iana.ts";

/** Why a preferred source is missing. */
export type Excuses = Partial<Record<KeyLeg, { reason: string; code?: string; cause?: unknown }>>;

/** What ServerHello settled, as far as later states need it. */
export interface Agreed {
  readonly suite: Suite;
  readonly hash: HashAlgorithm;
  readonly group?: KeyExchangeGroup;
  readonly psk?: OfferedPsk;
  readonly degraded: readonly Degradation[];
  readonly retried: boolean;
  readonly offer: Offer;
  readonly transcript: Transcript;
  readonly handshakeSecret: HandshakeSecret;
  readonly clientSecret: Uint8Array;
  readonly serverSecret: Uint8Array;
  readonly alpn?: string;
  /** What the server proves itself with, and what it would take from us; by EncryptedExtensions. */
  readonly serverCertificateType?: CertificateTypeName;
  readonly clientCertificateType?: CertificateTypeName;
  /** verify_data of the server's Finished, once it came. */
  readonly serverFinished?: Uint8Array;
}

/** The server's word on itself once it was proven and judged. */
export interface ServerIdentity extends ShownCertificate {
  readonly scheme?: SignatureSchemeName;
  readonly verdict: Verdict;
}

/** What the server said when it asked for a certificate; ours is chosen once it has proven itself. */
export interface AskedCertificate {
  readonly wishes: CertificateWishes & StapleWishes;
  /** The compression algorithms that the server can undo. RFC 8879. */
  readonly compression: readonly number[] | undefined;
}

/** The states of RFC 9846 Appendix A.1, and those that wait for the host; each keeps only what it still needs. */
export type ClientState =
  | { readonly at: "START" }
  | { readonly at: "WAIT_QKD_KEY" }
  | { readonly at: "WAIT_SESSION_VERDICT"; readonly session: OfferedPsk; readonly excuses: Excuses }
  | { readonly at: "WAIT_SH"; readonly offer: Offer; readonly retried: boolean; readonly excuses: Excuses }
  | { readonly at: "WAIT_EE"; readonly agreed: Agreed }
  | { readonly at: "WAIT_CERT_CR"; readonly agreed: Agreed }
  | { readonly at: "WAIT_CERT"; readonly agreed: Agreed; readonly request: AskedCertificate }
  | {
      readonly at: "WAIT_CV";
      readonly agreed: Agreed;
      readonly request: AskedCertificate | undefined;
      readonly shown: ShownCertificate;
      readonly key: PeerKey;
    }
  | {
      readonly at: "WAIT_VERDICT";
      readonly agreed: Agreed;
      readonly request: AskedCertificate | undefined;
      readonly shown: ShownCertificate;
      readonly proven: ProvenKey;
    }
  | {
      readonly at: "WAIT_FINISHED";
      readonly agreed: Agreed;
      readonly request: AskedCertificate | undefined;
      readonly server: ServerIdentity;
    }
  | {
      readonly at: "WAIT_IDENTITY";
      readonly agreed: Agreed;
      readonly request: AskedCertificate;
      readonly server: ServerIdentity;
      readonly serverFinishedHash: Uint8Array;
    }
  | {
      readonly at: "WAIT_SIGNATURE";
      readonly agreed: Agreed;
      readonly server: ServerIdentity;
      readonly own: ChosenCredential;
      readonly serverFinishedHash: Uint8Array;
    }
  | { readonly at: "CONNECTED"; readonly connected: ConnectedClient };

/** What a connected client still needs. */
interface ConnectedClient {
  readonly suite: Suite;
  readonly hash: HashAlgorithm;
  readonly secrets: ConnectionSecrets;
  /** We asked the peer for a key update that has not come yet. */
  updateRequested?: boolean;
  readonly resumptionSecret: Uint8Array;
  readonly serverName: string;
  readonly alpn: string;
  readonly authorized: boolean;
  readonly peerCertificateType: CertificateTypeName;
  readonly peerChain: readonly Uint8Array[];
  /** Whether tickets are kept. */
  readonly resumable: boolean;
}

/** What moves a client: the caller, a message from the server, or an answer from the host. */
export interface ClientInputs {
  readonly start: true;
  readonly qkd_key: DeliveredKey;
  readonly qkd_failure: Error;
  readonly server_hello: HandshakeMessage;
  readonly encrypted_extensions: HandshakeMessage;
  readonly certificate_request: HandshakeMessage;
  readonly certificate: HandshakeMessage;
  readonly compressed_certificate: HandshakeMessage;
  readonly certificate_verify: HandshakeMessage;
  readonly verdict: Verdict;
  readonly refusal: Error;
  readonly finished: HandshakeMessage;
  readonly identity: Credential | readonly Credential[] | undefined;
  readonly signature: Uint8Array;
  readonly new_session_ticket: HandshakeMessage;
  readonly key_update: HandshakeMessage;
  readonly update_keys: { readonly requestPeer: boolean };
}
