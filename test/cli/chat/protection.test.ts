import { describe, expect, test } from "vitest";
import { protection } from "../../../src/cli/chat/protection.ts";
import type { SecurityRecord } from "../../../src/observe/evidence.ts";

interface Facts {
  readonly ecdh?: boolean;
  readonly mlkem?: boolean;
  readonly qkd?: boolean;
  readonly simulated?: boolean;
  readonly resumed?: boolean;
  readonly why?: string;
}

/** The part of a record that the label is made from. */
function record({ ecdh = true, mlkem = true, qkd = false, simulated = false, resumed = false, why }: Facts) {
  const secret = (present: boolean) => ({ standing: "preferred", present });
  return {
    secrets: { ecdh: secret(ecdh), mlkem: secret(mlkem), qkd: secret(qkd) },
    degraded: why === undefined ? [] : [{ missing: "qkd", reason: why }],
    simulated,
    resumed,
  } as unknown as SecurityRecord;
}

describe("protection", () => {
  test.each<[string, Facts]>([
    ["ECDH+ML-KEM+QKD", { qkd: true }],
    ["ECDH+ML-KEM+QKD simulated", { qkd: true, simulated: true }],
    ["ECDH+ML-KEM, no QKD", {}],
    ["ECDH+ML-KEM, no QKD: the KME is down", { why: "the KME is down" }],
    ["ML-KEM+QKD", { ecdh: false, qkd: true }],
    ["ECDH, no ML-KEM, no QKD", { mlkem: false }],
    ["ECDH+ML-KEM, no QKD, resumed", { resumed: true }],
    ["a pre-shared key alone, no ECDH, no ML-KEM, no QKD", { ecdh: false, mlkem: false }],
    ["ECDH+ML-KEM, no QKD: [31mred", { why: "\u001b[31mred" }],
  ])("%s", (label, facts) => {
    expect(protection(record(facts))).toBe(label);
  });

  test("of a plain stream is nothing", () => {
    expect(protection(undefined)).toBe("NOTHING");
  });
});
