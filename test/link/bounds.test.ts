import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { boundsOf, PROOFS, type ProofName } from "../../src/link/bounds.ts";
import { binaryEntropy } from "../../src/link/cascade.ts";
import { Draw, Weighted } from "../../src/link/random.ts";
import { photonProbability, type Source, type Triple } from "../../src/link/source.ts";
import { fuzz } from "../support/fuzz.ts";

const NAMES: readonly ProofName[] = ["wiesemann-2026", "lim-2014"];
const source: Source = {
  clockHz: 1e9,
  intensities: [0.45, 0.2, 0.001],
  intensityProbabilities: [0.4, 0.4, 0.2],
  keyBasisProbability: 0.8,
};
const share = fc.double({ min: 0, max: 1, noNaN: true });
const triple = (each: fc.Arbitrary<number>): fc.Arbitrary<Triple> => fc.tuple(each, each, each);

/** Lim 2014, equations 2 to 4, written out once more and term by term. */
function byHand(counts: { n: Triple; z: Triple; m: Triple }, epsilon: number) {
  const [k1, k2, k3] = source.intensities;
  const p = source.intensityProbabilities;
  const all = ([a, b, c]: Triple): number => a + b + c;
  const tau0 = p[0] * Math.exp(-k1) + p[1] * Math.exp(-k2) + p[2] * Math.exp(-k3);
  const tau1 = p[0] * Math.exp(-k1) * k1 + p[1] * Math.exp(-k2) * k2 + p[2] * Math.exp(-k3) * k3;
  const delta = (total: number): number => Math.sqrt(0.5 * total * Math.log(21 / epsilon));
  const upper = (of: Triple, i: 0 | 1 | 2): number =>
    (Math.exp(source.intensities[i]) / p[i]) * Math.min(all(of), of[i] + delta(all(of)));
  const lower = (of: Triple, i: 0 | 1 | 2): number =>
    (Math.exp(source.intensities[i]) / p[i]) * Math.max(0, of[i] - delta(all(of)));
  const within = (value: number, most: number): number => Math.max(0, Math.min(value, most));
  const photons = (of: Triple): { s0: number; s1: number } => {
    const s0 = within((tau0 / (k2 - k3)) * (k2 * lower(of, 2) - k3 * upper(of, 1)), all(of));
    const bracket =
      lower(of, 1) - upper(of, 2) - ((k2 * k2 - k3 * k3) / (k1 * k1)) * (upper(of, 0) - s0 / tau0);
    const s1 = within(((tau1 * k1) / (k1 * (k2 - k3) - (k2 * k2 - k3 * k3))) * bracket, all(of) - s0);
    return { s0, s1 };
  };
  const v = within((tau1 / (k2 - k3)) * (upper(counts.m, 1) - lower(counts.m, 2)), all(counts.m));
  return { x: photons(counts.n), z: photons(counts.z), v };
}

