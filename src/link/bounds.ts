import { binaryEntropy } from "./cascade.ts";
import type { SiftedCounts } from "./sifting.ts";
import { photonProbability, type Source, type Triple } from "./source.ts";

/**
 * Which finite-key security proof the bounds and the length come from.
 * - `wiesemann-2026`: Wiesemann, Krause, Tupkary, Lütkenhaus, Rusca, Walenta, arXiv 2405.16578v3, which repairs what
 *   earlier proofs left open. Tail bounds by Hoeffding, phase errors by Serfling, vacuum not counted, as in the
 *   authors' own program, which is for one decoy; for two the photons are bounded as Lim bounds them.
 * - `lim-2014`: Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307, for comparison.
 */
export type ProofName = "wiesemann-2026" | "lim-2014";

export interface Proof {
  readonly name: ProofName;
  /** What may be added to the rate of errors in Z so that it bounds the phase errors in X. */
  phaseDeviation(of: {
    readonly rate: number;
    readonly sample: number;
    readonly key: number;
    readonly secrecy: number;
  }): number;
  /** Secret bits of photons counted, before what correction leaked, and without rounding. */
  extractable(of: {
    readonly vacuum: number;
    readonly singles: number;
    readonly phase: number;
    readonly secrecy: number;
  }): number;
}

/**
 * Into how many equal terms the secrecy parameter is split: Lim 2014 counts nine for smoothing and amplification and
 * twelve tail bounds. The repaired proof needs four fewer (fifteen with one decoy, where Rusca et al. 2018 have
 * nineteen); the same split is kept for it, since more terms only widen the bounds, and cost a bit or two a block.
 */
const TERMS = 21;

export const PROOFS: Readonly<Record<ProofName, Proof>> = {
  "wiesemann-2026": {
    name: "wiesemann-2026",
    phaseDeviation({ sample, key, secrecy }) {
      return Math.sqrt(
        ((key + sample) / (key * sample)) * ((sample + 1) / sample) * Math.log(TERMS / secrecy),
      );
    },
    extractable({ singles, phase, secrecy }) {
      return singles * (1 - binaryEntropy(phase)) - 4 * Math.log2(TERMS / (secrecy * 2 ** 0.25));
    },
  },
  "lim-2014": {
    name: "lim-2014",
    phaseDeviation({ rate, sample, key, secrecy }) {
      // The formula ends at 0 for no errors at all, which no sample can show: one error in the sample at least.
      const b = Math.min(Math.max(rate, 1 / sample), 0.5);
      const spread = (key + sample) / (key * sample);
      const inside = ((spread / ((1 - b) * b)) * TERMS ** 2) / secrecy ** 2;
      return Math.sqrt(((spread * (1 - b) * b) / Math.LN2) * Math.log2(inside));
    },
    extractable({ vacuum, singles, phase, secrecy }) {
      return vacuum + singles * (1 - binaryEntropy(phase)) - 6 * Math.log2(TERMS / secrecy);
    },
  },
};

/** What is certain about a block, but for the secrecy parameter. Lower and upper bounds of numbers of pulses. */
export interface Bounds {
  /** Detections in X of pulses without a photon, at least. */
  readonly keyVacuum: number;
  /** Detections in X of pulses with one photon, at least. */
  readonly keySingles: number;
  /** The same in Z. */
  readonly checkSingles: number;
  /** Errors among the detections in Z of pulses with one photon, at most. */
  readonly checkSingleErrors: number;
  /** Phase error rate of the single photons in X, at most; 0.5 when nothing is known. */
  readonly phaseErrorRate: number;
}

/** Bounds from counts; with `secrecy` 1 every deviation is left out, which gives the asymptotic ones. */
export function boundsOf(proof: Proof, source: Source, counts: SiftedCounts, secrecy: number): Bounds {
  const key = photonsIn(source, counts.key.detections, secrecy);
  const check = photonsIn(source, counts.check.detections, secrecy);
  const checkSingleErrors = singleErrors(source, counts.check.errors, secrecy);
  return {
    keyVacuum: key.vacuum,
    keySingles: key.singles,
    checkSingles: check.singles,
    checkSingleErrors,
    phaseErrorRate: phaseErrors(proof, key.singles, check.singles, checkSingleErrors, secrecy),
  };
}

/** Lim 2014, equations 2 and 3: detections of pulses without and with one photon, at least. */
function photonsIn(source: Source, counts: Triple, secrecy: number): { vacuum: number; singles: number } {
  const [mu1, mu2, mu3] = source.intensities;
  const [tau0, tau1] = [tau(source, 0), tau(source, 1)];
  const { least, most, total } = scaled(source, counts, secrecy);
  const vacuum = clamp((tau0 * (mu2 * least[2] - mu3 * most[1])) / (mu2 - mu3), total);
  const slope = (mu2 ** 2 - mu3 ** 2) / mu1 ** 2;
  const singles =
    (tau1 * mu1 * (least[1] - most[2] - slope * (most[0] - vacuum / tau0))) /
    (mu1 * (mu2 - mu3) - mu2 ** 2 + mu3 ** 2);
  return { vacuum, singles: clamp(singles, total - vacuum) };
}

/** Lim 2014, equation 4: errors of single photons, at most. */
function singleErrors(source: Source, errors: Triple, secrecy: number): number {
  const [, mu2, mu3] = source.intensities;
  const { least, most, total } = scaled(source, errors, secrecy);
  return clamp((tau(source, 1) * (most[1] - least[2])) / (mu2 - mu3), total);
}

function phaseErrors(proof: Proof, key: number, sample: number, errors: number, secrecy: number): number {
  if (key === 0 || sample === 0) return 0.5;
  const rate = errors / sample;
  return Math.min(0.5, rate + (secrecy >= 1 ? 0 : proof.phaseDeviation({ rate, sample, key, secrecy })));
}

/** Counts by intensity, spread by Hoeffding's inequality and brought to the scale of one intensity alone. */
function scaled(
  { intensities, intensityProbabilities }: Source,
  counts: Triple,
  secrecy: number,
): { least: Triple; most: Triple; total: number } {
  const total = counts[0] + counts[1] + counts[2];
  const spread = secrecy >= 1 ? 0 : Math.sqrt((total / 2) * Math.log(TERMS / secrecy));
  const at = (which: 0 | 1 | 2, add: number): number =>
    (Math.exp(intensities[which]) / intensityProbabilities[which]) * clamp(counts[which] + add, total);
  return {
    least: [at(0, -spread), at(1, -spread), at(2, -spread)],
    most: [at(0, spread), at(1, spread), at(2, spread)],
    total,
  };
}

/** How often a pulse has so many photons, whatever its intensity. */
function tau({ intensities, intensityProbabilities }: Source, photons: number): number {
  return intensities.reduce(
    (sum, mean, which) => sum + (intensityProbabilities[which] as number) * photonProbability(photons, mean),
    0,
  );
}

const clamp = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
