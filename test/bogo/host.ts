/** Answers the channel's questions as the runner's flags have it. */
import type { Question, Verdict } from "../../src/handshake/question.ts";
import { TrustError } from "../../src/protocol/errors.ts";
import type { Numbered } from "./configure.ts";
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
    default:
      return undefined;
  }
}

function verdict({ resumes }: Extract<Question, { ask: "verify_peer" }>, flags: Flags): Verdict {
  const asked = resumes !== true || flags.reverifyOnResume;
  if (!asked || !flags.verifyFail) return { authorized: true };
  const error = new TrustError("ERR_CERT_UNTRUSTED", "certificate_unknown", "told not to trust the peer");
  if (flags.verifyPeer || flags.requireClientCertificate) throw error;
  return { authorized: false, error };
}
