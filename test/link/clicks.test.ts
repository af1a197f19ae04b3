import { describe, expect, test } from "vitest";
import { anyClick, expectedCounts, type Optics, pulsesFor, settingsOf } from "../../src/link/clicks.ts";

const optics: Optics = {
  source: {
    clockHz: 1e9,
    intensities: [0.5, 0.1, 0.0002],
    intensityProbabilities: [0.7, 0.2, 0.1],
    keyBasisProbability: 0.9,
  },
  fibre: { lengthKm: 50, lossDbPerKm: 0.2, misalignment: 0.005 },
  receiver: {
    lossDb: 0,
    efficiency: 0.1,
    darkCountProbability: 6e-7,
    afterPulseProbability: 0,
    afterPulseGates: 50,
    deadGates: 0,
  },
};

describe("the settings of a pulse", () => {
  test("are twelve, and a pulse has one of them", () => {
    const settings = settingsOf(optics);
    expect(settings).toHaveLength(12);
    expect(settings.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
  });

  test("click as Lim 2014 says: D_k = 1 - (1 - 2 p_dc) exp(-eta k), errors p_dc + e_mis (1 - exp(-eta k))", () => {
    for (const { intensity, sent, measured, clicks } of settingsOf(optics)) {
      const eta = 0.1 * 0.1 * optics.source.intensities[intensity];
      const gain = 1 - (1 - 2 * 6e-7) * Math.exp(-eta);
      expect(anyClick(clicks) / gain).toBeCloseTo(1, 6);
      if (sent !== measured) expect(clicks.right).toBeCloseTo(clicks.wrong, 15);
      else {
        // The formula leaves out that both may click, which is of second order.
        const errors = clicks.wrong + clicks.both / 2;
        expect(errors / (6e-7 + 0.005 * (1 - Math.exp(-eta)))).toBeCloseTo(1, 2);
      }
    }
  });
});

describe("expected counts", () => {
  test("are pulses times choice times gain", () => {
    const { key, check } = expectedCounts(optics, 1e9);
    const gain = 1 - (1 - 6e-7) ** 2 * Math.exp(-0.005);
    expect(key.detections[0] / (1e9 * 0.81 * 0.7 * gain)).toBeCloseTo(1, 9);
    expect(check.detections[0] / (1e9 * 0.01 * 0.7 * gain)).toBeCloseTo(1, 9);
  });

  test("an after-pulse meets any intensity alike and is wrong every other time", () => {
    const { check } = expectedCounts(
      { ...optics, receiver: { ...optics.receiver, afterPulseProbability: 0.04 } },
      1e9,
    );
    const without = expectedCounts(optics, 1e9).check;
    const added = check.detections.map((each, at) => each - without.detections[at]!);
    const errors = check.errors.map((each, at) => each - without.errors[at]!);
    expect(added[0]! / added[2]!).toBeCloseTo(7, 9);
    errors.forEach((each, at) => expect(each / added[at]!).toBeCloseTo(0.5, 9));
  });

  test("dead time takes its share: n / (1 + n T)", () => {
    const { receiver } = optics;
    const dead = expectedCounts({ ...optics, receiver: { ...receiver, deadGates: 1000 } }, 1e9).key
      .detections[0];
    const clicks = settingsOf(optics).reduce(
      (sum, each) => sum + each.probability * anyClick(each.clicks),
      0,
    );
    expect(expectedCounts(optics, 1e9).key.detections[0] / dead).toBeCloseTo(1 + 1000 * clicks, 9);
  });

  test("tell how many pulses a block needs", () => {
    const pulses = pulsesFor(optics, 1_000_000);
    const [signal, decoy, vacuum] = expectedCounts(optics, pulses).key.detections;
    expect(signal + decoy + vacuum).toBeCloseTo(1_000_000, -1);
    const cut = { ...optics.fibre, adversary: { cut: true } };
    const dark = { ...optics.receiver, darkCountProbability: 0 };
    expect(pulsesFor({ ...optics, fibre: cut, receiver: dark }, 1)).toBe(Infinity);
  });
});
