import { UsageError } from "../protocol/errors.ts";
import { isObject, oneOf, onlyKnown, real, whole } from "../protocol/options.ts";
import { type Bounds, boundsOf, PROOFS, type ProofName } from "./bounds.ts";
import type { SiftedCounts } from "./sifting.ts";
import { checkedSource, type Source, type Triple } from "./source.ts";

/** What a block is judged by. */
export interface EstimateOptions {
  readonly source: Source;
  readonly counts: SiftedCounts;
  /** Errors that reconciliation found in the key, once it did. */
  readonly keyErrors?: number;
  /**
   * Bits about the key that went over the classical channel in the clear: every parity. A verification tag is paid for
   * up to log2(1 / epsilonCor) bits of it; a longer one's other bits belong here.
   */
  readonly leakedBits: number;
  /** How far from uniform and unknown to an adversary the key may be. */
  readonly epsilonSec: number;
  /** How likely the two keys may differ. */
  readonly epsilonCor: number;
  /** Error rate above which there is no key; at most 0.11, where one-way BB84 ends. Default 0.08. */
  readonly qberThreshold?: number;
  /** Detections in either basis below which nothing is judged. Default 1000. */
  readonly fewestDetections?: number;
  /** Default `wiesemann-2026`. */
  readonly proof?: ProofName;
  /** What a block must reach, chosen before it was measured. */
  readonly acceptance?: Acceptance;
}

/**
 * Without it the length follows from what was measured, block by block, which needs a proof for variable lengths
 * (Tupkary et al., arXiv 2408.17349, has one of this form). With it the protocol is one of fixed length, as in
 * arXiv 2405.16578v3: a block that is accepted gives the length that these figures leave, one that is not gives none.
 */
export interface Acceptance {
  /** Single photons in the key, at least. */
  readonly keySingles: number;
  /** Phase error rate, at most. */
  readonly phaseErrorRate: number;
  /** Bits told while correcting, at most. */
  readonly leakedBits: number;
}

/** Why a block gives no key. */
export type AbortReason =
  | "qber_over_threshold"
  | "too_few_detections"
  | "not_accepted"
  | "no_positive_length";

interface Judged {
  readonly simulated: true;
  readonly proof: ProofName;
  readonly epsilonSec: number;
  readonly epsilonCor: number;
  /** Error rate in Z, and in X once reconciliation found it; 0 of 0 is 0. */
  readonly qber: { readonly check: number; readonly key?: number };
  readonly qberThreshold: number;
  readonly bounds: Bounds;
  readonly leakedBits: number;
}

/** A block that gives so many secret bits, or none and why. */
export type Estimate =
  | (Judged & { readonly outcome: "key"; readonly secretBits: number })
  | (Judged & { readonly outcome: "abort"; readonly reason: AbortReason; readonly secretBits: 0 });

const KNOWN = [
  "source",
  "counts",
  "keyErrors",
  "leakedBits",
  "epsilonSec",
  "epsilonCor",
  "qberThreshold",
  "fewestDetections",
  "proof",
  "acceptance",
];
const KNOWN_ACCEPTANCE = ["keySingles", "phaseErrorRate", "leakedBits"];
/** Where the rate 1 - 2 h(Q) of one-way BB84 reaches 0. Shor and Preskill, PRL 85, 441. */
const HIGHEST_THRESHOLD = 0.11;
const DEFAULT_THRESHOLD = 0.08;
const SMALLEST_EPSILON = 1e-60;

/**
 * Parameter estimation: how many bits of the reconciled key may be kept, and whether any. Pure, so that each side
 * comes to the same answer by itself. Throws a UsageError that names the option out of range.
 */
