import { concat, EMPTY, equal } from "../protocol/bytes.ts";
import { ProtocolError, TrustError } from "../protocol/errors.ts";
import {
  CertificateStatusType,
  ExtensionType,
  nameOf,
  SignatureScheme,
  type CertificateTypeName,
  type SignatureSchemeName,
} from "../protocol/iana.ts";
import { schemeOf } from "../crypto/schemes.ts";
import { signatureContext } from "../crypto/signed-content.ts";
import type { HashAlgorithm, SignatureAlgorithm } from "../crypto/provider.ts";
import { decode, encode } from "../wire/codec.ts";
import { DelegatedCredential } from "../wire/delegated.ts";
import { Certificate, CertificateVerify, encodeHandshake, Finished } from "../wire/handshake.ts";
import type { PeerKey } from "../pki/delegated-credential.ts";
import { finishedData } from "../schedule/stages.ts";
import { takesDelegated } from "./delegated.ts";
import { decryptError, illegalParameter, unexpectedMessage, unsupportedExtension } from "./fault.ts";
import type { Authentication } from "./established.ts";
import type { Credential, Verdict } from "./question.ts";
import type { Settings } from "./settings.ts";
import type { Stapled } from "./staple.ts";

const CONTEXTS = {
  client: signatureContext("TLS 1.3, client CertificateVerify"),
  server: signatureContext("TLS 1.3, server CertificateVerify"),
} as const;

/** What CertificateVerify signs; `signer` is the role of the side that signs. RFC 9846 §4.5.2. */
export function signedContent(signer: "client" | "server", transcriptHash: Uint8Array): Uint8Array {
  return concat([CONTEXTS[signer], transcriptHash]);
}

/** A credential of ours, and the scheme that it will sign with. */
export interface ChosenCredential {
  readonly credential: Credential;
  readonly scheme: SignatureSchemeName;
}

/** What the peer said of the certificates that it can use. */
export interface CertificateWishes {
  readonly signature_algorithms?: readonly number[] | undefined;
  readonly certificate_authorities?: readonly Uint8Array[] | undefined;
  readonly delegated_credential?: readonly number[] | undefined;
}

/**
 * The first credential of one of these types that the peer can verify; undefined when there is none.
 * RFC 9846 §4.5.1.1 and §4.5.1.2.
 */
export function chooseCredential(
  credentials: readonly Credential[],
  types: readonly CertificateTypeName[],
  wishes: CertificateWishes,
  nowMs: number,
): ChosenCredential | undefined {
  const { signature_algorithms: offered = [], certificate_authorities: authorities = [] } = wishes;
  for (const credential of credentials) {
    const { issuers } = credential;
    if (!types.includes(typeOf(credential))) continue;
    const wanted = issuers?.some((issuer) => authorities.some((name) => equal(name, issuer))) ?? true;
    const isDelegated = credential.delegatedCredential !== undefined;
    if (isDelegated && !takesDelegated(credential, wishes, nowMs)) continue;
    const usable = isDelegated ? (wishes.delegated_credential ?? []) : offered;
    const scheme = wanted ? commonScheme(credential, usable) : undefined;
    if (scheme !== undefined) return { credential, scheme };
  }
  return undefined;
}

/** What the credential shows. */
export const typeOf = ({ certificateType = "X509" }: Credential): CertificateTypeName => certificateType;

/** How a side that showed something of this type proved itself. */
export const proofOf = (type: CertificateTypeName): "certificate" | "rawPublicKey" =>
  type === "X509" ? "certificate" : "rawPublicKey";

/** How we proved ourselves with this credential. */
export const shownProof = (credential: Credential, scheme: SignatureSchemeName): Authentication => ({
  by: proofOf(typeOf(credential)),
  certificateType: typeOf(credential),
  chain: credential.chain,
  ...(credential.delegatedCredential === undefined
    ? {}
    : { delegatedCredential: credential.delegatedCredential }),
  scheme,
});
/** What a side without a credential shows. */
export const NOTHING_SHOWN: Authentication = { by: "none", certificateType: "X509", chain: [] };

/** The first of our schemes that the peer can verify and CertificateVerify may use. */
function commonScheme(credential: Credential, offered: readonly number[]): SignatureSchemeName | undefined {
  return credential.schemes.find((name) => {
    const scheme = schemeOf(SignatureScheme[name]);
    return scheme?.handshake === true && offered.includes(scheme.code);
  });
}

/** The algorithm behind a scheme of ours. */
export function algorithmOf(name: SignatureSchemeName): SignatureAlgorithm {
  const scheme = schemeOf(SignatureScheme[name]);
  if (scheme === undefined) throw new RangeError(`no signature scheme ${name}`);
  return scheme.algorithm;
}

/** A Certificate message of ours. RFC 9846 §4.5.1. */
export function certificateMessage(
  chain: readonly Uint8Array[],
  { ocspResponse: response, signedCertificateTimestampList: timestamps, delegatedCredential }: Stapled = {},
): Uint8Array {
  const stapled = {
    ...(response === undefined
      ? {}
      : { status_request: { status_type: CertificateStatusType.ocsp, response } }),
    ...(timestamps === undefined ? {} : { signed_certificate_timestamp: timestamps }),
    ...(delegatedCredential === undefined
      ? {}
      : { delegated_credential: decode(DelegatedCredential, delegatedCredential) }),
  };
  return encodeHandshake("certificate", Certificate, {
    certificate_request_context: EMPTY,
    certificate_list: chain.map((cert_data, at) => ({ cert_data, extensions: at === 0 ? stapled : {} })),
  });
}

