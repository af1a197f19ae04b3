/** Whether time tells what must stay secret; each question by itself, since they share nothing. */
import { loadavg } from "node:os";
import { only, say, seconds } from "../options.ts";
import { examine, THRESHOLD, type Verdict } from "./dudect.ts";
import { type Expectation, questions } from "./subjects.ts";

const MEANS: Readonly<Record<Expectation, string>> = {
  silent: "must not show",
  design: "shows by design",
  control: "must show, or the method sees nothing",
};

export async function bench(): Promise<object> {
  say(
    `dudect: |t| below ${THRESHOLD} is nothing seen; ${seconds} s a question; load ${loadavg()[0]?.toFixed(1)}\n`,
  );
  const results: (Verdict & { readonly expect: Expectation; readonly asExpected: boolean })[] = [];
  for (const question of questions().filter(({ name }) => name.includes(only))) {
    const verdict = examine(question, seconds);
    const seen = verdict.t >= THRESHOLD;
    const asExpected = question.expect === "design" || seen === (question.expect === "control");
    results.push({ ...verdict, expect: question.expect, asExpected });
    say(
      `${asExpected ? " " : "!"} |t| ${verdict.t.toFixed(1).padStart(7)}  ${verdict.differenceNs.toFixed(1).padStart(9)} ns of ` +
        `${verdict.medianNs.toFixed(0).padStart(7)}  n ${String(verdict.measurements).padStart(7)}  ${question.name} (${MEANS[question.expect]})`,
    );
  }
  return { threshold: THRESHOLD, results };
}
