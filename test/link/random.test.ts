import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { Draw, gapScale, Weighted } from "../../src/link/random.ts";
import { fuzz } from "../support/fuzz.ts";

const draw = (seed = "random"): Draw => new Draw(repeatableRandom(seed));

describe("Draw", () => {
  test("the same bytes give the same draws", () => {
    const run = (from: Draw) => [from.word(), from.fraction(), from.bit(), from.gap(gapScale(0.01))];
    expect(run(draw())).toEqual(run(draw()));
    expect(run(draw("other"))).not.toEqual(run(draw()));
  });

  test("words are read little end first, on every platform", () => {
    const from = new Draw((length) => Uint8Array.from({ length }, (_, at) => at % 256));
    expect([from.word(), from.word()]).toEqual([0x03020100, 0x07060504]);
  });

  test("a fraction is never 0 and never 1", () => {
    for (const byte of [0, 255]) {
      const fraction = new Draw((length) => new Uint8Array(length).fill(byte)).fraction();
      expect(fraction).toBeGreaterThan(0);
      expect(fraction).toBeLessThan(1);
    }
  });

  test("bits are even and independent of their neighbours", () => {
    const from = draw();
    const total = 100_000;
    let [ones, changes, last] = [0, 0, 0];
    for (let i = 0; i < total; i++) {
      const bit = from.bit();
      ones += bit;
      changes += bit ^ last;
      last = bit;
    }
    expect(Math.abs(ones - total / 2)).toBeLessThan(5 * Math.sqrt(total / 4));
    expect(Math.abs(changes - total / 2)).toBeLessThan(5 * Math.sqrt(total / 4));
  });

  test.each([0.5, 0.01, 1e-5, 1e-9])("gaps of probability %d are geometric", (probability) => {
    const from = draw(`gaps ${probability}`);
    const scale = gapScale(probability);
    const total = 50_000;
    const gaps = Array.from({ length: total }, () => from.gap(scale));
    const mean = (1 - probability) / probability;
    const deviation = Math.sqrt(1 - probability) / probability;
    const measured = gaps.reduce((sum, gap) => sum + gap, 0) / total;
    expect(Math.abs(measured - mean)).toBeLessThan((5 * deviation) / Math.sqrt(total));
    // P(gap >= t) = (1 - p)^t, at the median and in the tail.
    for (const t of [Math.ceil(0.7 / probability), Math.ceil(4 / probability)]) {
      const tail = (1 - probability) ** t;
      const share = gaps.filter((gap) => gap >= t).length / total;
      expect(Math.abs(share - tail)).toBeLessThan(5 * Math.sqrt((tail * (1 - tail)) / total));
    }
  });

  test("what always happens leaves no gap", () => {
    expect(draw().gap(gapScale(1))).toBe(0);
  });
});

describe("Weighted", () => {
  test("draws by weight, whatever they add up to, and never what weighs nothing", () => {
    const weight = fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 10, noNaN: true }));
    const weights = fc
      .array(weight, { minLength: 1, maxLength: 36 })
      .filter((all) => all.some((each) => each > 0));
    fc.assert(
      fc.property(weights, fc.string(), (weights, seed) => {
        const total = weights.reduce((sum, each) => sum + each, 0);
        const weighted = new Weighted(weights);
        expect(weighted.total).toBeCloseTo(total, 9);
        const draws = 20_000;
        const counts = weights.map(() => 0);
        const from = draw(seed);
        for (let i = 0; i < draws; i++) counts[weighted.draw(from)]! += 1;
        counts.forEach((count, index) => {
          const share = weights[index]! / total;
          if (share === 0) expect(count).toBe(0);
          expect(Math.abs(count - share * draws)).toBeLessThan(
            6 * Math.sqrt(draws * share * (1 - share)) + 6,
          );
        });
      }),
      fuzz(30),
    );
  });
});
