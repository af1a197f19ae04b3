import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { expectedCounts, type Optics } from "../../src/link/clicks.ts";
import type { Adversary } from "../../src/link/fibre.ts";
import { preset } from "../../src/link/presets.ts";
import { type Batch, MOST_PULSES, QuantumChannel } from "../../src/link/quantum-channel.ts";
import type { Receiver } from "../../src/link/receiver.ts";

const { optics } = preset("regional-50km");
const channel = (of: Optics = optics, seed = "channel") => new QuantumChannel(of, repeatableRandom(seed));
const received = (change: Partial<Receiver>): Optics => ({
  ...optics,
  receiver: { ...optics.receiver, ...change },
});
const attacked = (adversary: Adversary): Optics => ({ ...optics, fibre: { ...optics.fibre, adversary } });

/** Detections and errors by basis and intensity, where the bases agree. */
function tally({ alice, bob }: Batch) {
  const counts = { key: zeros(), check: zeros() };
  alice.choices.forEach((choice, at) => {
    const outcome = bob.outcomes[at]!;
    if (((choice >> 1) & 1) !== outcome >> 1) return;
    const of = outcome >> 1 === 0 ? counts.key : counts.check;
    of.detections[choice >> 2]! += 1;
    if ((choice & 1) !== (outcome & 1)) of.errors[choice >> 2]! += 1;
  });
  return counts;
}
const zeros = () => ({ detections: [0, 0, 0], errors: [0, 0, 0] });
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);
/** Whether a count is what was expected, give or take six deviations. */
function expectCount(count: number, mean: number, extra = 1): void {
  expect(Math.abs(count - mean), `${count} where ${mean} was expected`).toBeLessThan(
    6 * extra * Math.sqrt(mean) + 6,
  );
}

describe("a batch", () => {
  test("says that it is simulated, on either side too", () => {
    const batch = channel().send(100_000);
    expect([batch.simulated, batch.alice.simulated, batch.bob.simulated]).toEqual([true, true, true]);
  });

  test("is split into records that share no memory", () => {
    const { alice, bob } = channel().send(1_000_000);
    expect(alice.slots).toEqual(bob.slots);
    bob.slots.fill(0);
    bob.outcomes.fill(0xff);
    expect(alice.slots.at(-1)).toBeGreaterThan(0);
    expect(alice.choices.every((choice) => choice < 12)).toBe(true);
  });

  test("is the same for the same seed, another for another", () => {
    expect(channel().send(1_000_000)).toEqual(channel().send(1_000_000));
    expect(channel().send(1_000_000)).not.toEqual(channel(optics, "other").send(1_000_000));
  });

  test("has slots that rise and lie within it, also after others", () => {
    const sending = channel(received({ afterPulseProbability: 0.3 }));
    for (const pulses of [1_000_000, 1, 300_000, 17]) {
      const { slots, pulses: sent } = sending.send(pulses).bob;
      expect(sent).toBe(pulses);
      slots.forEach((slot, at) => expect(slot > (slots[at - 1] ?? -1) && slot < pulses).toBe(true));
    }
  });

  test("counts what the optics make expected, by basis, intensity and error", () => {
    const pulses = 300_000_000;
    const counts = tally(channel().send(pulses));
    const expected = expectedCounts(optics, pulses);
    for (const basis of ["key", "check"] as const) {
      for (const kind of ["detections", "errors"] as const) {
        counts[basis][kind].forEach((count, at) => expectCount(count, expected[basis][kind][at]!, 1.1));
      }
    }
  });

  test("has even bits on both sides, whatever the basis", () => {
    const { alice, bob } = channel().send(30_000_000);
    const total = alice.choices.length;
    for (const bits of [alice.choices, bob.outcomes]) {
      expect(Math.abs(sum(bits.map((each) => each & 1)) - total / 2)).toBeLessThan(5 * Math.sqrt(total / 4));
    }
  });

  test("where the bases differ the bits are independent", () => {
    const { alice, bob } = channel().send(30_000_000);
    let [total, different] = [0, 0];
    alice.choices.forEach((choice, at) => {
      if (((choice >> 1) & 1) === bob.outcomes[at]! >> 1) return;
      total++;
      different += (choice ^ bob.outcomes[at]!) & 1;
    });
    expect(Math.abs(different - total / 2)).toBeLessThan(5 * Math.sqrt(total / 4));
  });
});

