import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProofName } from "../../src/link/bounds.ts";
import { binaryEntropy } from "../../src/link/cascade.ts";
import { expectedCounts, type Optics } from "../../src/link/clicks.ts";
import { type Estimate, estimate, type EstimateOptions } from "../../src/link/estimate.ts";
import type { Adversary } from "../../src/link/fibre.ts";
import { preset } from "../../src/link/presets.ts";
import type { SiftedCounts } from "../../src/link/sifting.ts";
import type { Triple } from "../../src/link/source.ts";
import { fuzz } from "../support/fuzz.ts";

const { optics, blockPulses } = preset("regional-50km");
const sum = (triple: Triple): number => triple[0] + triple[1] + triple[2];
const each = (triple: Triple, change: (value: number, at: number) => number): Triple => [
  change(triple[0], 0),
  change(triple[1], 1),
  change(triple[2], 2),
];

/** A block as it is to be expected of these optics, with a correction that leaks 1.16 times the least. */
function block(of: Optics = optics, pulses = 4 * blockPulses): EstimateOptions {
  const expected = expectedCounts(of, pulses);
  const counts = {
    key: { detections: each(expected.key.detections, Math.round) },
    check: {
      detections: each(expected.check.detections, Math.ceil),
      errors: each(expected.check.errors, Math.floor),
    },
  };
  const detections = sum(counts.key.detections);
  const keyErrors = Math.round(sum(expected.key.errors));
  return {
    source: of.source,
    counts,
    keyErrors,
    leakedBits: Math.ceil(1.16 * detections * binaryEntropy(keyErrors / detections)),
    epsilonSec: 1e-10,
    epsilonCor: 1e-15,
  };
}
const attacked = (adversary: Adversary): EstimateOptions =>
  block({ ...optics, fibre: { ...optics.fibre, adversary } });
const withCounts = (options: EstimateOptions, change: (counts: SiftedCounts) => SiftedCounts) => ({
  ...options,
  counts: change(options.counts),
});
const withErrors = (options: EstimateOptions, change: (errors: number, at: number) => number) =>
  withCounts(options, ({ key, check }) => ({
    key,
    check: {
      detections: check.detections,
      errors: each(check.errors, (errors, at) => Math.min(change(errors, at), check.detections[at]!)),
    },
  }));
const reasonOf = (found: Estimate): string => (found.outcome === "abort" ? found.reason : "key");

describe("a block", () => {
  test("of a quiet link gives key, and says that it is simulated and how sure it is", () => {
    const found = estimate(block());
    expect(found).toMatchObject({
      simulated: true,
      outcome: "key",
      proof: "wiesemann-2026",
      epsilonSec: 1e-10,
      epsilonCor: 1e-15,
      qberThreshold: 0.08,
    });
    expect(found.qber.check).toBeCloseTo(0.0213, 3);
    expect(found.qber.key).toBeCloseTo(0.0213, 3);
    expect(found.secretBits).toBeGreaterThan(1e6);
  });

  test("gives what is left of the single photons: s1 (1 - h(phi)) - leak - log2(2/eps_cor) - 4 log2(21/(eps 2^1/4))", () => {
    const options = block();
    const { bounds, secretBits } = estimate(options);
    const left =
      bounds.keySingles * (1 - binaryEntropy(bounds.phaseErrorRate)) -
      options.leakedBits -
      Math.log2(2 / 1e-15) -
      4 * Math.log2(21 / (1e-10 * 2 ** 0.25));
    expect(secretBits).toBe(Math.floor(left));
  });

  test("is judged before reconciliation too, by its check bits", () => {
    const { keyErrors, ...before } = block();
    expect(keyErrors).toBeGreaterThan(0);
    const found = estimate(before);
    expect(found.outcome).toBe("key");
    expect(found.qber).not.toHaveProperty("key");
  });

  test("gives nearly the same under Lim 2014, for comparison", () => {
    const ratio = estimate({ ...block(), proof: "lim-2014" }).secretBits / estimate(block()).secretBits;
    expect(ratio).toBeGreaterThan(0.8);
    expect(ratio).toBeLessThan(1.25);
  });

  test("never gives more than an endless block would: s1 (1 - h(e1)) - leak of the true photons", () => {
    // True single photons of an untouched fibre, from the optics alone.
    const eta = 0.1 * 10 ** -0.2 * 0.2;
    const options = block();
    const [p, mu] = [optics.source.intensityProbabilities, optics.source.intensities];
    const singles = mu.reduce((total, mean, at) => total + p[at]! * mean * Math.exp(-mean), 0);
    const most = 4 * blockPulses * 0.79 ** 2 * singles * (eta + 5e-4);
    expect(estimate(options).secretBits).toBeLessThan(most * (1 - binaryEntropy(0.01)) - options.leakedBits);
  });
});

