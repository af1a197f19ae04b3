import { describe, expect, test } from "vitest";
import { fibreChange } from "../../../src/kme/page/controls.ts";

const calm = { lengthKm: 10, interceptShare: 0, splitShare: 0, addedLossDb: 0, cut: false };

describe("the controls", () => {
  test("become a fibre and who is in it", () => {
    expect(fibreChange(calm)).toEqual({
      lengthKm: 10,
      adversary: { interceptShare: 0, addedLossDb: 0, cut: false },
    });
    expect(
      fibreChange({ lengthKm: 50, interceptShare: 0.2, splitShare: 0.5, addedLossDb: 3, cut: true }),
    ).toEqual({
      lengthKm: 50,
      adversary: {
        interceptShare: 0.2,
        photonNumberSplitting: { blockedSingles: 0.5 },
        addedLossDb: 3,
        cut: true,
      },
    });
  });

  test.each([
    ["lengthKm", -1],
    ["lengthKm", 1001],
    ["lengthKm", "10"],
    ["lengthKm", null],
    ["interceptShare", 1.1],
    ["splitShare", -0.1],
    ["addedLossDb", 201],
    ["addedLossDb", []],
    ["cut", "yes"],
    ["cut", 1],
  ])("%s %j is refused by name", (option, value) => {
    const laying = () => fibreChange({ ...calm, [option]: value });
    expect(laying).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
  });

  test.each(Object.keys(calm))("%s must be there: what is left out would end what others began", (option) => {
    const { [option]: _, ...rest } = calm as Record<string, unknown>;
    expect(() => fibreChange(rest)).toThrow(expect.objectContaining({ code: "ERR_OPTION_MISSING", option }));
  });

  test("one that is not known is refused", () => {
    const laying = () => fibreChange({ ...calm, misalignment: 0.5 });
    expect(laying).toThrow(expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "misalignment" }));
  });

  test.each([[undefined], [null], [[]], ["cut"], [1]])("%j is no set of controls", (body) => {
    expect(() => fibreChange(body)).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID" }));
  });
});
