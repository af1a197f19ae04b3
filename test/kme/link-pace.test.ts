import { describe, expect, test } from "vitest";
import { Appetite, checkedPace, isDazzling, Pauses, pulsePlan } from "../../src/kme/link-pace.ts";
import { expectedCounts } from "../../src/link/clicks.ts";
import { preset, PRESET_NAMES } from "../../src/link/presets.ts";

describe("the pulses of a block", () => {
  test.each(PRESET_NAMES)("over %s bring about as many bits as were asked for, within 20 seconds", (name) => {
    const { optics } = preset(name);
    const { pulses, batches } = pulsePlan(optics, 360_000);
    const { key } = expectedCounts(optics, pulses * batches);
    const bits = key.detections.reduce((sum, each) => sum + each, 0);
    expect(bits / 360_000).toBeCloseTo(1, 1);
    expect((pulses * batches) / optics.source.clockHz).toBeLessThan(20.1);
  });

  test("are those of an undisturbed fibre, whoever sits in it", () => {
    const { optics } = preset("metro-10km");
    const tapped = { ...optics, fibre: { ...optics.fibre, adversary: { addedLossDb: 30 } } };
    expect(pulsePlan(tapped, 360_000)).toEqual(pulsePlan(optics, 360_000));
  });

  test("are as many as 32 bits can count in a batch, over a fibre that nothing comes through", () => {
    const { optics } = preset("long-100km");
    const endless = { ...optics, fibre: { ...optics.fibre, lengthKm: 1000 } };
    const { pulses, batches } = pulsePlan(endless, 10_000_000);
    expect(pulses).toBeLessThan(2 ** 32);
    expect(pulses * batches).toBeGreaterThanOrEqual(20e9);
  });
});

test("a fibre that becomes much shorter than the one a batch was meant for dazzles", () => {
  const { optics } = preset("long-100km");
  const { pulses } = pulsePlan(optics, 1_000_000);
  expect(isDazzling(optics, pulses)).toBe(false);
  expect(isDazzling({ ...optics, fibre: { ...optics.fibre, lengthKm: 0 } }, pulses)).toBe(true);
});

test("a block is wanted once a quarter of the stock is gone", () => {
  const appetite = new Appetite();
  expect([100, 24, 25, 0].map((room) => appetite.isFor(room))).toEqual([true, false, true, false]);
  expect(new Appetite().isFor(0)).toBe(false);
});

test("pauses double up to a bound, and begin anew", () => {
  const pauses = new Pauses(100, 500);
  expect([1, 2, 3, 4, 5].map(() => pauses.next())).toEqual([100, 200, 400, 500, 500]);
  pauses.reset();
  expect(pauses.next()).toBe(100);
});

test.each(["qberThreshold", "blockBytes", "firstBits", "blockBits"])("refuses by name: %s", (option) => {
  expect(() => checkedPace({ [option]: -1 })).toThrow(
    expect.objectContaining({ name: "UsageError", option }),
  );
});
