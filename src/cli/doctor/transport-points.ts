/** Who is let in, and how. ETSI GS QKD 014 §5.1. */
import { get } from "node:http";
import { Caller } from "./asking.ts";
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
      const { patient } = exam;
      const versions = { min: "TLSv1", max: "TLSv1.1" } as const;
      const outcome = await alone(
        { ...patient, identity: patient.master.identity, versions },
        statusOf(exam),
      );
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
    examine: async (exam) => turnedAway(await alone(exam.patient, statusOf(exam))),
  },
  {
    id: "certificate-trusted",
    source: "§5.1",
    level: "must",
    title: "turns away a certificate in the SAE's name that it has no reason to trust",
    async examine(exam) {
      const { patient } = exam;
      const identity = impostor(patient.master.sae);
      return turnedAway(await alone({ ...patient, identity }, statusOf(exam)));
    },
  },
  {
    id: "plain-http",
    source: "§5.1",
    level: "must",
    title: "does not answer without TLS",
    async examine(exam) {
      const { patient } = exam;
      const status = await plainStatus(patient.url, statusOf(exam).path, patient.timeoutMs);
      if (status === 200) throw new Fault("HTTP 200 without TLS");
    },
  },
];

type Parts = ConstructorParameters<typeof Caller>[0];

/** One question on a connection of its own. */
async function alone(way: Parts, question: Parameters<Caller["ask"]>[0]): ReturnType<Caller["ask"]> {
  const { url, ca, timeoutMs, identity, versions } = way;
  const caller = new Caller({
    url,
    ca,
    timeoutMs,
    ...(identity && { identity }),
    ...(versions && { versions }),
  });
  try {
    return await caller.ask(question);
  } finally {
    caller.close();
  }
}

const statusOf = (exam: Examination) => ({ method: "GET", path: exam.path("status") }) as const;

/** Undefined when nothing in HTTP comes back. */
function plainStatus(url: URL, path: string, timeoutMs: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const target = {
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? 443 : url.port,
      path,
    };
    const asking = get({ ...target, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asking.on("error", () => resolve(undefined));
  });
}
