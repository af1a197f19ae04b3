/** One point of an examination, and what was found. */
import { type Examination, Fault, Unexamined } from "./examination.ts";

export interface Point {
  readonly id: string;
  /** Where it comes from: a clause of ETSI GS QKD 014 V1.1.1 or another source. */
  readonly source: string;
  /** `must` fails the examination; `should` is a warning; `figure` is measured and judged by nobody. */
  readonly level: "must" | "should" | "figure";
  readonly title: string;
  /** What is worth knowing when all is well. Throws a Fault or an Unexamined. */
  readonly examine: (exam: Examination) => Promise<string | void>;
}

export type Verdict = "pass" | "fail" | "warn" | "skip";

export interface Finding {
  readonly id: string;
  readonly source: string;
  readonly level: Point["level"];
  readonly title: string;
  readonly verdict: Verdict;
  readonly detail?: string;
}

export async function find(point: Point, exam: Examination): Promise<Finding> {
  const { examine, ...about } = point;
  try {
    const detail = await examine(exam);
    return { ...about, verdict: "pass", ...(typeof detail === "string" && { detail }) };
  } catch (error) {
    if (error instanceof Unexamined) return { ...about, verdict: "skip", detail: error.message };
    if (!(error instanceof Fault)) throw error;
    return { ...about, verdict: point.level === "must" ? "fail" : "warn", detail: error.message };
  }
}
