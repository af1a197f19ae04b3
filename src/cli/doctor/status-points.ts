/** Get status. ETSI GS QKD 014 §5.2 and §6.1. */
import type { Answer } from "./asking.ts";
import {
  demandGranted,
  demandRefused,
  type Examination,
  Fault,
  type Figures,
  objectIn,
} from "./examination.ts";
import type { Point } from "./point.ts";

const NAMES = ["source_KME_ID", "target_KME_ID", "master_SAE_ID", "slave_SAE_ID"] as const;
const COUNTS = [
  "key_size",
  "stored_key_count",
  "max_key_count",
  "max_key_per_request",
  "max_key_size",
  "min_key_size",
  "max_SAE_ID_count",
] as const;

export const STATUS: readonly Point[] = [
  {
    id: "status-fields",
    source: "§6.1",
    level: "must",
    title: "Status has its eleven fields, four strings and seven integers",
    async examine(exam) {
      const status = await statusOf(exam);
      const bad = [
        ...NAMES.filter((name) => typeof status[name] !== "string" || status[name] === ""),
        ...COUNTS.filter((name) => !Number.isSafeInteger(status[name]) || Number(status[name]) < 0),
      ];
      // What is there can still be worked with.
      if (COUNTS.every((name) => !bad.includes(name))) exam.learn(status as unknown as Figures); // just checked
      if (bad.length > 0) throw new Fault(`missing or of another type: ${bad.join(", ")}`);
    },
  },
  {
    id: "status-names",
    source: "§6.1",
    level: "must",
    title: "Status names the SAEs that were meant",
    async examine(exam) {
      const { master, slave } = exam.patient;
      const { master_SAE_ID, slave_SAE_ID } = await statusOf(exam);
      if (master_SAE_ID !== master.sae) throw new Fault(`master_SAE_ID is not ${master.sae}`);
      if (slave_SAE_ID !== slave.sae) throw new Fault(`slave_SAE_ID is not ${slave.sae}`);
    },
  },
  {
    id: "status-sizes",
    source: "§6.1",
    level: "must",
    title: "min_key_size ≤ key_size ≤ max_key_size",
    async examine({ figures: { min_key_size, key_size, max_key_size } }) {
      const sizes = `${min_key_size}, ${key_size}, ${max_key_size}`;
      if (!(key_size > 0 && min_key_size <= key_size && key_size <= max_key_size)) throw new Fault(sizes);
      return `${sizes} bits`;
    },
  },
  {
    id: "status-stock",
    source: "§6.1",
    level: "must",
    title: "stored_key_count ≤ max_key_count",
    async examine(exam) {
      const { stored_key_count, max_key_count } = await statusOf(exam);
      if (!(Number(stored_key_count) <= Number(max_key_count))) {
        throw new Fault(`${String(stored_key_count)} of ${String(max_key_count)}`);
      }
      return `${String(stored_key_count)} of ${String(max_key_count)}`;
    },
  },
  {
    id: "kme-name",
    source: "§5.1",
    level: "should",
    title: "source_KME_ID is the name in the KME's certificate",
    async examine(exam) {
      const { kmeName } = await answerOf(exam);
      const { source_KME_ID } = exam.figures;
      if (kmeName !== source_KME_ID)
        throw new Fault(`${source_KME_ID}, but the certificate says ${kmeName ?? "nothing"}`);
      return source_KME_ID;
    },
  },
  {
    id: "status-unknown-slave",
    source: "§6.5",
    level: "must",
    title: "Status for an SAE that nobody knows is refused",
    async examine(exam) {
      const path = exam.path("status", "sae-that-nobody-knows");
      return demandRefused(await exam.ask(exam.master, { method: "GET", path }), [400, 401]);
    },
  },
  {
    id: "path-encoding",
    source: "§5.2",
    level: "should",
    title: "an SAE ID in percent-encoding is the same SAE ID",
    async examine(exam) {
      const encoded = [...Buffer.from(exam.patient.slave.sae)].map(
        (byte) => `%${byte.toString(16).padStart(2, "0")}`,
      );
      const answer = await exam.ask(exam.master, {
        method: "GET",
        path: `/api/v1/keys/${encoded.join("")}/status`,
      });
      demandGranted(answer);
    },
  },
];

function answerOf(exam: Examination): Promise<Answer> {
  return exam.ask(exam.master, { method: "GET", path: exam.path("status") });
}

async function statusOf(exam: Examination): Promise<Readonly<Record<string, unknown>>> {
  const answer = await answerOf(exam);
  demandGranted(answer);
  const type = answer.headers["content-type"] ?? "none";
  if (!/^application\/json\b/i.test(type))
    throw new Fault(`the content type is ${type}, not application/json`);
  return objectIn(answer);
}
