import { describe, expect, test } from "vitest";
import { checkedSource, photonProbability, type Source } from "../../src/link/source.ts";

const good: Source = {
  clockHz: 1e9,
  intensities: [0.5, 0.1, 0.001],
  intensityProbabilities: [0.7, 0.2, 0.1],
  keyBasisProbability: 0.9,
};

test("photons are Poisson", () => {
  expect(photonProbability(0, 0.5)).toBeCloseTo(Math.exp(-0.5), 15);
  expect(photonProbability(3, 0.5)).toBeCloseTo((Math.exp(-0.5) * 0.125) / 6, 15);
  expect(photonProbability(2, 0)).toBe(0);
  const sum = Array.from({ length: 25 }, (_, n) => photonProbability(n, 2)).reduce((a, b) => a + b, 0);
  expect(sum).toBeCloseTo(1, 15);
});

describe("a source out of range is refused by the name of the option", () => {
  test("a good one is taken", () => expect(checkedSource(good)).toEqual(good));

  test.each<[string, object]>([
    ["clockHz", { clockHz: 0 }],
    ["clockHz", { clockHz: Number.NaN }],
    ["clockHz", { clockHz: 1e12 }],
    ["intensities", { intensities: [0.5, 0.1] }],
    ["intensities", { intensities: [0.5, 0.1, -0.001] }],
    ["intensities", { intensities: [3, 0.1, 0.001] }],
    ["intensities", { intensities: "0.5" }],
    ["intensities", { intensities: [0.5, 0.1, 0.1] }],
    ["intensities", { intensities: [0.5, 0.4, 0.1] }],
    ["intensityProbabilities", { intensityProbabilities: [0.7, 0.2, 0.2] }],
    ["intensityProbabilities", { intensityProbabilities: [0.8, 0.2, 0] }],
    ["intensityProbabilities", { intensityProbabilities: [0.7, 0.2, Number.NaN] }],
    ["keyBasisProbability", { keyBasisProbability: 1 }],
    ["keyBasisProbability", { keyBasisProbability: 0 }],
    ["keyBasisProbability", { keyBasisProbability: undefined }],
  ])("%s of %j", (option, change) => {
    expect(() => checkedSource({ ...good, ...change })).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option }),
    );
  });

  test("an option that nobody reads", () => {
    expect(() => checkedSource({ ...good, clockMHz: 1 } as Source)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "clockMHz" }),
    );
  });
});
