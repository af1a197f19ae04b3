/** How long and from which seed the property and fuzz tests run. */
import { appendFileSync } from "node:fs";

const count = (name: string, fallback: number): number => {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`);
  return value;
};

/** Multiplies every count; a nightly run sets it to hundreds. */
const FACTOR = count("QKD_TLS_FUZZ", 1);
/** The same inputs every time, unless a run asks for others. */
const SEED = count("QKD_TLS_FUZZ_SEED", 9846);

/** A file that a long run sums up from. */
const COUNTS = process.env["QKD_TLS_FUZZ_COUNT"];

/** Parameters of fast-check for a property that is tried `numRuns` times. */
export function fuzz(numRuns: number): { readonly numRuns: number; readonly seed: number } {
  const runs = numRuns * FACTOR;
  if (COUNTS !== undefined) appendFileSync(COUNTS, `${runs}\n`);
  return { numRuns: runs, seed: SEED };
}
