import type { Suite } from "../crypto/suites.ts";
import type { KeyExchangeGroup } from "../crypto/groups.ts";
import type { HashAlgorithm } from "../crypto/provider.ts";
import type { PeerKey } from "../pki/delegated-credential.ts";
import type { CertificateTypeName, SignatureSchemeName } from "../protocol/iana.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import type { ReadyPsk } from "../schedule/psk.ts";
import type { MainSecret } from "../schedule/stages.ts";
import type { Transcript } from "../schedule/transcript.ts";
import type { ClientHello } from "../wire/hello.ts";
import type { ChosenCredential, ProvenKey, ShownCertificate } from "./authenticate.ts";
import type { Excuses } from "./client-state.ts";
import type { ConnectionSecrets, QkdFacts } from "./established.ts";
import type { Degradation } from "./policy.ts";
import type { Credential, DeliveredKey, Verdict } from "./question.ts";
import type { StaticPsk } from "./settings.ts";
import type { TicketState } from "./session.ts";

/** A ClientHello that was checked, with its bytes; copied out of the record it came in. */
export interface ReceivedHello {
  readonly hello: ClientHello;
  readonly bytes: Uint8Array;
  readonly serverName?: string;
}

/** What a HelloRetryRequest asked for, which the second ClientHello must fit. */
export interface Retry {
  readonly suite: Suite;
  /** The group asked for; undefined when only the cookie was missing. */
  readonly group?: KeyExchangeGroup;
  readonly cookie: Uint8Array;
  readonly first: ReceivedHello;
}

/** A PSK among those offered, once its secret is known. */
export interface FoundPsk {
  readonly index: number;
  readonly ready: ReadyPsk;
  readonly qkd?: QkdFacts;
  readonly ticket?: TicketState;
  /** By how much the client believes its ticket older than we do. */
  readonly ticketAgeSkewMs?: number;
  /** The host's word, today, on the certificate behind the ticket. */
  readonly verdict?: Verdict;
}

/** What is settled while the answer to a ClientHello is being worked out. */
export interface Draft {
  readonly received: ReceivedHello;
  readonly suite: Suite;
  readonly group?: KeyExchangeGroup;
  readonly retried: boolean;
  readonly transcript: Transcript;
  /** What the host chose for this server name. */
  readonly credentials?: readonly Credential[];
  /** The host was asked what to show beside our certificate; undefined when it is as the credential has it. */
  readonly ocsp?: Pick<Credential, "ocspResponse">;
  readonly excuses: Excuses;
}

/** Offered identities that are still to be looked at. */
export interface PskSearch {
  readonly next: number;
  /** A stage goes through all identities before the next begins: QKD first, then tickets and static PSKs. */
  readonly stage: "qkd" | "others";
}

/** A server whose first flight is written up to its Certificate. */
export interface Flight {
  readonly draft: Draft;
  readonly hash: HashAlgorithm;
  readonly psk?: FoundPsk;
  readonly alpn?: string;
  readonly degraded: readonly Degradation[];
  readonly clientSecret: Uint8Array;
  readonly serverSecret: Uint8Array;
  readonly main: MainSecret;
  /** What the client was asked for; undefined when it was asked for nothing. */
  readonly requestedCertificateType?: CertificateTypeName;
  readonly own?: ChosenCredential;
}

/** A server that waits for the client's second flight. */
export interface Answered {
  readonly flight: Flight;
  readonly secrets: ConnectionSecrets;
  /** verify_data of our Finished. */
  readonly finished: Uint8Array;
}

export interface ClientIdentity extends ShownCertificate {
  readonly scheme?: SignatureSchemeName;
  readonly verdict: Verdict;
}

/** The states of RFC 9846 Appendix A.2, and those that wait for the host; each keeps only what it still needs. */
export type ServerState =
  | { readonly at: "START"; readonly retry?: Retry; readonly transcript: Transcript }
  | { readonly at: "WAIT_IDENTITY"; readonly draft: Draft }
  | {
      readonly at: "WAIT_QKD_KEY";
      readonly draft: Draft;
      readonly search: PskSearch;
      readonly form: "imported" | "raw";
      readonly initiator: string;
      readonly keyId: string;
    }
  | { readonly at: "WAIT_TICKET"; readonly draft: Draft; readonly search: PskSearch }
  | {
      readonly at: "WAIT_TICKET_VERDICT";
      readonly draft: Draft;
      readonly suite: Suite;
      readonly found: FoundPsk;
    }
  | { readonly at: "WAIT_PSK"; readonly draft: Draft; readonly search: PskSearch }
  | { readonly at: "WAIT_OCSP_RESPONSE"; readonly draft: Draft; readonly found: FoundPsk | undefined }
  | { readonly at: "WAIT_SIGNATURE"; readonly flight: Flight }
  | { readonly at: "WAIT_CERT"; readonly answered: Answered }
  | {
      readonly at: "WAIT_CV";
      readonly answered: Answered;
      readonly shown: ShownCertificate;
      readonly key: PeerKey;
    }
  | {
      readonly at: "WAIT_VERDICT";
      readonly answered: Answered;
      readonly shown: ShownCertificate;
      readonly proven: ProvenKey;
    }
  | { readonly at: "WAIT_FINISHED"; readonly answered: Answered; readonly client: ClientIdentity }
  | { readonly at: "CONNECTED"; readonly connected: ConnectedServer };

/** What a connected server still needs. */
interface ConnectedServer {
  readonly suite: Suite;
  readonly hash: HashAlgorithm;
  readonly secrets: ConnectionSecrets;
  /** We asked the peer for a key update that has not come yet. */
  updateRequested?: boolean;
}

/** What moves a server: a message from the client, or an answer from the host. */
export interface ServerInputs {
  readonly client_hello: HandshakeMessage;
  readonly identity: Credential | readonly Credential[] | undefined;
  readonly qkd_key: DeliveredKey;
  readonly qkd_failure: Error;
  readonly ticket: Uint8Array | undefined;
  readonly psk: StaticPsk | undefined;
  readonly ocsp_response: Uint8Array | undefined;
  readonly signature: Uint8Array;
  readonly certificate: HandshakeMessage;
  readonly compressed_certificate: HandshakeMessage;
  readonly certificate_verify: HandshakeMessage;
  readonly verdict: Verdict;
  readonly refusal: Error;
  readonly finished: HandshakeMessage;
  readonly key_update: HandshakeMessage;
  readonly update_keys: { readonly requestPeer: boolean };
}
