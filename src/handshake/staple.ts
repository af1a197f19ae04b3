/** What stands beside a certificate: an OCSP answer, timestamps, a delegated credential. RFC 9846 §4.5.1.1, RFC 9345. */
import { CertificateStatusType } from "../protocol/iana.ts";
import type { Credential } from "./question.ts";

/** What may stand beside a leaf. */
export type Stapled = Pick<
  Credential,
  "ocspResponse" | "signedCertificateTimestampList" | "delegatedCredential"
>;

/** What a peer asked to see beside the leaf. */
export interface StapleWishes {
  /** A server asks with an empty extension, a client with the type of the answer. */
  readonly status_request?: Uint8Array | { readonly status_type: number } | undefined;
  readonly signed_certificate_timestamp?: true | undefined;
}

/** As much of what stands beside this leaf as the peer asked for. */
export function stapledFor(
  { ocspResponse, signedCertificateTimestampList, delegatedCredential }: Stapled,
  wishes: StapleWishes,
): Stapled {
  return {
    // It was chosen because the peer can make use of it, and without it nobody could of its key.
    ...(delegatedCredential === undefined ? {} : { delegatedCredential }),
    ...(wantsOcsp(wishes) && ocspResponse !== undefined ? { ocspResponse } : {}),
    ...(wishes.signed_certificate_timestamp && signedCertificateTimestampList !== undefined
      ? { signedCertificateTimestampList }
      : {}),
  };
}

/** Whether the peer can make use of an OCSP answer. RFC 6066 §8. */
export function wantsOcsp({ status_request: status }: StapleWishes): boolean {
  if (status === undefined) return false;
  return !("status_type" in status) || status.status_type === CertificateStatusType.ocsp;
}

/** What stands beside this credential when the host's answer, if it was asked for one, counts instead of its own. */
export function withHostsWord(
  credential: Stapled,
  hosts: Pick<Stapled, "ocspResponse"> | undefined,
): Stapled {
  if (hosts === undefined) return credential;
  const { ocspResponse: _, ...others } = credential;
  return { ...others, ...hosts };
}
