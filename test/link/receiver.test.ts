import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkedReceiver, clicksOf, type Receiver } from "../../src/link/receiver.ts";
import { photonProbability } from "../../src/link/source.ts";
import { fuzz } from "../support/fuzz.ts";

const receiver: Receiver = {
  lossDb: 3,
  efficiency: 0.2,
  darkCountProbability: 1e-3,
  afterPulseProbability: 0.02,
  afterPulseGates: 50,
  deadGates: 2,
};

describe("clicks", () => {
  test("without light there are dark counts alone, on either detector alike", () => {
    const clicks = clicksOf(receiver, { photons: 0, transmittance: 0.5, wrongShare: 0.01 });
    expect(clicks.right).toBeCloseTo(1e-3 * (1 - 1e-3), 12);
    expect(clicks.wrong).toBeCloseTo(clicks.right, 12);
    expect(clicks.both).toBeCloseTo(1e-6, 12);
  });

  test("one photon without dark counts goes to one detector, never to both", () => {
    const clicks = clicksOf(
      { ...receiver, darkCountProbability: 0 },
      { photons: 1, transmittance: 0.5, wrongShare: 0.1 },
    );
    const arrive = 0.5 * 10 ** -0.3 * 0.2;
    expect(clicks.right).toBeCloseTo(arrive * 0.9, 12);
    expect(clicks.wrong).toBeCloseTo(arrive * 0.1, 12);
    expect(clicks.both).toBeCloseTo(0, 12);
  });

  test("two photons that all arrive make what a beam splitter makes of them", () => {
    const perfect = { ...receiver, lossDb: 0, efficiency: 1, darkCountProbability: 0 };
    const clicks = clicksOf(perfect, { photons: 2, transmittance: 1, wrongShare: 0.5 });
    expect(clicks.right).toBeCloseTo(0.25, 12);
    expect(clicks.wrong).toBeCloseTo(0.25, 12);
    expect(clicks.both).toBeCloseTo(0.5, 12);
  });

  test("Lim 2014: over a coherent pulse they add up to D = 1 - (1 - p_dc)^2 exp(-eta k)", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, share, (transmittance, wrongShare, mean) => {
        let [clicking, right] = [0, 0];
        for (let photons = 0; photons < 30; photons++) {
          const clicks = clicksOf(receiver, { photons, transmittance, wrongShare });
          const weight = photonProbability(photons, mean);
          clicking += weight * (clicks.right + clicks.wrong + clicks.both);
          right += weight * (clicks.right + clicks.both);
          for (const each of Object.values(clicks)) expect(each).toBeGreaterThanOrEqual(-1e-15);
        }
        const eta = transmittance * 10 ** -0.3 * 0.2;
        expect(clicking).toBeCloseTo(1 - (1 - 1e-3) ** 2 * Math.exp(-eta * mean), 12);
        expect(right).toBeCloseTo(1 - (1 - 1e-3) * Math.exp(-eta * mean * (1 - wrongShare)), 12);
      }),
      fuzz(100),
    );
  });
});

describe("a receiver out of range is refused by the name of the option", () => {
  test("a good one is taken", () => expect(checkedReceiver(receiver)).toEqual(receiver));

  test.each<[keyof Receiver, unknown]>([
    ["lossDb", -1],
    ["lossDb", 61],
    ["efficiency", 1.1],
    ["efficiency", Number.NaN],
    ["darkCountProbability", 0.2],
    ["darkCountProbability", -1e-9],
    ["afterPulseProbability", 0.6],
    ["afterPulseGates", 0],
    ["afterPulseGates", "50"],
    ["deadGates", 1.5],
    ["deadGates", -1],
    ["deadGates", 1e9],
  ])("%s of %j", (option, value) => {
    expect(() => checkedReceiver({ ...receiver, [option]: value })).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option }),
    );
  });
});
