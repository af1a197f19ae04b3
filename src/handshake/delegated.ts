/** Keys that certificates delegate to: which of ours a peer takes, and which of a peer's we do. RFC 9345. */
import { SignatureScheme } from "../protocol/iana.ts";
import { schemeOf } from "../crypto/schemes.ts";
import { decode } from "../wire/codec.ts";
import { DelegatedCredential } from "../wire/delegated.ts";
import { parseCertificate } from "../pki/certificate.ts";
import { checkDelegatedCredential, delegatable, endOf, type PeerKey } from "../pki/delegated-credential.ts";
import type { CertificateWishes, ShownCertificate } from "./authenticate.ts";
import { illegalParameter } from "./fault.ts";
import type { Credential } from "./question.ts";
import type { Settings } from "./settings.ts";

/** What we say that we take, in ClientHello and CertificateRequest. RFC 9345 §4.1.1. */
export function delegationOffer(settings: Settings): { readonly delegated_credential?: readonly number[] } {
  if (!settings.acceptDelegatedCredentials) return {};
  const codes = settings.schemes.map((name) => SignatureScheme[name]);
  return { delegated_credential: codes.filter((code) => delegatable(schemeOf(code))) };
}

/** Whether a peer can verify this credential of ours, and it still is in force. */
export function takesDelegated(
  credential: Credential,
  { signature_algorithms: offered = [], delegated_credential: taken = [] }: CertificateWishes,
  nowMs: number,
): boolean {
  const known = facts.get(credential) ?? readFacts(credential);
  facts.set(credential, known);
  return offered.includes(known.algorithm) && taken.includes(known.scheme) && nowMs < known.endMs;
}

interface Facts {
  readonly algorithm: number;
  readonly scheme: number;
  readonly endMs: number;
}
// Read once for each credential, and not for each handshake.
const facts = new WeakMap<Credential, Facts>();

function readFacts({ chain, delegatedCredential }: Credential): Facts {
  const delegated = decode(DelegatedCredential, delegatedCredential as Uint8Array);
  return {
    algorithm: delegated.algorithm,
    scheme: delegated.cred.dc_cert_verify_algorithm,
    endMs: endOf(parseCertificate(chain[0] as Uint8Array), delegated),
  };
}

/** The key that a peer has to sign with: that of its leaf, or the one that it delegated to. Throws as the checks do. */
export function peerKey(
  { chain, certificateType, delegatedCredential }: ShownCertificate,
  signer: "client" | "server",
  settings: Settings,
): PeerKey {
  const leaf = chain[0] as Uint8Array;
  const key = settings.publicKeyOf(leaf, certificateType);
  if (delegatedCredential === undefined) return key;
  if (certificateType !== "X509")
    throw illegalParameter("certificate: a raw public key delegates to no other");
  return checkDelegatedCredential(settings.provider, decode(DelegatedCredential, delegatedCredential), {
    leaf: parseCertificate(leaf),
    key,
    signer,
    schemes: settings.schemes,
    nowMs: settings.now(),
  });
}