describe.each(NAMES)("bounds after %s", (name) => {
  const proof = PROOFS[name];

  test("are those of Lim 2014 equations 2 to 4, with 21 terms", () => {
    const detections = triple(fc.integer({ min: 0, max: 10_000_000 }));
    const epsilon = fc.integer({ min: -30, max: -2 }).map((power) => 10 ** power);
    fc.assert(
      fc.property(detections, detections, triple(share), epsilon, (n, z, shares, epsilon) => {
        const m = z.map((each, at) => Math.floor(each * shares[at]!)) as unknown as Triple;
        const counts = { key: { detections: n }, check: { detections: z, errors: m } };
        const bounds = boundsOf(proof, source, counts, epsilon);
        const expected = byHand({ n, z, m }, epsilon);
        const same = (value: number, other: number) =>
          expect(Math.abs(value - other)).toBeLessThanOrEqual(1e-9 * (1 + Math.abs(other)));
        same(bounds.keyVacuum, expected.x.s0);
        same(bounds.keySingles, expected.x.s1);
        same(bounds.checkSingles, expected.z.s1);
        same(bounds.checkSingleErrors, expected.v);
        expect(bounds.phaseErrorRate).toBeLessThanOrEqual(0.5);
        if (bounds.keySingles > 0 && bounds.checkSingles > 0) {
          expect(bounds.phaseErrorRate).toBeGreaterThanOrEqual(
            Math.min(0.5, bounds.checkSingleErrors / bounds.checkSingles),
          );
        }
      }),
      fuzz(300),
    );
  });

  test("hold for whatever yields and errors an adversary gives each photon number", () => {
    const yields = fc.array(share, { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(yields, yields, (yields, errors) => {
        const pulses = 1e9;
        const count = (of: (photons: number) => number): Triple =>
          source.intensities.map((mean, which) =>
            yields.reduce(
              (sum, _, n) =>
                sum + pulses * source.intensityProbabilities[which]! * photonProbability(n, mean) * of(n),
              0,
            ),
          ) as unknown as Triple;
        const detections = count((n) => yields[n]!);
        const counts = {
          key: { detections },
          check: { detections, errors: count((n) => yields[n]! * errors[n]!) },
        };
        const truth = (photons: number): number =>
          source.intensityProbabilities.reduce(
            (sum, p, which) => sum + pulses * p * photonProbability(photons, source.intensities[which]!),
            0,
          );
        const bounds = boundsOf(proof, source, counts, 1);
        expect(bounds.keyVacuum).toBeLessThanOrEqual(truth(0) * yields[0]! + 1);
        expect(bounds.keySingles).toBeLessThanOrEqual(truth(1) * yields[1]! + 1);
        expect(bounds.checkSingleErrors).toBeGreaterThanOrEqual(truth(1) * yields[1]! * errors[1]! - 1);
      }),
      fuzz(300),
    );
  });

  test("hold for photons that are counted one by one, and are not far off", () => {
    const draw = new Draw(repeatableRandom("photons"));
    const intensity = new Weighted(source.intensityProbabilities);
    const numbers = source.intensities.map(
      (mean) => new Weighted(Array.from({ length: 12 }, (_, n) => photonProbability(n, mean))),
    );
    for (let block = 0; block < 5; block++) {
      const n = [0, 0, 0];
      const m = [0, 0, 0];
      const [truth, wrong] = [
        [0, 0],
        [0, 0],
      ];
      for (let pulse = 0; pulse < 400_000; pulse++) {
        const which = intensity.draw(draw);
        const photons = numbers[which]!.draw(draw);
        if (draw.fraction() > 1 - 0.99 * 0.5 ** photons) continue;
        const error = draw.fraction() < (photons === 0 ? 0.5 : 0.02) ? 1 : 0;
        n[which]! += 1;
        m[which]! += error;
        if (photons > 1) continue;
        truth[photons]! += 1;
        wrong[photons]! += error;
      }
      const detections = n as unknown as Triple;
      const counts = { key: { detections }, check: { detections, errors: m as unknown as Triple } };
      const bounds = boundsOf(proof, source, counts, 1e-10);
      expect(bounds.keyVacuum).toBeLessThanOrEqual(truth[0]!);
      expect(bounds.keySingles).toBeLessThanOrEqual(truth[1]!);
      expect(bounds.keySingles).toBeGreaterThan(0.5 * truth[1]!);
      expect(bounds.checkSingleErrors).toBeGreaterThanOrEqual(wrong[1]!);
    }
  });

  test("know nothing of a block without detections", () => {
    const none: Triple = [0, 0, 0];
    const counts = { key: { detections: none }, check: { detections: none, errors: none } };
    expect(boundsOf(proof, source, counts, 1e-10)).toEqual({
      keyVacuum: 0,
      keySingles: 0,
      checkSingles: 0,
      checkSingleErrors: 0,
      phaseErrorRate: 0.5,
    });
  });
});

describe("deviations of the phase error rate", () => {
  const of = { rate: 0.02, sample: 40_000, key: 100_000, secrecy: 1e-10 };

  test("wiesemann-2026: Serfling for a sample of the check and the rest in the key", () => {
    const { sample, key } = of;
    // Serfling: P(deviation > g) <= exp(-2 g^2 key sample^2 / ((key + sample)(sample + 1))), set to epsilon_0 squared.
    const deviation = PROOFS["wiesemann-2026"].phaseDeviation(of);
    const failure = Math.exp((-2 * deviation ** 2 * key * sample ** 2) / ((key + sample) * (sample + 1)));
    expect(failure / (1e-10 / 21) ** 2).toBeCloseTo(1, 6);
  });

  test("lim-2014: gamma as printed", () => {
    const [a, b, c, d] = [1e-10, 0.02, 40_000, 100_000];
    const gamma = Math.sqrt(
      (((c + d) * (1 - b) * b) / (c * d * Math.log(2))) *
        Math.log2(((c + d) / (c * d * (1 - b) * b)) * (21 ** 2 / a ** 2)),
    );
    expect(PROOFS["lim-2014"].phaseDeviation(of)).toBeCloseTo(gamma, 12);
  });

  test("lim-2014: no errors at all leave a deviation all the same", () => {
    expect(PROOFS["lim-2014"].phaseDeviation({ ...of, rate: 0 })).toBeGreaterThan(1e-4);
  });

  test.each(NAMES)("%s: shrink with either block, grow with secrecy", (name) => {
    const phaseDeviation = (at: typeof of) => PROOFS[name].phaseDeviation(at);
    const deviation = phaseDeviation(of);
    expect(phaseDeviation({ ...of, sample: 80_000 })).toBeLessThan(deviation);
    expect(phaseDeviation({ ...of, key: 200_000 })).toBeLessThan(deviation);
    expect(phaseDeviation({ ...of, secrecy: 1e-12 })).toBeGreaterThan(deviation);
  });
});

describe("the length", () => {
  const of = { vacuum: 1000, singles: 100_000, phase: 0.05, secrecy: 1e-10 };
  const singles = 100_000 * (1 - binaryEntropy(0.05));

  test("wiesemann-2026 takes 4 log2(21 / (eps 2^(1/4))) and counts no vacuum", () => {
    const expected = singles - 4 * (Math.log2(21) + 10 * Math.log2(10) - 0.25);
    expect(PROOFS["wiesemann-2026"].extractable(of)).toBeCloseTo(expected, 6);
  });

  test("lim-2014 takes 6 log2(21 / eps) and counts the vacuum", () => {
    const expected = 1000 + singles - 6 * (Math.log2(21) + 10 * Math.log2(10));
    expect(PROOFS["lim-2014"].extractable(of)).toBeCloseTo(expected, 6);
  });
});