export function estimate(options: EstimateOptions): Estimate {
  onlyKnown(options, KNOWN, "an estimate");
  const source = checkedSource(options.source);
  const counts = checkedCounts(options.counts);
  const keyDetections = sum(counts.key.detections);
  const checkDetections = sum(counts.check.detections);
  const leakedBits = whole(options, "leakedBits", Number.NaN, 0);
  const proof = PROOFS[oneOf(options, "proof", ["wiesemann-2026", "lim-2014"], "wiesemann-2026")];
  const epsilonSec = real(options, "epsilonSec", { min: SMALLEST_EPSILON, max: 0.1 });
  const epsilonCor = real(options, "epsilonCor", { min: SMALLEST_EPSILON, max: 0.1 });
  const qberThreshold = real(options, "qberThreshold", {
    fallback: DEFAULT_THRESHOLD,
    min: 0,
    max: HIGHEST_THRESHOLD,
  });
  const fewest = whole(options, "fewestDetections", 1000, 1);
  const qber = {
    check: rate(sum(counts.check.errors), checkDetections),
    ...(options.keyErrors === undefined
      ? {}
      : { key: rate(whole(options, "keyErrors", 0, 0, keyDetections), keyDetections) }),
  };
  const bounds = boundsOf(proof, source, counts, epsilonSec);
  const judged: Judged = {
    simulated: true,
    proof: proof.name,
    epsilonSec,
    epsilonCor,
    qber,
    qberThreshold,
    bounds,
    leakedBits,
  };
  const abort = (reason: AbortReason): Estimate => ({ ...judged, outcome: "abort", reason, secretBits: 0 });

  if (Math.min(keyDetections, checkDetections) < fewest) return abort("too_few_detections");
  if (Math.max(qber.check, qber.key ?? 0) > qberThreshold) return abort("qber_over_threshold");
  const least = options.acceptance === undefined ? undefined : checkedAcceptance(options.acceptance);
  if (least !== undefined && !meets({ ...bounds, leakedBits }, least)) return abort("not_accepted");
  const extractable = proof.extractable({
    vacuum: least === undefined ? bounds.keyVacuum : 0,
    singles: (least ?? bounds).keySingles,
    phase: (least ?? bounds).phaseErrorRate,
    secrecy: epsilonSec,
  });
  const secretBits = Math.floor(extractable - (least?.leakedBits ?? leakedBits) - Math.log2(2 / epsilonCor));
  // Written so that whatever is no number gives no key.
  return secretBits >= 1 && secretBits <= keyDetections
    ? { ...judged, outcome: "key", secretBits }
    : abort("no_positive_length");
}

const sum = (triple: Triple): number => triple[0] + triple[1] + triple[2];
const rate = (errors: number, of: number): number => (of === 0 ? 0 : errors / of);

function checkedAcceptance(acceptance: Acceptance): Acceptance {
  if (!isObject(acceptance)) throw invalid("acceptance", "must be an object");
  onlyKnown(acceptance, KNOWN_ACCEPTANCE, "an acceptance");
  return {
    keySingles: real(acceptance, "keySingles", { min: 0, max: Number.MAX_SAFE_INTEGER }),
    phaseErrorRate: real(acceptance, "phaseErrorRate", { min: 0, max: 0.5 }),
    leakedBits: whole(acceptance, "leakedBits", Number.NaN, 0),
  };
}

const meets = (found: Acceptance, least: Acceptance): boolean =>
  found.keySingles >= least.keySingles &&
  found.phaseErrorRate <= least.phaseErrorRate &&
  found.leakedBits <= least.leakedBits;

function checkedCounts(counts: SiftedCounts): SiftedCounts {
  if (!isObject(counts) || !isObject(counts.key) || !isObject(counts.check)) {
    throw invalid("counts", "must have key and check");
  }
  const { key, check } = counts;
  for (const [name, triple] of Object.entries({
    "counts.key.detections": key.detections,
    "counts.check.detections": check.detections,
    "counts.check.errors": check.errors,
  })) {
    const whole = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
    if (!Array.isArray(triple) || triple.length !== 3 || !triple.every(whole)) {
      throw invalid(name, "must be three whole numbers of at least 0");
    }
  }
  if (check.errors.some((errors, which) => errors > (check.detections[which] as number))) {
    throw invalid("counts.check.errors", "cannot be more than the detections");
  }
  return counts;
}

const invalid = (option: string, what: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `${option} ${what}`, { option });
