/** Who is let in, and how. ETSI GS QKD 014 §5.1. */
import { get } from "node:http";
import { Caller, targetOf, type Way } from "./asking.ts";
import { type Examination, Fault, impostor, turnedAway, Unexamined } from "./examination.ts";
import type { Point } from "./point.ts";

export const TRANSPORT: readonly Point[] = [
  {
    id: "tls-version",
    source: "§5.1",
    level: "must",
    title: "speaks TLS 1.2 or later",
    async examine(exam) {
      const { protocol } = await exam.ask(exam.master, { method: "GET", path: exam.path("status") });
      if (protocol !== "TLSv1.2" && protocol !== "TLSv1.3") throw new Fault(`speaks ${protocol ?? "no TLS"}`);
      return protocol;
    },
  },
  {
    id: "tls-old",
    source: "§5.1",
    level: "must",
    title: "does not speak TLS 1.1 or earlier",
    async examine(exam) {
      const versions = { min: "TLSv1", max: "TLSv1.1" } as const;
      const outcome = await alone(exam, { identity: exam.patient.master.identity, versions });
      if (outcome.answer !== undefined) throw new Fault(`answers over ${outcome.answer.protocol ?? "?"}`);
      if (outcome.failure.code.includes("NO_PROTOCOLS_AVAILABLE")) {
        throw new Unexamined("this Node cannot offer TLS 1.1");
      }
    },
  },
  {
    id: "certificate-needed",
    source: "§5.1",
    level: "must",
    title: "turns away a client without a certificate",
    examine: async (exam) => turnedAway(await alone(exam)),
  },
  {
    id: "certificate-trusted",
    source: "§5.1",
    level: "must",
    title: "turns away a certificate in the SAE's name that it has no reason to trust",
    async examine(exam) {
      return turnedAway(await alone(exam, { identity: impostor(exam.patient.master.sae) }));
    },
  },
  {
    id: "plain-http",
    source: "§5.1",
    level: "must",
    title: "does not answer without TLS",
    async examine(exam) {
      const status = await plainStatus(exam);
      if (status === 200) throw new Fault("HTTP 200 without TLS");
    },
  },
];

/** One question on a connection of its own, as nobody unless as somebody. */
async function alone(
  exam: Examination,
  as: Pick<Way, "identity" | "versions"> = {},
): ReturnType<Caller["ask"]> {
  const { kme, ca, timeoutMs } = exam.patient;
  const caller = new Caller({ ...kme, ca, timeoutMs, ...as });
  try {
    return await caller.ask(statusOf(exam));
  } finally {
    caller.close();
  }
}

const statusOf = (exam: Examination) => ({ method: "GET", path: exam.path("status") }) as const;

/** Undefined when nothing in HTTP comes back. */
function plainStatus(exam: Examination): Promise<number | undefined> {
  const { kme, timeoutMs } = exam.patient;
  const options = { ...targetOf(kme), path: exam.path("status"), agent: false } as const;
  return new Promise((resolve) => {
    const asking = get({ ...options, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asking.on("error", () => resolve(undefined));
  });
}
