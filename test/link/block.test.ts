import { describe, expect, test } from "vitest";
import { type BlockSettings, checkedSettings, settingsDigest } from "../../src/link/block.ts";
import { preset } from "../../src/link/presets.ts";
import { provider } from "../support/credentials.ts";

const settings: BlockSettings = {
  hash: provider.hash("sha256"),
  random: (length) => provider.random(length),
  source: preset("metro-10km").optics.source,
};

describe("the settings of a block", () => {
  test("have defaults", () => {
    expect(checkedSettings(settings)).toMatchObject({
      epsilonSec: 1e-10,
      epsilonCor: 1e-15,
      qberThreshold: 0.08,
      fewestDetections: 1000,
      proof: "wiesemann-2026",
      authenticationShare: 0.25,
    });
  });

  test.each<[string, Partial<BlockSettings>]>([
    ["epsilonSec", { epsilonSec: 1 }],
    ["epsilonCor", { epsilonCor: 1e-40 }],
    ["qberThreshold", { qberThreshold: 0.2 }],
    ["fewestDetections", { fewestDetections: 1 }],
    ["authenticationShare", { authenticationShare: 1 }],
    ["authenticationReserveBits", { authenticationReserveBits: -1 }],
    ["cascade", { cascade: "opt9" as never }],
    ["roundTripBits", { roundTripBits: 1e9 }],
    ["proof", { proof: "none" as never }],
    ["intensities", { source: { ...settings.source, intensities: [0.1, 0.2, 0.3] } }],
    ["qber", { qber: 0.1 } as never],
  ])("are refused by name: %s", (option, wrong) => {
    expect(() => checkedSettings({ ...settings, ...wrong })).toThrow(
      expect.objectContaining({ name: "UsageError", option }),
    );
  });

  test("have a digest that changes with whatever both must have alike, and with nothing else", () => {
    const digest = (more: Partial<BlockSettings> = {}) =>
      Buffer.from(settingsDigest(checkedSettings({ ...settings, ...more }))).toString("hex");
    const { source } = settings;
    const others = [
      { epsilonSec: 1e-9 },
      { epsilonCor: 1e-9 },
      { qberThreshold: 0.05 },
      { fewestDetections: 500 },
      { proof: "lim-2014" as const },
      { authenticationShare: 0.1 },
      { source: { ...source, keyBasisProbability: 0.5 } },
      { source: { ...source, intensities: [0.5, 0.1, 0] as const } },
    ].map(digest);
    expect(new Set([digest(), ...others]).size).toBe(9);
    expect(digest({ cascade: "opt7", roundTripBits: 5, authenticationReserveBits: 9 })).toBe(digest());
    expect(digest({ random: (length) => new Uint8Array(length) })).toBe(digest());
  });
});
