import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arrivals, checkedFibre, type Fibre } from "../../src/link/fibre.ts";
import { fuzz } from "../support/fuzz.ts";

const fibre: Fibre = { lengthKm: 50, lossDbPerKm: 0.2, misalignment: 0.01 };
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe("what becomes of a pulse", () => {
  test("alone in the fibre it loses 0.2 dB a km", () => {
    const [only, ...others] = arrivals(checkedFibre(fibre), 3);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ probability: 1, photons: 3, scrambled: false });
    expect(only?.transmittance).toBeCloseTo(0.1, 12);
  });

  test("added loss comes on top", () => {
    const [only] = arrivals({ ...fibre, adversary: { addedLossDb: 10 } }, 1);
    expect(only?.transmittance).toBeCloseTo(0.01, 12);
  });

  test("nothing comes through a cut", () => {
    const adversary = { cut: true, interceptShare: 1 };
    expect(arrivals({ ...fibre, adversary }, 5)).toMatchObject([{ probability: 1, photons: 0 }]);
  });

  test("intercepted in the other basis, half of the time, a state has nothing to do with what was sent", () => {
    const parts = arrivals({ ...fibre, adversary: { interceptShare: 0.4 } }, 2);
    const scrambled = parts.filter((each) => each.scrambled);
    expect(scrambled).toMatchObject([{ probability: 0.2, photons: 2 }]);
  });

  test("split, a pulse keeps all photons but one and loses none of them on the way", () => {
    const adversary = { photonNumberSplitting: { blockedSingles: 0.7, blockedMultiples: 0.25 } };
    expect(arrivals({ ...fibre, adversary }, 3)).toMatchObject([
      { probability: 0.25, photons: 0 },
      { probability: 0.75, photons: 2, transmittance: 1, scrambled: false },
    ]);
    const [blocked, passed] = arrivals({ ...fibre, adversary }, 1);
    expect(blocked).toMatchObject({ probability: 0.7, photons: 0 });
    expect(passed).toMatchObject({ photons: 1 });
    expect(passed?.transmittance).toBeCloseTo(0.1, 12);
  });

  test("whatever the adversary does, it is one thing, and no photon is added", () => {
    const adversary = fc.record(
      {
        interceptShare: share,
        photonNumberSplitting: fc.record(
          { blockedSingles: share, blockedMultiples: share, losslessLine: fc.boolean() },
          { requiredKeys: ["blockedSingles"] },
        ),
        addedLossDb: fc.double({ min: 0, max: 50, noNaN: true }),
        cut: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(adversary, fc.nat(20), (adversary, photons) => {
        const parts = arrivals(checkedFibre({ ...fibre, adversary }), photons);
        expect(parts.reduce((sum, each) => sum + each.probability, 0)).toBeCloseTo(1, 12);
        for (const each of parts) {
          expect(each.photons).toBeLessThanOrEqual(photons);
          expect(each.transmittance).toBeLessThanOrEqual(1);
        }
      }),
      fuzz(200),
    );
  });
});

describe("a fibre out of range is refused by the name of the option", () => {
  test.each<[string, object]>([
    ["lengthKm", { lengthKm: -1 }],
    ["lengthKm", { lengthKm: 1001 }],
    ["lossDbPerKm", { lossDbPerKm: Number.NaN }],
    ["misalignment", { misalignment: 0.6 }],
    ["adversary", { adversary: 1 }],
    ["interceptShare", { adversary: { interceptShare: 1.01 } }],
    ["photonNumberSplitting", { adversary: { photonNumberSplitting: true } }],
    ["blockedSingles", { adversary: { photonNumberSplitting: {} } }],
    [
      "blockedMultiples",
      { adversary: { photonNumberSplitting: { blockedSingles: 1, blockedMultiples: 2 } } },
    ],
    ["losslessLine", { adversary: { photonNumberSplitting: { blockedSingles: 1, losslessLine: 1 } } }],
    ["addedLossDb", { adversary: { addedLossDb: -3 } }],
    ["cut", { adversary: { cut: "yes" } }],
  ])("%s in %j", (option, change) => {
    expect(() => checkedFibre({ ...fibre, ...change })).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option }),
    );
  });

  test("an option that nobody reads", () => {
    expect(() => checkedFibre({ ...fibre, adversary: { intercept: 1 } } as Fibre)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "intercept" }),
    );
  });
});
