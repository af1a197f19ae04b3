/** What an examination found, for people. */
import { printable } from "../output.ts";
import { CHAPTERS } from "./examine.ts";
import type { Finding, Verdict } from "./point.ts";

const SIGNS: Readonly<Record<Verdict, string>> = { pass: "ok  ", fail: "FAIL", warn: "warn", skip: "skip" };

/** One finding, on a line or two. */
export function findingText({ verdict, source, title, detail }: Finding): string {
  const line = `  ${SIGNS[verdict]}  ${title} (${source})`;
  if (detail === undefined) return line;
  return verdict === "pass" ? `${line}: ${printable(detail)}` : `${line}\n          ${printable(detail)}`;
}

/** The heading of the chapter that begins with this finding. */
export function headingOf({ id }: Finding): string | undefined {
  return CHAPTERS.find(({ points }) => points[0]?.id === id)?.name;
}

export interface Count extends Readonly<Record<Verdict, number>> {}

export function countOf(findings: readonly Finding[]): Count {
  const count = { pass: 0, fail: 0, warn: 0, skip: 0 };
  for (const { verdict } of findings) count[verdict]++;
  return count;
}

export function sumText({ pass, fail, warn, skip }: Count): string {
  return `${pass} points hold, ${fail} fail, ${warn} warnings, ${skip} not examined.`;
}
