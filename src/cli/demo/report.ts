/** What the demo shows on a terminal. */
import { columns, evidenceTable } from "../evidence.ts";
import type { Carried, Trial } from "./acts.ts";
import { POLICIES, SCENES } from "./scenes.ts";

/** The main job in words. */
export function carriedText({ sizeBytes, seconds, sha256, client, faults }: Carried): string {
  const rate = seconds > 0 ? `, ${mebibytes(sizeBytes / seconds)}/s` : "";
  const lines = [
    `${mebibytes(sizeBytes)} carried in ${seconds.toFixed(2)} s${rate}`,
    "",
    columns([
      ["SHA-256 sent", sha256.sent],
      ["SHA-256 arrived", sha256.arrived, sha256.sent === sha256.arrived ? "the same" : "NOT THE SAME"],
    ]),
    "",
    "What protected it, in the client's words:",
    indented(evidenceTable(client)),
    ...(faults.length === 0
      ? ["", "The server's account agrees."]
      : faults.map((fault) => `FAULT: ${fault}`)),
  ];
  return lines.join("\n");
}

/** The second act: what became of each connection, and why, for a terminal of so many columns. */
export function trialsText(trials: readonly Trial[], width = Number.POSITIVE_INFINITY): string {
  const bad = trials.filter(({ ok }) => !ok);
  const sum =
    bad.length === 0
      ? `All ${trials.length} connections behaved as their policy says; none fell short in silence.`
      : `${bad.length} of ${trials.length} connections did NOT behave as their policy says.`;
  const wide = outcomeTable(trials);
  const table = wide.split("\n").every((line) => line.length <= width) ? wide : outcomeList(trials);
  return `${table}\n\nWhy, in the words of the side that says so:\n${indented(reasons(trials))}\n\n${sum}`;
}

function outcomeTable(trials: readonly Trial[]): string {
  const row = (name: string): string[] => [name, ...POLICIES.map((policy) => cell(trials, name, policy))];
  return columns([["", ...POLICIES], ...SCENES.map(({ name }) => row(name))]);
}

function outcomeList(trials: readonly Trial[]): string {
  const block = (name: string): string =>
    columns(POLICIES.map((policy) => [policy, cell(trials, name, policy)]));
  return SCENES.map(({ name }) => `${name}\n${indented(block(name))}`).join("\n");
}

function cell(trials: readonly Trial[], name: string, policy: string): string {
  const trial = trials.find((each) => each.scene === name && each.policy === policy);
  if (trial === undefined) return "?";
  return trial.ok ? trial.outcome : `${trial.outcome}  UNEXPECTED`;
}

function reasons(trials: readonly Trial[]): string {
  const rows = trials.flatMap(({ scene, side, reason }) => {
    if (side === undefined || reason === undefined) return [];
    // The table says already which policy it was.
    return [`${scene}\n${side}\n${reason.replace(/^policy \S+ requires \S+, which is missing: /, "")}`];
  });
  return columns([...new Set(rows)].map((row) => row.split("\n")));
}

/** Bytes for people. */
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const indented = (text: string): string => text.replace(/^(?=.)/gm, "  ");
