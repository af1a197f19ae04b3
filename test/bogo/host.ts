/** Answers the channel's questions as the runner's flags have it. */
import type { Question, Verdict } from "../../src/handshake/question.ts";
import { parseCertificate } from "../../src/pki/certificate.ts";
import { checkLeaf } from "../../src/pki/rules.ts";
import { TrustError } from "../../src/protocol/errors.ts";
import { verifiesServer, type Numbered } from "./configure.ts";
import type { Flags } from "./flags.ts";

/** The answer; throws what the question is refused with. */
export function answer(question: Question, flags: Flags, credentials: readonly Numbered[]): unknown {
  switch (question.ask) {
    case "verify_peer":
      return verdict(question, flags);
    case "sign": {
      const signer = credentials.find(({ credential }) => credential === question.credential)?.signingKey;
      return signer?.sign(question.algorithm, question.message);
    }
    case "choose_client_identity":
    case "choose_identity":
      if (flags.rejectsHello !== undefined) throw flags.rejectsHello();
      if (flags.failOcsp) throw noOcsp();
      return undefined;
    case "draw_qkd_key":
    case "redeem_qkd_key":
    case "find_ocsp_response":
    case "find_psk":
    case "load_ticket":
      return undefined;
  }
}

function verdict(
  { chain, certificateType, resumes }: Extract<Question, { ask: "verify_peer" }>,
  flags: Flags,
): Verdict {
  const asked = resumes !== true || flags.reverifyOnResume;
  const [leaf] = chain;
  // Of a chain's rules the one that is TLS's own: the runner's chains are not made to be verified.
  if (leaf !== undefined && certificateType === "X509") checkLeaf(parseCertificate(leaf));
  if (flags.failOcsp) throw noOcsp();
  if (!asked || !flags.verifyFail) return { authorized: true };
  const alert = flags.customVerify ? "certificate_unknown" : "handshake_failure";
  const error = new TrustError("ERR_CERT_UNTRUSTED", alert, "told not to trust the peer");
  if (verifiesServer(flags) || flags.requireClientCertificate) throw error;
  return { authorized: false, error };
}

const noOcsp = (): TrustError =>
  new TrustError("ERR_CERT_REVOKED", "bad_certificate_status_response", "told to refuse the OCSP answer");
