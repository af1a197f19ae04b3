/**
 * Does the time of an operation tell which of two kinds of input it was given? Measured as dudect does it (Reparaz,
 * Balasch, Verbauwhede, 2017): both kinds in random order, Welch's t-test, all measurements and the quicker parts of them.
 */
import { randomFillSync } from "node:crypto";

/** One question. Both kinds go through the same memory, so that nothing but their bytes differs. */
export interface Subject {
  readonly name: string;
  /** Puts the input of this kind in place; not timed. */
  readonly prepare: (kind: 0 | 1) => void;
  /** What is timed. */
  readonly run: () => void;
  /** Calls in one measurement, where one is too short for the clock. Default 1. */
  readonly calls?: number;
}

export interface Verdict {
  readonly name: string;
  /** Measurements of both kinds together. */
  readonly measurements: number;
  /** The largest |t| of all cuts: below 4.5 nothing was seen, above 10 there is no doubt. */
  readonly t: number;
  /** Median time of a call, and how much longer one of kind 1 takes than one of kind 0, in nanoseconds. */
  readonly medianNs: number;
  readonly differenceNs: number;
}

/** |t| from which on a difference is taken to be there. */
export const THRESHOLD = 4.5;

const WARM_UP = 3000;
const LEAST = 2000;
/** Parts of the measurements, the quickest first; what is slower is mostly the machine's doing. */
const CUTS = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1];

/** Measures for this long, but `LEAST` times at least. */
export function examine({ name, prepare, run, calls = 1 }: Subject, seconds: number): Verdict {
  const times: [number[], number[]] = [[], []];
  const coins = new Uint8Array(4096);
  let count = 0;
  let end = Infinity;
  while (count < WARM_UP + LEAST || performance.now() < end) {
    if (count === WARM_UP) end = performance.now() + 1000 * seconds;
    if (count % coins.length === 0) randomFillSync(coins);
    const kind = ((coins[count % coins.length] as number) & 1) as 0 | 1;
    prepare(kind);
    const from = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) run();
    const ns = Number(process.hrtime.bigint() - from);
    if (count++ >= WARM_UP) times[kind].push(ns / calls);
  }
  const all = times.flat().sort((a, b) => a - b);
  const ts = CUTS.map((part) => {
    const limit = all[Math.ceil(part * all.length) - 1] as number;
    return Math.abs(
      welch(...(times.map((kind) => kind.filter((ns) => ns <= limit)) as [number[], number[]])),
    );
  });
  const [zero, one] = times.map(median) as [number, number];
  return {
    name,
    measurements: all.length,
    t: Math.max(...ts),
    medianNs: median(all),
    differenceNs: one - zero,
  };
}

/** Welch's t of two samples; 0 where one has not two values, or nothing varies. */
export function welch(a: readonly number[], b: readonly number[]): number {
  if (a.length < 2 || b.length < 2) return 0;
  const [meanA, meanB] = [mean(a), mean(b)];
  const error = variance(a, meanA) / a.length + variance(b, meanB) / b.length;
  return error === 0 ? 0 : (meanA - meanB) / Math.sqrt(error);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const variance = (values: readonly number[], middle: number): number =>
  values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