describe("detectors", () => {
  test("double clicks get a random bit and are counted, none is dropped", () => {
    const bright: Optics = {
      source: { ...optics.source, intensities: [2, 0.5, 0] },
      fibre: { lengthKm: 0, lossDbPerKm: 0, misalignment: 0.1 },
      receiver: { ...optics.receiver, lossDb: 0, efficiency: 1, afterPulseProbability: 0, deadGates: 0 },
    };
    const batch = channel(bright).send(200_000);
    expect(batch.bob.doubleClicks).toBeGreaterThan(10_000);
    const expected = expectedCounts(bright, 200_000);
    const counts = tally(batch);
    expectCount(sum(counts.key.errors), sum(expected.key.errors));
    expectCount(sum(counts.key.detections), sum(expected.key.detections));
  });

  test("in dead time nothing clicks", () => {
    const { slots } = channel(received({ deadGates: 500 })).send(10_000_000).bob;
    const nearest = slots
      .subarray(1)
      .reduce((least, slot, at) => Math.min(least, slot - slots[at]!), Infinity);
    expect(nearest).toBeGreaterThan(500);
    expectCount(slots.length, clicksOf(received({ deadGates: 500 }), 10_000_000));
  });

  test("dead time goes on into the next batch", () => {
    const sending = channel(received({ deadGates: 100_000, darkCountProbability: 0.05 }));
    const first = sending.send(50).bob.slots;
    expect(first).toHaveLength(1);
    expect(sending.send(50_000).bob.slots).toHaveLength(0);
    const later = sending.send(100_000).bob.slots[0]!;
    expect(50 + 50_000 + later).toBeGreaterThan(first[0]! + 100_000);
  });

  test("after-pulses come of the same detector, and soon", () => {
    // Light alone: without it there is nothing, and hardly any of it.
    const dim: Optics = {
      ...optics,
      fibre: { ...optics.fibre, lengthKm: 150 },
      receiver: {
        ...optics.receiver,
        darkCountProbability: 0,
        afterPulseProbability: 0.5,
        afterPulseGates: 20,
        deadGates: 3,
      },
    };
    const { slots, outcomes } = channel(dim).send(2_000_000_000).bob;
    let [after, same, gaps] = [0, 0, 0];
    slots.forEach((slot, at) => {
      const gap = at === 0 ? Infinity : slot - slots[at - 1]!;
      if (gap > 200) return;
      after++;
      gaps += gap;
      same += 1 - ((outcomes[at]! ^ outcomes[at - 1]!) & 1);
    });
    expectCount(after, slots.length / 2);
    expect(same / after).toBeGreaterThan(0.97);
    expect(gaps / after).toBeGreaterThan(21);
    expect(gaps / after).toBeLessThan(25);
  });

  test("after-pulses wait for their turn, many at a time, into later batches", () => {
    const late = received({ afterPulseProbability: 0.3, afterPulseGates: 3000 });
    const expected = clicksOf(late, 20_000_000);
    expectCount(channel(late).send(20_000_000).bob.slots.length, expected, 1.5);
    const sending = channel(late);
    let total = 0;
    for (let batch = 0; batch < 20_000; batch++) total += sending.send(1000).bob.slots.length;
    expectCount(total, expected, 1.5);
  });

  test("without dark counts and light there is nothing, without end", () => {
    const dark = {
      ...received({ darkCountProbability: 0 }),
      fibre: { ...optics.fibre, adversary: { cut: true } },
    };
    expect(channel(dark).send(MOST_PULSES).bob.slots).toHaveLength(0);
  });
});

