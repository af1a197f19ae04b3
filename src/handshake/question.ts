import { wipe } from "../protocol/bytes.ts";
import { KeySourceError } from "../protocol/errors.ts";
import type { SignatureAlgorithm, SigningKey } from "../crypto/provider.ts";
import type { CertificateTypeName, SignatureSchemeName } from "../protocol/iana.ts";

/**
 * What is slow or remote is a question to the host. The channel waits for the answer and buffers meanwhile;
 * the order of what it sends never depends on how long the answer took.
 */
export type Question =
  /** A fresh QKD key shared with `peer`; we are the master SAE. Answer: DeliveredKey. */
  | { readonly ask: "draw_qkd_key"; readonly peer: string }
  /** The QKD key that `initiator` announced; we are the slave SAE. Answer: DeliveredKey. */
  | { readonly ask: "redeem_qkd_key"; readonly initiator: string; readonly keyId: string }
  /** Whether the peer behind this chain is to be trusted. Answer: Verdict. */
  | {
      readonly ask: "verify_peer";
      readonly purpose: "server" | "client";
      /** DER certificates as sent, leaf first; of the type RawPublicKey the one SubjectPublicKeyInfo. */
      readonly chain: readonly Uint8Array[];
      readonly certificateType: CertificateTypeName;
      readonly name?: string;
      /** The server's OCSP answer, DER, where one was asked for and came; nobody has looked into it yet. */
      readonly ocspResponse?: Uint8Array;
      /** The DelegatedCredential beside the leaf, encoded and already checked, where its key signed instead. RFC 9345. */
      readonly delegatedCredential?: Uint8Array;
      /** Each SerializedSCT beside the peer's leaf, where they were asked for and came; unchecked too. RFC 6962 §3.3. */
      readonly signedCertificateTimestampList?: readonly Uint8Array[];
      /** The chain is that of an earlier connection that is about to be resumed; a refusal costs the resumption alone. */
      readonly resumes?: true;
    }
  /** Which certificate to show for this name. Answer: one or several Credentials, or undefined for the default ones. */
  | { readonly ask: "choose_identity"; readonly serverName: string }
  /** The OCSP answer to show beside this credential, to a client that asked. Answer: its DER, or undefined for none. */
  | { readonly ask: "find_ocsp_response"; readonly credential: Credential }
  /** Which certificate a client shows to a server that has just proven itself. Answer: as for choose_identity. */
  | {
      readonly ask: "choose_client_identity";
      readonly certificateType: CertificateTypeName;
      /** Those that the server can verify, as far as we know them. */
      readonly signatureSchemes: readonly SignatureSchemeName[];
      /** DER names of the CAs that the server trusts; empty where it says nothing of them. */
      readonly authorities: readonly Uint8Array[];
    }
  /** The PSK of an identity that no static list holds. Answer: StaticPsk or undefined. */
  | { readonly ask: "find_psk"; readonly identity: Uint8Array }
  /** A signature by a key that lives elsewhere (HSM). Answer: the signature's bytes. */
  | {
      readonly ask: "sign";
      readonly algorithm: SignatureAlgorithm;
      readonly message: Uint8Array;
      /** Whose key shall sign. */
      readonly credential: Credential;
    }
  /** A stored session by its ticket, when a ticket store is used. Answer: its bytes or undefined. */
  | { readonly ask: "load_ticket"; readonly ticket: Uint8Array };

/** A QKD key as the host delivers it; the handshake wipes `key`. */
export interface DeliveredKey {
  readonly id: string;
  readonly key: Uint8Array;
  readonly simulated: boolean;
  readonly kind: string;
  readonly kmes?: { readonly source: string; readonly target: string };
}

/** The refusal of a key that is too short to be one, which is wiped; undefined for any other. RFC 9257 §4. */
export function shortKey({ key }: DeliveredKey): KeySourceError | undefined {
  if (key.length >= 16) return undefined;
  wipe(key);
  return new KeySourceError("ERR_QKD_KEY_SIZE", `the key has ${key.length} bytes, 16 are the least`);
}

/** The host's word on the peer. */
export interface Verdict {
  readonly authorized: boolean;
  /** Why not, when it is not. */
  readonly error?: Error;
}

/** Our own certificate chain and key, as the pki room makes it; `key` may answer later (`sign` is then asked). */
export interface Credential {
  /** What `chain` holds; default X509. */
  readonly certificateType?: CertificateTypeName;
  /** DER certificates, leaf first; of the type RawPublicKey the SubjectPublicKeyInfo alone. RFC 7250 §3. */
  readonly chain: readonly Uint8Array[];
  readonly key: SigningKey | "external";
  /** Signature schemes the key can do, best first. */
  readonly schemes: readonly SignatureSchemeName[];
  /** A DelegatedCredential, encoded: `key` and `schemes` are then those that the leaf delegated to. RFC 9345. */
  readonly delegatedCredential?: Uint8Array;
  /** DER, shown to a peer that asks for it. RFC 6066 §8. */
  readonly ocspResponse?: Uint8Array;
  /** Each a SerializedSCT, at least one, shown to a peer that asks for them. RFC 6962 §3.3. */
  readonly signedCertificateTimestampList?: readonly Uint8Array[];
  /** DER names of CAs: shown only to a peer whose certificate_authorities hold one of them; absent, to any peer. */
  readonly issuers?: readonly Uint8Array[];
}