describe("a length fixed beforehand", () => {
  const options = block();
  const { bounds } = estimate(options);
  const acceptance = {
    keySingles: 0.98 * bounds.keySingles,
    phaseErrorRate: bounds.phaseErrorRate + 0.005,
    leakedBits: options.leakedBits + 10_000,
  };

  test.each<ProofName>(["wiesemann-2026", "lim-2014"])(
    "is what every accepted block gives under %s, and less than its own",
    (proof) => {
      const fixed = estimate({ ...options, proof, acceptance });
      const quieter = withErrors(
        withCounts(options, ({ key, check }) => ({
          key: {
            detections: each(key.detections, (count, at) => (at === 2 ? Math.floor(1.02 * count) : count)),
          },
          check,
        })),
        (errors) => Math.floor(0.9 * errors),
      );
      expect(estimate({ ...quieter, proof }).bounds.keyVacuum).toBeGreaterThan(
        estimate({ ...options, proof }).bounds.keyVacuum,
      );
      expect(fixed.outcome).toBe("key");
      expect(estimate({ ...quieter, proof, acceptance }).secretBits).toBe(fixed.secretBits);
      expect(fixed.secretBits).toBeLessThan(estimate({ ...options, proof }).secretBits);
    },
  );

  test("follows from what is asked for alone", () => {
    const left =
      acceptance.keySingles * (1 - binaryEntropy(acceptance.phaseErrorRate)) - acceptance.leakedBits;
    const overhead = Math.log2(2 / 1e-15) + 4 * Math.log2(21 / (1e-10 * 2 ** 0.25));
    expect(estimate({ ...options, acceptance }).secretBits).toBe(Math.floor(left - overhead));
  });

  test.each<[string, Partial<typeof acceptance>]>([
    ["too few single photons", { keySingles: bounds.keySingles + 1 }],
    ["too many phase errors", { phaseErrorRate: bounds.phaseErrorRate - 1e-6 }],
    ["a correction that told too much", { leakedBits: options.leakedBits - 1 }],
  ])("gives nothing for %s", (_, change) => {
    const found = estimate({ ...options, acceptance: { ...acceptance, ...change } });
    expect(found).toMatchObject({ outcome: "abort", reason: "not_accepted", secretBits: 0 });
  });

  test("gives nothing when what is asked for leaves nothing, and never above the threshold", () => {
    const nothing = { ...acceptance, phaseErrorRate: 0.5 };
    expect(reasonOf(estimate({ ...options, acceptance: nothing }))).toBe("no_positive_length");
    expect(reasonOf(estimate({ ...options, qberThreshold: 0.01, acceptance }))).toBe("qber_over_threshold");
  });
});

