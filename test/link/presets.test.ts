import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { binaryEntropy } from "../../src/link/cascade.ts";
import { expectedCounts, pulsesFor } from "../../src/link/clicks.ts";
import { estimate } from "../../src/link/estimate.ts";
import { type Preset, preset, PRESET_NAMES, type PresetName } from "../../src/link/presets.ts";
import { QuantumChannel } from "../../src/link/quantum-channel.ts";
import { announce, answer, joined, sift, type SiftedCounts } from "../../src/link/sifting.ts";
import type { Triple } from "../../src/link/source.ts";

const sum = (triple: Triple): number => triple[0] + triple[1] + triple[2];
const rounded = ([a, b, c]: Triple): Triple => [Math.round(a), Math.round(b), Math.round(c)];

/** Secret bits a second of such counts, with a correction of this efficiency. */
function rateOf(
  { optics }: Preset,
  of: { counts: SiftedCounts; keyErrors: number; pulses: number; efficiency: number },
): number {
  const detections = sum(of.counts.key.detections);
  const { secretBits } = estimate({
    source: optics.source,
    counts: of.counts,
    keyErrors: of.keyErrors,
    leakedBits: Math.ceil(of.efficiency * detections * binaryEntropy(of.keyErrors / detections)),
    epsilonSec: 1e-10,
    epsilonCor: 1e-15,
  });
  return (secretBits * optics.source.clockHz) / of.pulses;
}

/** The same for a block of so many bits of key before correction, as it is to be expected. */
function expectedRate(of: Preset, keyBits: number, efficiency: number): number {
  const pulses = pulsesFor(of.optics, keyBits);
  const { key, check } = expectedCounts(of.optics, pulses);
  const counts = {
    key: { detections: rounded(key.detections) },
    check: { detections: rounded(check.detections), errors: rounded(check.errors) },
  };
  return rateOf(of, { counts, keyErrors: Math.round(sum(key.errors)), pulses, efficiency });
}

describe.each(PRESET_NAMES)("%s", (name) => {
  const of = preset(name);

  test("has a source for its parameters and an experiment to compare with", () => {
    expect(of.name).toBe(name);
    expect(of.origin).toMatch(/arXiv|PRA/);
    expect(of.published.experiment).toMatch(/arXiv|Express|Lett/);
  });

  test("a block has about 10^6 bits before correction, and gives key", () => {
    const { key } = expectedCounts(of.optics, of.blockPulses);
    expect(sum(key.detections)).toBeGreaterThan(1e6);
    expect(sum(key.detections)).toBeLessThan(1.3e6);
    expect(expectedRate(of, sum(key.detections), 1.16)).toBeGreaterThan(0);
  });

  test.each([1.05, 1.16])(
    "at f_EC %d the rate is within a factor of ten of the published one",
    (efficiency) => {
      // The experiment over 10 km took blocks of 10^8 bits.
      const ratio =
        expectedRate(of, name === "metro-10km" ? 1e8 : 1e6, efficiency) / of.published.bitsPerSecond;
      expect(ratio).toBeGreaterThan(0.1);
      expect(ratio).toBeLessThan(10);
    },
  );
});

test("at 10 km blocks of 10^8 bits give the published rate within a factor of two", () => {
  const of = preset("metro-10km");
  const ratio = expectedRate(of, 1e8, 1.1) / of.published.bitsPerSecond;
  expect(ratio).toBeGreaterThan(0.5);
  expect(ratio).toBeLessThan(2);
});

test("the rate falls with the length", () => {
  const rates = PRESET_NAMES.map((name) => expectedRate(preset(name), 1e6, 1.1));
  expect(rates[0]).toBeGreaterThan(5 * rates[1]!);
  expect(rates[1]).toBeGreaterThan(5 * rates[2]!);
});

test.each<[PresetName, number]>([
  ["metro-10km", 1],
  ["regional-50km", 1],
  ["long-100km", 4],
])("%s, simulated click by click in %d batches, gives the rate that is to be expected", (name, batches) => {
  const of = preset(name);
  const channel = new QuantumChannel(of.optics, repeatableRandom(name));
  const sifted = Array.from({ length: batches }, () => {
    const { alice, bob } = channel.send(of.blockPulses / batches);
    const answered = answer(alice, announce(bob));
    return [answered.sifted, sift(bob, answered.message)] as const;
  });
  const [alice, bob] = [joined(sifted.map(([a]) => a)), joined(sifted.map(([, b]) => b))];
  expect(alice.counts).toEqual(bob.counts);
  const keyErrors = alice.key.copy().xor(bob.key).weight();
  const rate = rateOf(of, { counts: bob.counts, keyErrors, pulses: of.blockPulses, efficiency: 1.1 });
  expect(rate / expectedRate(of, bob.key.length, 1.1)).toBeGreaterThan(0.9);
  expect(rate / expectedRate(of, bob.key.length, 1.1)).toBeLessThan(1.1);
});

test("10^10 pulses over 50 km come to about 4 * 10^7 clicks", () => {
  const of = preset("regional-50km");
  const channel = new QuantumChannel(of.optics, repeatableRandom("10^10"));
  let clicks = 0;
  for (let batch = 0; batch < 10; batch++) clicks += channel.send(1e9).bob.slots.length;
  const expected = sum(expectedCounts(of.optics, 1e10).key.detections) / 0.79 ** 2;
  expect(Math.abs(clicks - expected)).toBeLessThan(6 * Math.sqrt(1.1 * expected));
}, 120_000);

test("another name is refused", () => {
  expect(() => preset("moon" as PresetName)).toThrow(
    expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option: "preset" }),
  );
});
