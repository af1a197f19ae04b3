/** What the benchmark is told: `npm run bench -- [tls] [link] [kme] [timing] [options]`. */
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    "no-lemon": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

export const AREAS = ["tls", "link", "kme", "timing"] as const;
export type Area = (typeof AREAS)[number];

const unknown = positionals.filter((word) => !AREAS.some((area) => area === word));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: the areas are ${AREAS.join(", ")}`);

export const areas: readonly Area[] =
  positionals.length === 0 ? ["tls"] : AREAS.filter((area) => positionals.includes(area));
export const seconds = Number(values.seconds);
export const rounds = Number(values.rounds);
export const { only, json } = values;
export const withLemon = !values["no-lemon"];

/** For people; programs get everything at the end. */
export function say(text: string): void {
  if (!json) process.stdout.write(`${text}\n`);
}
