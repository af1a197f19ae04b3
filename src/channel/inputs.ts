/** What the handshake makes of the host's answers. */
import type { Question } from "../handshake/question.ts";

/** The input of the handshake that a refusal becomes, where the handshake can go on without an answer. */
export function refusalOf(question: Question): string | undefined {
  if (isForKey(question)) return "qkd_failure";
  return question.ask === "verify_peer" && question.resumes ? "refusal" : undefined;
}

/** The input of the handshake that the answer to each question becomes. */
export const ANSWERS = {
  draw_qkd_key: "qkd_key",
  redeem_qkd_key: "qkd_key",
  verify_peer: "verdict",
  choose_identity: "identity",
  choose_client_identity: "identity",
  find_psk: "psk",
  find_ocsp_response: "ocsp_response",
  sign: "signature",
  load_ticket: "ticket",
} as const satisfies Record<Question["ask"], string>;

/** Whether a QKD key is what it asks for. */
export const isForKey = (question: Question | undefined): boolean =>
  question?.ask === "draw_qkd_key" || question?.ask === "redeem_qkd_key";