describe("no key", () => {
  test.each([0.05, 0.08, 0.11])(
    "comes of a QBER above the threshold of %d, in either basis",
    (qberThreshold) => {
      const quiet = { ...block(), qberThreshold };
      const over = withErrors(quiet, (_, at) =>
        Math.ceil((qberThreshold + 1e-3) * quiet.counts.check.detections[at]!),
      );
      expect(reasonOf(estimate(over))).toBe("qber_over_threshold");
      const keyErrors = Math.ceil((qberThreshold + 1e-6) * sum(quiet.counts.key.detections));
      expect(reasonOf(estimate({ ...quiet, keyErrors }))).toBe("qber_over_threshold");
      expect(reasonOf(estimate({ ...quiet, keyErrors, leakedBits: 0 }))).toBe("qber_over_threshold");
    },
  );

  test("comes of fewer detections than are asked for, in either basis", () => {
    const [few, some]: Triple[] = [
      [300, 300, 399],
      [300, 300, 400],
    ];
    const none: Triple = [0, 0, 0];
    const judge = (key: Triple, check: Triple) =>
      reasonOf(
        estimate({
          ...block(),
          keyErrors: 0,
          counts: { key: { detections: key }, check: { detections: check, errors: none } },
        }),
      );
    expect(judge(few!, some!)).toBe("too_few_detections");
    expect(judge(some!, few!)).toBe("too_few_detections");
    expect(judge(some!, some!)).toBe("no_positive_length");
    expect(reasonOf(estimate({ ...block(), fewestDetections: 1e9 }))).toBe("too_few_detections");
  });

  test("comes of a correction that told everything", () => {
    const { bounds } = estimate(block());
    expect(reasonOf(estimate({ ...block(), leakedBits: Math.ceil(bounds.keySingles) }))).toBe(
      "no_positive_length",
    );
  });

  test("comes of zero counts, nor of errors alone, and nothing is NaN", () => {
    const none: Triple = [0, 0, 0];
    const zero = { key: { detections: none }, check: { detections: none, errors: none } };
    const empty = estimate({ ...block(), counts: zero, keyErrors: 0, leakedBits: 0 });
    expect(empty).toMatchObject({
      outcome: "abort",
      reason: "too_few_detections",
      secretBits: 0,
      qber: { check: 0, key: 0 },
    });
    const all = estimate(withErrors(block(), () => Number.MAX_SAFE_INTEGER));
    expect(all).toMatchObject({
      outcome: "abort",
      reason: "qber_over_threshold",
      secretBits: 0,
      qber: { check: 1 },
    });
    for (const found of [empty, all]) {
      for (const value of Object.values(found.bounds)) expect(Number.isFinite(value)).toBe(true);
    }
  });

  test("comes of nonsense: whatever the counts, the length is a whole number of bits that were there", () => {
    const count = fc.oneof(fc.nat(10), fc.nat(10_000_000), fc.constant(Number.MAX_SAFE_INTEGER / 4));
    const counts = fc.tuple(count, count, count);
    const proof = fc.constantFrom<ProofName>("wiesemann-2026", "lim-2014");
    fc.assert(
      fc.property(
        counts,
        counts,
        counts,
        proof,
        fc.nat(1_000_000),
        (key, check, errors, proof, leakedBits) => {
          const made = {
            key: { detections: each(key, Math.floor) },
            check: {
              detections: each(check, Math.floor),
              errors: each(errors, (error, at) => Math.min(Math.floor(error), Math.floor(check[at]!))),
            },
          };
          const found = estimate({ ...block(), counts: made, keyErrors: 0, leakedBits, proof });
          expect(Number.isSafeInteger(found.secretBits)).toBe(true);
          expect(found.secretBits > 0).toBe(found.outcome === "key");
          expect(found.secretBits).toBeLessThanOrEqual(sum(made.key.detections));
          for (const value of Object.values(found.bounds)) expect(Number.isFinite(value)).toBe(true);
          if (found.qber.check > 0.08) expect(found.outcome).toBe("abort");
        },
      ),
      fuzz(500),
    );
  });
});

