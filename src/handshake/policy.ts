import type { AlertName } from "../protocol/alert.ts";
import { TrustError, UsageError } from "../protocol/errors.ts";

/** How much a key source is wanted. */
export type Standing = "required" | "preferred" | "off";
export type KeyLeg = "ecdh" | "mlkem" | "qkd";

/** Which secrets a connection must depend on, before one application byte flows. */
export interface Policy {
  readonly name: PolicyName | "custom";
  readonly ecdh: Standing;
  readonly mlkem: Standing;
  readonly qkd: Standing;
  /** True when a connection may do without both ML-KEM and QKD; only ever by an option named `dangerous`. */
  readonly allowClassical: boolean;
  /** Production mode: a key that says `simulated` is refused. */
  readonly production: boolean;
}

export const PRESETS = {
  /** All three: the default once a key source is given. */
  hybrid: { ecdh: "preferred", mlkem: "required", qkd: "required" },
  /** ML-KEM always, QKD when it is there; its absence stands in the evidence. */
  "prefer-hybrid": { ecdh: "preferred", mlkem: "required", qkd: "preferred" },
  /** ML-KEM without QKD: the default without a key source. */
  pqc: { ecdh: "preferred", mlkem: "required", qkd: "off" },
  /** QKD always, ML-KEM when the peer has it. */
  qkd: { ecdh: "preferred", mlkem: "preferred", qkd: "required" },
} as const satisfies Record<string, Record<KeyLeg, Standing>>;
export type PolicyName = keyof typeof PRESETS;

/** True when the policy lets a connection use a key exchange made of these parts. */
export function allowsExchange(
  policy: Policy,
  legs: { readonly ecdh: boolean; readonly mlkem: boolean },
): boolean {
  return (["ecdh", "mlkem"] as const).every((leg) => {
    if (legs[leg]) return policy[leg] !== "off";
    return policy[leg] !== "required";
  });
}

/** Throws a UsageError for a policy under which nothing but classical cryptography might protect. */
export function checkPolicy(policy: Policy): Policy {
  for (const leg of ["ecdh", "mlkem", "qkd"] as const) {
    const standing: unknown = policy[leg];
    if (standing !== "required" && standing !== "preferred" && standing !== "off") {
      throw new UsageError("ERR_OPTION_INVALID", `policy.${leg} is "required", "preferred" or "off"`, {
        option: `policy.${leg}`,
      });
    }
  }
  if (policy.mlkem !== "required" && policy.qkd !== "required" && !policy.allowClassical) {
    throw new UsageError(
      "ERR_OPTION_INVALID",
      "policy: neither mlkem nor qkd is required, so a connection could rest on classical cryptography alone; " +
        "require one of them, or say dangerous: { allowClassical: true }",
      { option: "policy" },
    );
  }
  return policy;
}

/** A preferred source that this connection does without, and why. */
export interface Degradation {
  readonly missing: KeyLeg;
  readonly reason: string;
  /** The code of the error that caused it, when one did. */
  readonly code?: string;
}

/** What the finished negotiation depends on. */
export interface Legs {
  readonly ecdh: boolean;
  readonly mlkem: boolean;
  readonly qkd: boolean;
  readonly simulated: boolean;
}

const CODES = {
  ecdh: "ERR_POLICY_ECDH_REQUIRED",
  mlkem: "ERR_POLICY_MLKEM_REQUIRED",
  qkd: "ERR_POLICY_QKD_REQUIRED",
} as const;
const NAMES = { ecdh: "ECDH", mlkem: "ML-KEM", qkd: "QKD" } as const;

/**
 * Enforces the policy on what was negotiated and lists what a connection lacks that was preferred.
 * Throws a TrustError naming the missing source.
 */
export function enforce(
  policy: Policy,
  legs: Legs,
  why: Partial<Record<KeyLeg, { readonly reason: string; readonly code?: string; readonly cause?: unknown }>>,
): readonly Degradation[] {
  const degraded: Degradation[] = [];
  for (const leg of ["ecdh", "mlkem", "qkd"] as const) {
    if (legs[leg] || policy[leg] === "off") continue;
    const { reason, code, cause } = why[leg] ?? { reason: `the peer did not agree to ${NAMES[leg]}` };
    if (policy[leg] === "required") throw missingLeg(policy, leg, reason, cause);
    degraded.push({ missing: leg, reason, ...(code === undefined ? {} : { code }) });
  }
  if (legs.qkd && legs.simulated && policy.production) {
    throw new TrustError(
      "ERR_POLICY_SIMULATED_KEY",
      "insufficient_security",
      "the QKD key comes from a simulator, which production mode refuses",
      { missing: "qkd" },
    );
  }
  return degraded;
}

/** The refusal that names the missing source. */
export function missingLeg(
  policy: Policy,
  leg: KeyLeg,
  reason: string,
  cause?: unknown,
  alert: AlertName = "insufficient_security",
): TrustError {
  return new TrustError(
    CODES[leg],
    alert,
    `policy ${policy.name} requires ${NAMES[leg]}, which is missing: ${reason}`,
    { missing: leg, cause },
  );
}
