/** Figures as text for people. */

import type { BlockFigures, Figures, LinkFigures } from "../figures.ts";

/** So long after the latest block the link is not at work. */
const RESTING_MS = 5000;

export const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)} %`;

/** With thin spaces between thousands. */
export const count = (value: number): string =>
  String(Math.round(value)).replaceAll(/\B(?=(?:\d{3})+$)/g, "\u202F");

/** Three figures at most, with the unit that fits. */
export function bits(value: number, per = ""): string {
  const thousands = value >= 1e6 ? 2 : value >= 1e3 ? 1 : 0;
  const scaled = value / 1000 ** thousands;
  const unit = ["bit", "kbit", "Mbit"][thousands];
  return `${scaled >= 100 || thousands === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${unit}${per}`;
}

/** The time of day here. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

const OUTCOMES: Readonly<Record<string, string>> = {
  key: "key",
  qber_over_threshold: "QBER over threshold",
  too_few_detections: "too few detections",
  not_accepted: "statistics not accepted",
  no_positive_length: "nothing left",
  confirmation_failed: "keys differed",
  limit_exceeded: "limit exceeded",
  stopped: "stopped",
  authentication_failed: "authentication failed",
  ledger_empty: "authentication key used up",
  protocol_violated: "protocol violated",
  closed: "closed",
};

export const outcome = (name: string): string => OUTCOMES[name] ?? name.replaceAll("_", " ");

export interface Headline {
  readonly title: string;
  readonly text: string;
}

/** The one thing to know. */
export function headline(figures: Figures): Headline {
  const { standing, link, blocks, stock } = figures;
  const text = standing.reasons.map((reason) => reason.text).join(" · ");
  if (standing.status === "failing") return { title: "✕ The key store fails", text };
  if (standing.reasons.some(({ code }) => code === "link_apart"))
    return { title: "▲ The link is interrupted", text };
  const last = blocks.at(-1);
  const isEmpty = stock.some(({ blocks }) => blocks === 0);
  if (last !== undefined && last.outcome !== "key") {
    const title = `▲ No keys: ${outcome(last.outcome)}`;
    const stocked = isEmpty ? "Stock has run out." : "What is in stock is still delivered.";
    return { title, text: `${judged(last)} ${stocked}`.trim() };
  }
  if (standing.status === "degraded") return { title: "▲ Keys are short", text };
  if (link === undefined)
    return { title: "✓ Keys in stock", text: "A random generator stands in for a link." };
  if (isResting(figures))
    return { title: "✓ Stock is full", text: "The link rests until some of it is gone." };
  return { title: "✓ Keys are being made", text: last === undefined ? "" : judged(last) };
}

function judged({ qberCheck, qberThreshold }: BlockFigures): string {
  if (qberCheck === undefined) return "";
  return `QBER ${percent(qberCheck)}, threshold ${percent(qberThreshold)}.`;
}

/** The link begins again once a quarter of the stock is gone. */
const isResting = ({ at, blocks, stock }: Figures): boolean =>
  at - (blocks.at(-1)?.at ?? 0) > RESTING_MS &&
  stock.every(({ blocks, maxBlocks }) => blocks >= 0.75 * maxBlocks);

/** The fibre in a sentence. */
export function fibreText({ preset, lengthKm, fibre }: LinkFigures): string {
  const where = `${lengthKm ?? "?"} km${preset === undefined ? "" : ` (preset ${preset})`}`;
  if (fibre === undefined) return `${where}.`;
  const deeds = [
    ...(fibre.cut ? ["it is cut"] : []),
    ...(fibre.interceptShare > 0 ? [`${percent(fibre.interceptShare)} of the pulses are intercepted`] : []),
    ...(fibre.splitShare > 0
      ? [`photon numbers are split, ${percent(fibre.splitShare)} of single photons stopped`]
      : []),
    ...(fibre.addedLossDb > 0 ? [`${fibre.addedLossDb} dB of loss are added`] : []),
  ];
  const who = deeds.length === 0 ? "nobody is in it" : deeds.join(", ");
  return `${where}; ${who}.`;
}

/** What the QBER chart shows. */
export function qberText(blocks: readonly BlockFigures[], qberThreshold: number): string {
  const last = blocks.at(-1);
  if (last === undefined) return "No block has ended yet.";
  const without = blocks.filter((block) => block.outcome !== "key").length;
  const now = last.qberCheck === undefined ? "not measured" : percent(last.qberCheck);
  return `Latest ${now}, threshold ${percent(qberThreshold)}; ${without} of ${blocks.length} blocks gave no key.`;
}

/** Now, and between what and what since the chart begins. */
export function rangeText(values: readonly number[], text: (value: number) => string): string {
  const last = values.at(-1);
  if (last === undefined) return "No figure yet.";
  return `Now ${text(last)}; from ${text(Math.min(...values))} to ${text(Math.max(...values))} in the time shown.`;
}
