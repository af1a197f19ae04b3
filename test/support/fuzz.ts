/** How long and from which seed the property and fuzz tests run. */

const count = (name: string, fallback: number): number => {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`);
  return value;
};

/** Multiplies every count; a nightly run sets it to hundreds. */
const FACTOR = count("QKD_TLS_FUZZ", 1);
/** The same inputs every time, unless a run asks for others. */
const SEED = count("QKD_TLS_FUZZ_SEED", 9846);

/** Parameters of fast-check for a property that is tried `numRuns` times. */
export const fuzz = (numRuns: number) => ({ numRuns: numRuns * FACTOR, seed: SEED });
