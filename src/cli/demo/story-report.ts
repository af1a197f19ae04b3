/** The chapters of `demo --eavesdrop` on a terminal. */
import type { BlockRecord } from "../../link/block.ts";
import { evidenceLine } from "../evidence.ts";
import type { Chapter, ChapterName, Told } from "./eavesdropped.ts";

const HEADINGS: Readonly<Record<ChapterName, (deed: string) => string>> = {
  "keys flow": () => "Keys flow",
  "an eavesdropper arrives": (deed) => `An eavesdropper arrives in the fibre: ${deed}`,
  "the stock runs dry": () => "The stock of keys made before runs dry",
  "hybrid comes back": () => "The eavesdropper leaves, and hybrid comes back by itself",
};

const MEANWHILE: Readonly<Record<ChapterName, (tried: Chapter["tried"]) => string | undefined>> = {
  "keys flow": () => undefined,
  "an eavesdropper arrives": ({ connected }) => `hybrid connections on keys made before: ${connected}`,
  "the stock runs dry": ({ connected }) => `hybrid connections on keys made before: ${connected} more`,
  "hybrid comes back": ({ refused }) => `hybrid connections refused until then: ${refused}`,
};

/** One chapter in words; `deed` says what the eavesdropper does. */
export function chapterText(chapter: Chapter, number: number, deed: string): string {
  const { name, seconds, block, stock, tried, connections, fault } = chapter;
  const lines = [
    `${number}. ${HEADINGS[name](deed)}   (after ${seconds.toFixed(1)} s)`,
    `   link   ${block === undefined ? "no block yet" : blockText(block)}`,
    `   stock  ${stock} keys`,
  ];
  const meanwhile = MEANWHILE[name](tried);
  if (meanwhile !== undefined) lines.push(`   ${meanwhile}`);
  for (const connection of connections) lines.push(...connectionLines(connection));
  if (fault !== undefined) lines.push(`   FAULT: ${fault}`);
  return `${lines.join("\n")}\n`;
}

function blockText({ outcome, qber, qberThreshold, secretBits }: BlockRecord): string {
  const percent = (rate: number): string => `${(100 * rate).toFixed(1)} %`;
  const errors =
    qber === undefined ? "" : `QBER ${percent(qber.check)}, threshold ${percent(qberThreshold)}: `;
  return `${errors}${outcome === "key" ? `${secretBits} secret bits` : `no key (${outcome})`}`;
}

function connectionLines({ policy, ok, outcome, reason, security, event }: Told): string[] {
  const lines = [`   ${policy}: ${outcome}${ok ? "" : "  UNEXPECTED"}`];
  if (security === undefined && reason !== undefined) lines.push(`      reason    ${reason}`);
  if (security !== undefined) lines.push(`      evidence  ${evidenceLine(security)}`);
  for (const degradation of event ?? []) {
    lines.push(
      `      event     degraded: ${degradation.missing} (${degradation.code ?? degradation.reason})`,
    );
  }
  return lines;
}