describe("it never helps", () => {
  const lengths = fc.double({ min: 0, max: 90, noNaN: true });
  const setting = fc.record({
    lengthKm: lengths,
    pulses: fc.integer({ min: 10_000_000, max: 20_000_000_000 }),
    proof: fc.constantFrom<ProofName>("wiesemann-2026", "lim-2014"),
  });
  /** That a change of a block gives no more key than the block itself. */
  function never(change: (options: EstimateOptions, amount: number) => EstimateOptions): void {
    fc.assert(
      fc.property(
        setting,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ lengthKm, pulses, proof }, amount) => {
          const options = { ...block({ ...optics, fibre: { ...optics.fibre, lengthKm } }, pulses), proof };
          const changed = estimate(change(options, amount)).secretBits;
          expect(changed).toBeLessThanOrEqual(estimate(options).secretBits);
        },
      ),
      fuzz(200),
    );
  }

  test("to have more errors in the check", () => {
    never((options, amount) => withErrors(options, (errors) => Math.round(errors * (1 + amount))));
  });

  test.each([0, 1])("to have more errors at intensity %d of the check", (which) => {
    never((options, amount) =>
      withErrors(options, (errors, at) => (at === which ? Math.round(errors * (1 + amount)) : errors)),
    );
  });

  test("to have more errors in the key", () => {
    never((options, amount) => ({
      ...options,
      keyErrors: Math.round(options.keyErrors! * (1 + 5 * amount)),
    }));
  });

  test("to leak more", () => {
    never((options, amount) => ({
      ...options,
      leakedBits: Math.round(options.leakedBits * (1 + amount)),
    }));
  });

  test("to have fewer detections of the same kind", () => {
    // Many times as many in the one block, so that no rounding is in the way.
    const times = (by: number) => (value: number) => value * by;
    fc.assert(
      fc.property(setting, fc.integer({ min: 2, max: 50 }), ({ lengthKm, pulses, proof }, by) => {
        const fewer = { ...block({ ...optics, fibre: { ...optics.fibre, lengthKm } }, pulses), proof };
        const more = {
          ...withCounts(fewer, ({ key, check }) => ({
            key: { detections: each(key.detections, times(by)) },
            check: { detections: each(check.detections, times(by)), errors: each(check.errors, times(by)) },
          })),
          leakedBits: fewer.leakedBits * by,
          keyErrors: fewer.keyErrors! * by,
        };
        expect(estimate(fewer).secretBits * by).toBeLessThanOrEqual(estimate(more).secretBits);
      }),
      fuzz(200),
    );
  });

  test("to ask for more secrecy", () => {
    never((options, amount) => ({ ...options, epsilonSec: options.epsilonSec * 10 ** (-20 * amount) }));
  });

  test("to ask for more correctness", () => {
    never((options, amount) => ({ ...options, epsilonCor: options.epsilonCor * 10 ** (-20 * amount) }));
  });
});

