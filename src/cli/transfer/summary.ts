/** What the commands print about a transfer. */
import type { Tell } from "../listen.ts";
import { printable } from "../output.ts";
import { type ProgressBars, sizeText } from "./progress.ts";
import type { Report } from "./report.ts";

/** Lines that `sha256sum --check` reads, one for each file that is there. */
export function checksums({ files }: Report): string {
  return files
    .filter((file) => file.sha256 !== undefined)
    .map((file) => `${file.sha256}  ${printable(file.path)}\n`)
    .join("");
}

/** One line on the whole, and one for each file that failed or was left out. */
export function summary(verb: "sent" | "received", report: Report): string {
  const { files, bytes, carriedBytes, seconds, omitted } = report;
  const count = (outcome: string): number => files.filter((file) => file.outcome === outcome).length;
  const [skipped, failed] = [count("skipped"), count("failed")];
  const parts = [
    `${verb} ${count("stored")} ${count("stored") === 1 ? "file" : "files"}`,
    ...(skipped > 0 ? [`${skipped} there already`] : []),
    ...(failed > 0 ? [`${failed} FAILED`] : []),
    `${sizeText(bytes)} in ${seconds.toFixed(1)} s (${sizeText(carriedBytes / Math.max(seconds, 0.001))}/s)`,
    ...(files.length > failed ? ["SHA-256 the same on both sides"] : []),
  ];
  return [
    parts.join(", "),
    ...files.flatMap(({ path, error }) => (error === undefined ? [] : [`failed: ${path}: ${error.message}`])),
    ...omitted.map(({ path, reason }) => `left out: ${path}: ${reason}`),
  ]
    .map((line) => printable(line))
    .join("\n");
}

/** Writes events to standard error, above the bars that are there. */
export const eventOf =
  (json: boolean, bars: ProgressBars): Tell =>
  (event, text) =>
    bars.log(json ? JSON.stringify(event) : printable(text));
