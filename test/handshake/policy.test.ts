import { describe, expect, test } from "vitest";
import {
  allowsExchange,
  checkPolicy,
  enforce,
  missingLeg,
  PRESETS,
  type Policy,
  type Standing,
} from "../../src/handshake/policy.ts";
import { TrustError, UsageError } from "../../src/protocol/errors.ts";

const policy = (legs: Partial<Policy>): Policy => ({
  name: "custom",
  ...PRESETS.hybrid,
  allowClassical: false,
  production: false,
  ...legs,
});
const STANDINGS: readonly Standing[] = ["required", "preferred", "off"];
const LEGS = ["ecdh", "mlkem", "qkd"] as const;

describe("enforce: for each source, its standing × whether it is there", () => {
  for (const leg of LEGS) {
    for (const standing of STANDINGS) {
      test(`${leg} ${standing}`, () => {
        const others = { ecdh: "off", mlkem: "off", qkd: "off" } as const;
        const own = policy({ ...others, [leg]: standing });
        const none = { ecdh: false, mlkem: false, qkd: false, simulated: false };
        expect(enforce(own, { ...none, [leg]: true }, {})).toEqual([]);
        const missing = () => enforce(own, none, { [leg]: { reason: "it rained", code: "ERR_X" } });
        if (standing === "required") {
          expect(missing).toThrow(TrustError);
          expect(missing).toThrow(
            expect.objectContaining({
              code: `ERR_POLICY_${leg.toUpperCase()}_REQUIRED`,
              alert: "insufficient_security",
              missing: leg,
            }),
          );
          return;
        }
        expect(missing()).toEqual(
          standing === "preferred" ? [{ missing: leg, reason: "it rained", code: "ERR_X" }] : [],
        );
      });
    }
  }

  test("a reason of its own stands in where nobody gave one", () => {
    const [degraded] = enforce(
      policy({ qkd: "preferred" }),
      { ecdh: true, mlkem: true, qkd: false, simulated: false },
      {},
    );
    expect(degraded?.reason).toBe("the peer did not agree to QKD");
  });

  test("a simulated key passes, but not in production", () => {
    const legs = { ecdh: true, mlkem: true, qkd: true, simulated: true };
    expect(enforce(policy({}), legs, {})).toEqual([]);
    expect(() => enforce(policy({ production: true }), legs, {})).toThrow(
      expect.objectContaining({ code: "ERR_POLICY_SIMULATED_KEY", missing: "qkd" }),
    );
  });
});

describe("checkPolicy: nothing may rest on classical cryptography alone", () => {
  for (const mlkem of STANDINGS) {
    test.each(STANDINGS)(`mlkem ${mlkem}, qkd %s`, (qkd) => {
      const own = policy({ mlkem, qkd });
      const strong = mlkem === "required" || qkd === "required";
      if (strong) expect(checkPolicy(own)).toBe(own);
      else expect(() => checkPolicy(own)).toThrow(expect.objectContaining({ option: "policy" }));
      const dangerous = policy({ mlkem, qkd, allowClassical: true });
      expect(checkPolicy(dangerous)).toBe(dangerous);
    });
  }

  test("a standing of nobody is named", () => {
    expect(() => checkPolicy(policy({ ecdh: "maybe" as never }))).toThrow(UsageError);
    expect(() => checkPolicy(policy({ ecdh: "maybe" as never }))).toThrow(
      expect.objectContaining({ option: "policy.ecdh" }),
    );
  });

  test.each(Object.keys(PRESETS))("the preset %s passes", (name) => {
    const preset = policy(PRESETS[name as keyof typeof PRESETS]);
    expect(checkPolicy(preset)).toBe(preset);
  });
});

describe("allowsExchange: the parts of a group against their standings", () => {
  const [ecdh, mlkem, both] = [
    { ecdh: true, mlkem: false },
    { ecdh: false, mlkem: true },
    { ecdh: true, mlkem: true },
  ];
  test.each([
    ["required", "required", [false, false, true]],
    ["required", "preferred", [true, false, true]],
    ["required", "off", [true, false, false]],
    ["preferred", "required", [false, true, true]],
    ["preferred", "preferred", [true, true, true]],
    ["preferred", "off", [true, false, false]],
    ["off", "required", [false, true, false]],
    ["off", "preferred", [false, true, false]],
    ["off", "off", [false, false, false]],
  ] as const)("ecdh %s, mlkem %s", (ofEcdh, ofMlkem, expected) => {
    const own = policy({ ecdh: ofEcdh, mlkem: ofMlkem });
    expect([ecdh, mlkem, both].map((legs) => allowsExchange(own, legs))).toEqual(expected);
  });
});

test("the refusal carries its cause, and the alert that fits it", () => {
  const cause = new Error("down");
  const error = missingLeg(policy({}), "qkd", "down", cause, "unknown_psk_identity");
  expect(error).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED", alert: "unknown_psk_identity", cause });
  expect(error.message).toContain("custom");
});