describe("the statistics give an adversary away", () => {
  const quiet = estimate(block());

  test.each([
    [0.05, 0.033],
    [0.1, 0.045],
    [0.2, 0.069],
  ])("an intercepted share of %d shows as a QBER of %d and as less key", (interceptShare, qber) => {
    const found = estimate(attacked({ interceptShare }));
    expect(found.qber.check).toBeCloseTo(qber, 2);
    expect(found.secretBits).toBeLessThan(quiet.secretBits * 0.75);
  });

  test.each([0.26, 0.5, 1])("an intercepted share of %d aborts at the threshold", (interceptShare) => {
    expect(reasonOf(estimate(attacked({ interceptShare })))).toBe("qber_over_threshold");
  });

  test("photon-number splitting that leaves rate and QBER as they were leaves no single photons, and no key", () => {
    // The adversary stops all single photons and as many of the others as keep the signal's rate.
    let [least, most] = [0, 1];
    const splitting = () => ({
      photonNumberSplitting: { blockedSingles: 1, blockedMultiples: (least + most) / 2 },
    });
    const signal = (options: EstimateOptions): number => options.counts.key.detections[0];
    for (let i = 0; i < 40; i++) {
      const { blockedMultiples } = splitting().photonNumberSplitting;
      if (signal(attacked(splitting())) > signal(block())) least = blockedMultiples;
      else most = blockedMultiples;
    }
    const options = attacked(splitting());
    expect(signal(options) / signal(block())).toBeCloseTo(1, 4);
    const found = estimate(options);
    expect(found.qber.check).toBeCloseTo(quiet.qber.check, 2);
    expect(found.qber.check).toBeLessThan(0.03);
    expect(found.bounds.keySingles).toBe(0);
    expect(reasonOf(found)).toBe("no_positive_length");
  });

  test("the more single photons are stopped, the fewer are estimated, until there is no key", () => {
    const shares = [0, 0.1, 0.2, 0.3, 0.5, 0.8].map((blockedSingles) => {
      const options = attacked({ photonNumberSplitting: { blockedSingles, blockedMultiples: 0.5 } });
      return estimate(options).bounds.keySingles / sum(options.counts.key.detections);
    });
    shares.slice(1).forEach((share, at) => expect(share).toBeLessThanOrEqual(shares[at]!));
    expect(shares[0]).toBeLessThan(quiet.bounds.keySingles / sum(block().counts.key.detections));
    expect(shares.at(-1)).toBe(0);
  });

  test.each([1, 3, 6])(
    "%d dB of added loss take key but no security: the bound stays below the true single photons",
    (addedLossDb) => {
      const options = attacked({ addedLossDb });
      const found = estimate(options);
      expect(found.outcome).toBe("key");
      expect(found.secretBits).toBeLessThan(quiet.secretBits);
      const [p, mu] = [optics.source.intensityProbabilities, optics.source.intensities];
      const singles = mu.reduce((total, mean, at) => total + p[at]! * mean * Math.exp(-mean), 0);
      const eta = 10 ** (-1 - 0.2 - addedLossDb / 10) * 0.2;
      expect(found.bounds.keySingles).toBeLessThan(4 * blockPulses * 0.79 ** 2 * singles * (eta + 5e-4));
    },
  );

  test("a cut leaves nothing to judge, or dark counts that are half wrong", () => {
    const cut = attacked({ cut: true });
    expect(estimate(cut)).toMatchObject({ outcome: "abort", reason: "qber_over_threshold" });
    expect(estimate(cut).qber.check).toBeCloseTo(0.5, 2);
    expect(reasonOf(estimate({ ...cut, fewestDetections: 100_000 }))).toBe("too_few_detections");
  });
});