describe("the adversary in the fibre", () => {
  const pulses = 100_000_000;
  const qber = ({ key, check }: ReturnType<typeof tally>): readonly number[] =>
    [key, check].map(({ detections, errors }) => sum(errors) / sum(detections));
  const intrinsic = qber(tally(channel().send(pulses)));

  test.each([0.1, 0.5, 1])(
    "intercept-resend of a share of %d adds a quarter of it to the QBER, in both bases",
    (share) => {
      const counts = tally(channel(attacked({ interceptShare: share })).send(pulses));
      qber(counts).forEach((rate, at) => {
        const expected = intrinsic[at]! + share * (0.25 - intrinsic[at]! / 2);
        const of = sum([counts.key, counts.check][at]!.detections);
        expect(Math.abs(rate - expected)).toBeLessThan(6 * Math.sqrt((2 * expected * (1 - expected)) / of));
      });
    },
  );

  test("full intercept-resend gives a QBER of 25 % and half the intrinsic one", () => {
    const [key] = qber(tally(channel(attacked({ interceptShare: 1 })).send(pulses)));
    expect(key).toBeGreaterThan(0.25);
    expect(key).toBeLessThan(0.27);
  });

  test("intercept-resend changes no rate: only errors give it away", () => {
    const { length } = channel(attacked({ interceptShare: 1 })).send(pulses).bob.slots;
    expectCount(length, clicksOf(optics, pulses));
  });

  test("added loss takes detections and adds few errors", () => {
    const counts = tally(channel(attacked({ addedLossDb: 3 })).send(pulses));
    const ratio = sum(counts.key.detections) / sum(tally(channel().send(pulses)).key.detections);
    expect(Math.abs(ratio / 10 ** -0.3 - 1)).toBeLessThan(0.03);
    expect(qber(counts)[0]).toBeLessThan(intrinsic[0]! + 0.005);
  });

  test("a cut leaves dark counts, half of them wrong", () => {
    const counts = tally(channel(attacked({ cut: true })).send(1_000_000_000));
    expectCount(sum(counts.key.detections), 1e9 * 0.79 ** 2 * 2 * 5e-6 * 1.02);
    expect(qber(counts)[0]).toBeCloseTo(0.5, 1);
  });

  test.each<Adversary>([
    { photonNumberSplitting: { blockedSingles: 1, blockedMultiples: 0.5 } },
    { photonNumberSplitting: { blockedSingles: 0.3 }, interceptShare: 0.2 },
    { photonNumberSplitting: { blockedSingles: 0.5, losslessLine: false }, addedLossDb: 2 },
  ])("%j changes every count as it is to be expected", (adversary) => {
    const of = attacked(adversary);
    const counts = tally(channel(of).send(pulses));
    const expected = expectedCounts(of, pulses);
    for (const basis of ["key", "check"] as const) {
      for (const kind of ["detections", "errors"] as const) {
        counts[basis][kind].forEach((count, at) => expectCount(count, expected[basis][kind][at]!, 1.1));
      }
    }
  });

  test("comes and goes while the link runs", () => {
    const sending = channel();
    const rate = () => qber(tally(sending.send(20_000_000)))[0]!;
    expect(rate()).toBeLessThan(0.03);
    sending.lay({ ...optics.fibre, adversary: { interceptShare: 0.5 } });
    expect(rate()).toBeGreaterThan(0.12);
    sending.lay(optics.fibre);
    expect(rate()).toBeLessThan(0.03);
  });
});

describe("what is out of range is refused by the name of the option", () => {
  test.each([0, -1, 1.5, Number.NaN, MOST_PULSES + 1])("%d pulses", (pulses) => {
    expect(() => channel().send(pulses)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option: "pulses" }),
    );
  });

  test("optics, when they are made and when the fibre is laid anew", () => {
    const long = { ...optics.fibre, lengthKm: 2000 };
    const refusal = expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "lengthKm" });
    expect(() => channel({ ...optics, fibre: long })).toThrow(refusal);
    expect(() => channel().lay(long)).toThrow(refusal);
    expect(() => channel(received({ efficiency: 2 }))).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "efficiency" }),
    );
  });
});

/** All clicks that are to be expected: those of the key are a share of them. */
function clicksOf(of: Optics, pulses: number): number {
  return sum(expectedCounts(of, pulses).key.detections) / of.source.keyBasisProbability ** 2;
}

test("a fibre that is changed keeps what the change does not name, and an adversary who does nothing has left", () => {
  const sending = channel(attacked({ interceptShare: 0.5 }));
  sending.change({ lengthKm: 20 });
  const nothing = { interceptShare: 0, addedLossDb: 0, cut: false };
  const adversary = { ...nothing, interceptShare: 0.5 };
  expect(sending.optics.fibre).toEqual({ ...optics.fibre, lengthKm: 20, adversary });
  sending.change({ adversary: {} });
  const alone = { ...optics.fibre, lengthKm: 20, adversary: nothing };
  expect(sending.optics.fibre).toEqual(alone);
  sending.change({});
  expect(sending.optics.fibre).toEqual(alone);
  expect(() => sending.change({ lengthKm: -1 })).toThrow(expect.objectContaining({ option: "lengthKm" }));
});
