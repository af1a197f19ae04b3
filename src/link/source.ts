import { UsageError } from "../protocol/errors.ts";
import { onlyKnown, real } from "../protocol/options.ts";

/** Signal, decoy and (almost) vacuum, in this order. */
export type Triple = readonly [number, number, number];

/** X carries the key, Z is the check. Lim 2014 names them so. */
export const Basis = { X: 0, Z: 1 } as const;
export type Basis = (typeof Basis)[keyof typeof Basis];

/** A laser that sends phase-randomised weak coherent pulses of three intensities: decoy-state BB84 (Lim 2014). */
export interface Source {
  /** Pulses a second, in Hz. */
  readonly clockHz: number;
  /** Mean photons a pulse, mu1 > mu2 + mu3 and mu2 > mu3 >= 0. */
  readonly intensities: Triple;
  /** How often each intensity is chosen; together 1. */
  readonly intensityProbabilities: Triple;
  /** How often a sender or a receiver chooses X. */
  readonly keyBasisProbability: number;
}

const KNOWN = ["clockHz", "intensities", "intensityProbabilities", "keyBasisProbability"];
const SUM_TOLERANCE = 1e-9;

/** The source, checked. Throws a UsageError that names the option out of range. */
export function checkedSource(source: Source): Source {
  onlyKnown(source, KNOWN, "a source");
  const intensities = triple(source, "intensities", 2);
  const intensityProbabilities = triple(source, "intensityProbabilities", 1);
  const [mu1, mu2, mu3] = intensities;
  if (!(mu2 > mu3 && mu1 > mu2 + mu3)) {
    throw invalid("intensities", "must fall so that the first is above the sum of the others");
  }
  const sum = intensityProbabilities.reduce((total, each) => total + each, 0);
  if (intensityProbabilities.some((each) => each === 0) || Math.abs(sum - 1) > SUM_TOLERANCE) {
    throw invalid("intensityProbabilities", "must be above 0 and add up to 1");
  }
  return {
    clockHz: real(source, "clockHz", { min: 1, max: 1e11 }),
    intensities,
    intensityProbabilities,
    keyBasisProbability: real(source, "keyBasisProbability", { min: 0.01, max: 0.99 }),
  };
}

/** How often a pulse of this mean has so many photons: Poisson. */
export function photonProbability(photons: number, mean: number): number {
  let probability = Math.exp(-mean);
  for (let n = 1; n <= photons; n++) probability *= mean / n;
  return probability;
}

function triple(options: object, option: string, max: number): Triple {
  const value: unknown = Reflect.get(options, option);
  const fits = (each: unknown): boolean => typeof each === "number" && each >= 0 && each <= max;
  if (Array.isArray(value) && value.length === 3 && value.every(fits)) {
    return [value[0], value[1], value[2]];
  }
  throw invalid(option, `must be three numbers from 0 to ${max}`);
}

function invalid(option: string, what: string): UsageError {
  return new UsageError("ERR_OPTION_INVALID", `${option} ${what}`, { option });
}