/** A CertificateVerify message of ours. */
export function certificateVerifyMessage(scheme: SignatureSchemeName, signature: Uint8Array): Uint8Array {
  return encodeHandshake("certificate_verify", CertificateVerify, {
    algorithm: SignatureScheme[scheme],
    signature,
  });
}

/** A peer's chain or raw key, and what stands beside its leaf. */
export interface ShownCertificate extends Stapled {
  readonly certificateType: CertificateTypeName;
  readonly chain: readonly Uint8Array[];
}

/** The peer's certificate, of the type that was agreed on, copied out of the record. Throws a ProtocolError. */
export function readCertificate(
  body: Uint8Array,
  certificateType: CertificateTypeName,
  settings: Settings,
  asked: ReadonlySet<number> = NOTHING,
): ShownCertificate {
  const message = decode(Certificate, body);
  if (message.certificate_request_context.length > 0) {
    throw illegalParameter("certificate: certificate_request_context is not empty");
  }
  if (message.certificate_list.length > settings.maxChainLength) {
    throw new TrustError(
      "ERR_CERT_INVALID",
      "bad_certificate",
      `certificate: ${message.certificate_list.length} certificates, at most ${settings.maxChainLength} are read`,
    );
  }
  if (certificateType === "RawPublicKey" && message.certificate_list.length > 1) {
    throw illegalParameter("certificate: more than one raw public key");
  }
  for (const { extensions } of message.certificate_list) {
    if (extensions.delegated_credential && !asked.has(ExtensionType.delegated_credential)) {
      throw unexpectedMessage("certificate: a delegated credential that was not asked for"); // RFC 9345 §4.1.1
    }
    if (extensions.present?.some((type) => !asked.has(type))) {
      throw unsupportedExtension("certificate: an extension that was not asked for");
    }
    if (extensions.status_request && extensions.status_request.status_type !== CertificateStatusType.ocsp) {
      throw illegalParameter("certificate: status_request of a type that was not asked for");
    }
  }
  const [leaf] = message.certificate_list;
  const {
    status_request: status,
    signed_certificate_timestamp: timestamps,
    delegated_credential: delegated,
  } = leaf?.extensions ?? {};
  return {
    certificateType,
    chain: message.certificate_list.map(({ cert_data }) => cert_data.slice()),
    ...(delegated === undefined ? {} : { delegatedCredential: encode(DelegatedCredential, delegated) }),
    ...(status === undefined ? {} : { ocspResponse: status.response.slice() }),
    ...(timestamps === undefined
      ? {}
      : { signedCertificateTimestampList: timestamps.map((each) => each.slice()) }),
  };
}

const NOTHING: ReadonlySet<number> = new Set();

/** Proof that the peer holds the key of its certificate; only `checkCertificateVerify` makes one. */
export interface ProvenKey {
  readonly scheme: SignatureSchemeName;
  readonly proven: typeof proof;
}
const proof: unique symbol = Symbol("CertificateVerify was checked");

/** Checks the peer's signature over the transcript. Throws a ProtocolError. RFC 9846 §4.5.2. */
export function checkCertificateVerify(
  body: Uint8Array,
  signer: "client" | "server",
  key: PeerKey,
  transcriptHash: Uint8Array,
  settings: Settings,
): ProvenKey {
  const { algorithm, signature } = decode(CertificateVerify, body);
  const scheme = schemeOf(algorithm);
  if (scheme === undefined || !scheme.handshake || !settings.schemes.includes(scheme.name)) {
    throw illegalParameter(`certificate_verify: ${nameOf(SignatureScheme, algorithm)} was not offered`);
  }
  if (key.scheme !== undefined && key.scheme !== scheme.name) {
    throw illegalParameter(`certificate_verify: ${scheme.name} is not what the key was delegated to for`);
  }
  if (scheme.kind !== key.kind) {
    throw illegalParameter(`certificate_verify: ${scheme.name} does not fit a key of kind ${key.kind}`);
  }
  if (!key.verify(scheme.algorithm, signedContent(signer, transcriptHash), signature)) {
    throw decryptError("certificate_verify: the signature does not match");
  }
  return { scheme: scheme.name, proven: proof };
}

/** Throws why, or a TrustError (certificate_unknown), for a verdict that is none in the peer's favour. */
export function demandAuthorized({ authorized, error }: Verdict): void {
  if (authorized) return;
  throw (
    error ?? new TrustError("ERR_CERT_UNTRUSTED", "certificate_unknown", "the host does not trust the peer")
  );
}

/** A Finished message of ours under a handshake traffic secret. */
export function finishedMessage(
  hash: HashAlgorithm,
  trafficSecret: Uint8Array,
  transcriptHash: Uint8Array,
): Uint8Array {
  return encodeHandshake("finished", Finished, {
    verify_data: finishedData(hash, trafficSecret, transcriptHash),
  });
}

/** Proof that the peer saw the same handshake; only `checkFinished` makes one. */
export interface FinishedProof {
  readonly proven: typeof finishedProof;
}
const finishedProof: unique symbol = Symbol("Finished was checked");

/** Checks the peer's Finished. Throws a ProtocolError (decrypt_error). RFC 9846 §4.5.3. */
export function checkFinished(
  body: Uint8Array,
  hash: HashAlgorithm,
  trafficSecret: Uint8Array,
  transcriptHash: Uint8Array,
): FinishedProof {
  const { verify_data } = decode(Finished, body);
  if (verify_data.length !== hash.outputBytes) {
    throw new ProtocolError(
      "ERR_TLS_DECODE",
      "decode_error",
      `finished: verify_data has ${verify_data.length} bytes instead of ${hash.outputBytes}`,
    );
  }
  if (!equal(verify_data, finishedData(hash, trafficSecret, transcriptHash))) {
    throw decryptError("finished: the peer saw another handshake");
  }
  return { proven: finishedProof };
}
