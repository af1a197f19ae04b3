import type { SecurityRecord } from "../../observe/evidence.ts";
import { clean } from "./text.ts";

const LEGS = { ecdh: "ECDH", mlkem: "ML-KEM", qkd: "QKD" } as const;
type Leg = keyof typeof LEGS;

/** What protects a connection, in a few words: `ECDH+ML-KEM+QKD simulated`, `ECDH+ML-KEM, no QKD: the KME is down`. */
export function protection(security: SecurityRecord | undefined): string {
  if (security === undefined) return "NOTHING";
  const { secrets, degraded, simulated, resumed } = security;
  const legs = Object.keys(LEGS) as Leg[]; // Object.keys forgets the names.
  const present = legs
    .filter((leg) => secrets[leg].present)
    .map((leg) => (leg === "qkd" && simulated ? "QKD simulated" : LEGS[leg]));
  const parts = [present.join("+") || "a pre-shared key alone"];
  for (const leg of legs) {
    const why = degraded.find((each) => each.missing === leg)?.reason;
    if (secrets[leg].present || (leg === "ecdh" && secrets.mlkem.present)) continue;
    parts.push(`no ${LEGS[leg]}${why === undefined ? "" : `: ${clean(why).slice(0, 80)}`}`);
  }
  if (resumed) parts.push("resumed");
  return parts.join(", ");
}
