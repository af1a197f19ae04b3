import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";
import { eavesdropper, eavesdropperText } from "../../src/cli/eavesdropper.ts";

describe("an eavesdropper on the command line", () => {
  test.each([
    ["intercept=0.2", { interceptShare: 0.2 }],
    ["split=1", { photonNumberSplitting: { blockedSingles: 1 } }],
    ["loss=3.5", { addedLossDb: 3.5 }],
    ["cut", { cut: true }],
    ["intercept=0.1,loss=2", { interceptShare: 0.1, addedLossDb: 2 }],
  ])("%s", (text, adversary) => {
    expect(eavesdropper(text)).toEqual(adversary);
    expect(eavesdropperText(adversary)).toBe(text);
  });

  test.each(["", "intercept", "intercept=", "intercept=1.1", "intercept=-1", "intercept=0.1e1", "split=2"])(
    "%j is refused",
    (text) => expect(() => eavesdropper(text)).toThrow(InvalidArgumentError),
  );

  test.each(["loss=201", "cut=1", "listen=1", "cut,cut", "intercept=0.1,intercept=0.2", "cut,"])(
    "%j is refused too",
    (text) => expect(() => eavesdropper(text)).toThrow(InvalidArgumentError),
  );
});
