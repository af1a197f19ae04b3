/** The whole examination of a KME, or of a pair. */
import { KeySourceError } from "../../protocol/errors.ts";
import { kmeText } from "./asking.ts";
import { DEC_KEYS } from "./dec-points.ts";
import { ENC_KEYS } from "./enc-points.ts";
import { Examination, type Patient } from "./examination.ts";
import { find, type Finding, type Point } from "./point.ts";
import { STATUS } from "./status-points.ts";
import { SUMMARY } from "./summary-points.ts";
import { TRANSPORT } from "./transport-points.ts";

/** In the order in which they are examined: later ones use what earlier ones learnt. */
export const CHAPTERS: readonly { readonly name: string; readonly points: readonly Point[] }[] = [
  { name: "Transport and authentication", points: TRANSPORT },
  { name: "Get status", points: STATUS },
  { name: "Get key", points: ENC_KEYS },
  { name: "Get key with key IDs", points: DEC_KEYS },
  { name: "All together", points: SUMMARY },
];

/** The system's and OpenSSL's words for a certificate that is not what it must be. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/;

/**
 * Examines every point. Throws a KeySourceError when a KME cannot be reached or is not trusted: then there is
 * nothing to examine.
 */
export async function examine(
  patient: Patient,
  onFinding: (finding: Finding) => void = () => undefined,
): Promise<readonly Finding[]> {
  const exam = new Examination(patient);
  try {
    await demandReachable(exam);
    const findings: Finding[] = [];
    for (const point of CHAPTERS.flatMap(({ points }) => points)) {
      const finding = await find(point, exam);
      findings.push(finding);
      onFinding(finding);
    }
    return findings;
  } finally {
    exam.close();
  }
}

async function demandReachable(exam: Examination): Promise<void> {
  const { kme, peerKme } = exam.patient;
  const callers = [
    [exam.master, kme],
    [exam.intruder, peerKme],
  ] as const;
  for (const [caller, at] of callers) {
    const { failure } = await caller.ask({ method: "GET", path: exam.path("status") });
    if (failure === undefined) continue;
    const untrusted = UNTRUSTED.test(failure.code) && !failure.code.startsWith("ERR_SSL");
    throw untrusted
      ? new KeySourceError(
          "ERR_QKD_UNTRUSTED",
          `the certificate of the KME ${kmeText(at)} is not trusted (${failure.code})`,
        )
      : new KeySourceError("ERR_QKD_UNREACHABLE", `the KME ${kmeText(at)} does not answer (${failure.code})`);
  }
}