describe("published: Lim 2014, figure 1", () => {
  /** The paper's own channel: after-pulses go with the pulse's intensity, f_EC = 1.16, eps_cor 1e-15. */
  function lim(lengthKm: number, keyBits: number, [mu1, mu2, p1, p2, q]: readonly number[]) {
    const intensities: Triple = [mu1!, mu2!, 2e-4];
    const intensityProbabilities: Triple = [p1!, p2!, 1 - p1! - p2!];
    const eta = 0.1 * 10 ** (-0.02 * lengthKm);
    const dark = 6e-7;
    const gain = each(intensities, (k) => 1 - (1 - 2 * dark) * Math.exp(-eta * k));
    const wrong = each(intensities, (k, at) => dark + 5e-3 * (1 - Math.exp(-eta * k)) + 0.02 * gain[at]!);
    const clicks = each(gain, (d, at) => 1.04 * d * intensityProbabilities[at]!);
    const errors = each(wrong, (e, at) => e * intensityProbabilities[at]!);
    const toKey = keyBits / sum(clicks);
    const toCheck = toKey * ((1 - q!) / q!) ** 2;
    const qber = sum(errors) / sum(clicks);
    return estimate({
      source: { clockHz: 1e9, intensities, intensityProbabilities, keyBasisProbability: q! },
      counts: {
        key: { detections: each(clicks, (c) => Math.round(c * toKey)) },
        check: {
          detections: each(clicks, (c) => Math.round(c * toCheck)),
          errors: each(errors, (e) => Math.round(e * toCheck)),
        },
      },
      leakedBits: Math.ceil(1.16 * keyBits * binaryEntropy(qber)),
      epsilonSec: 1e-15 * 1000,
      epsilonCor: 1e-15,
      proof: "lim-2014",
    });
  }

  test("10^4 bits of sifted key give secret key beyond 100 km (the authors find 135 km where all is optimised)", () => {
    expect(lim(100, 1e4, [0.4628, 0.0972, 0.0434, 0.5497, 0.4619]).secretBits).toBeGreaterThan(500);
    expect(lim(120, 1e4, [0.4906, 0.1032, 0.0417, 0.5213, 0.2567]).secretBits).toBeGreaterThan(200);
    expect(lim(150, 1e4, [0.4906, 0.1032, 0.0417, 0.5213, 0.2567]).secretBits).toBe(0);
  });

  test("10^9 bits give it at 150 km, and more of each bit the larger the block", () => {
    const bestOfAll = [0.4367, 0.1646, 0.7533, 0.1557, 0.9179];
    expect(lim(150, 1e9, bestOfAll).secretBits).toBeGreaterThan(1e8);
    const shares = [1e7, 1e8, 1e9, 1e10].map((bits) => lim(100, bits, bestOfAll).secretBits / bits);
    shares.slice(1).forEach((share, at) => expect(share).toBeGreaterThan(shares[at]!));
    expect(shares.at(-1)).toBeLessThan(0.4);
  });
});

describe("what is out of range is refused by the name of the option", () => {
  const counts = block().counts;
  const checks = (change: Partial<SiftedCounts["check"]>) => ({
    counts: { ...counts, check: { ...counts.check, ...change } },
  });
  test.each<[string, object]>([
    ["leakedBits", { leakedBits: -1 }],
    ["leakedBits", { leakedBits: 0.5 }],
    ["leakedBits", { leakedBits: undefined }],
    ["epsilonSec", { epsilonSec: 0 }],
    ["epsilonSec", { epsilonSec: 0.5 }],
    ["epsilonSec", { epsilonSec: undefined }],
    ["epsilonCor", { epsilonCor: Number.NaN }],
    ["qberThreshold", { qberThreshold: 0.12 }],
    ["qberThreshold", { qberThreshold: -0.01 }],
    ["fewestDetections", { fewestDetections: 0 }],
    ["keyErrors", { keyErrors: -1 }],
    ["keyErrors", { keyErrors: 1e12 }],
    ["proof", { proof: "shor" }],
    ["acceptance", { acceptance: 1 }],
    ["keySingles", { acceptance: { keySingles: -1, phaseErrorRate: 0.1, leakedBits: 0 } }],
    ["phaseErrorRate", { acceptance: { keySingles: 1, phaseErrorRate: 0.6, leakedBits: 0 } }],
    ["leakedBits", { acceptance: { keySingles: 1, phaseErrorRate: 0.1 } }],
    ["counts", { counts: undefined }],
    ["counts.key.detections", { counts: { ...counts, key: { detections: [1, 2] } } }],
    ["counts.check.detections", checks({ detections: [1, 2, -3] })],
    ["counts.check.errors", checks({ errors: [1, 2, Number.NaN] })],
    ["counts.check.errors", checks({ errors: each(counts.check.detections, (value) => value + 1) })],
    ["intensities", { source: { ...optics.source, intensities: [0.1, 0.2, 0.3] } }],
  ])("%s in %j", (option, change) => {
    expect(() => estimate({ ...block(), ...change })).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option }),
    );
  });

  test("an option that nobody reads", () => {
    expect(() => estimate({ ...block(), epsilon: 1 } as EstimateOptions)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "epsilon" }),
    );
  });
});
