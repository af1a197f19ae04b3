/** What is taken away from whom, under which policy, and what must become of it. */
import { join } from "node:path";
import { PRESETS, type KeyLeg, type PolicyName } from "../../handshake/policy.ts";
import type { ChannelFlags, ClientFlags, ServerFlags } from "../channel-options.ts";

export const POLICIES = Object.keys(PRESETS) as readonly PolicyName[]; // Object.keys forgets the names.

/** The places that the demo's processes use. */
export interface Bed {
  readonly directory: string;
  readonly kmeA: string;
  readonly kmeB: string;
}

/** How a connection ended: as planned, without a preferred secret, or refused by a side that misses one. */
export type Outcome =
  | "connected"
  | `connected without ${LegName}`
  | `${"client" | "server"} refuses: no ${LegName}`;
export type LegName = "ECDH" | "ML-KEM" | "QKD";
export const LEG_NAMES: Readonly<Record<KeyLeg, LegName>> = { ecdh: "ECDH", mlkem: "ML-KEM", qkd: "QKD" };

export interface Scene {
  readonly name: string;
  /** True when the KMEs must have been stopped before. */
  readonly withoutKmes?: boolean;
  /** The policy of the server when it is not the client's. */
  readonly serverPolicy?: PolicyName;
  readonly serverGroups?: string;
  readonly clientGroups?: string;
  /** Where the server looks for its KME when not at its own. */
  readonly serverKme?: string;
  /** True when the client takes a CA for the KME's that never heard of it. */
  readonly wrongKmeCa?: boolean;
  readonly expected: Readonly<Record<PolicyName, Outcome>>;
}

export const SCENES: readonly Scene[] = [
  {
    name: "all there",
    expected: { hybrid: "connected", "prefer-hybrid": "connected", pqc: "connected", qkd: "connected" },
  },
  {
    name: "pure ML-KEM",
    serverGroups: "MLKEM768",
    clientGroups: "X25519MLKEM768:MLKEM768",
    expected: {
      hybrid: "connected without ECDH",
      "prefer-hybrid": "connected without ECDH",
      pqc: "connected without ECDH",
      qkd: "connected without ECDH",
    },
  },
  {
    name: "server without ML-KEM",
    serverPolicy: "qkd",
    serverGroups: "x25519",
    expected: {
      hybrid: "server refuses: no ML-KEM",
      "prefer-hybrid": "server refuses: no ML-KEM",
      pqc: "server refuses: no ML-KEM",
      qkd: "connected without ML-KEM",
    },
  },
  {
    name: "server without QKD",
    serverPolicy: "pqc",
    expected: {
      hybrid: "client refuses: no QKD",
      "prefer-hybrid": "connected without QKD",
      pqc: "connected",
      qkd: "client refuses: no QKD",
    },
  },
  {
    name: "KME not trusted",
    wrongKmeCa: true,
    expected: {
      hybrid: "client refuses: no QKD",
      "prefer-hybrid": "client refuses: no QKD",
      pqc: "connected",
      qkd: "client refuses: no QKD",
    },
  },
  {
    name: "server's KME down",
    // The discard port: nobody listens there.
    serverKme: "https://127.0.0.1:9",
    expected: {
      hybrid: "server refuses: no QKD",
      "prefer-hybrid": "connected without QKD",
      pqc: "connected",
      qkd: "server refuses: no QKD",
    },
  },
  {
    name: "both KMEs down",
    withoutKmes: true,
    expected: {
      hybrid: "client refuses: no QKD",
      "prefer-hybrid": "connected without QKD",
      pqc: "connected",
      qkd: "client refuses: no QKD",
    },
  },
];

/** A server's options in a scene, as on the command line. */
export function serverFlags(bed: Bed, policy: PolicyName, scene?: Scene): ServerFlags {
  const file = inside(bed);
  return {
    cert: file("server.crt"),
    key: file("server.key"),
    ...shared(bed, scene?.serverPolicy ?? policy, { sae: "sae-b", kme: scene?.serverKme ?? bed.kmeB }),
    ...(scene?.serverGroups === undefined ? {} : { groups: scene.serverGroups }),
  };
}

/** A client's options in a scene, as on the command line. */
export function clientFlags(bed: Bed, policy: PolicyName, scene?: Scene): ClientFlags {
  const stranger = scene?.wrongKmeCa === true ? { kmeCa: join(bed.directory, STRANGER, "ca.crt") } : {};
  return {
    ...shared(bed, policy, { sae: "sae-a", kme: bed.kmeA, peerSae: ["sae-b"], ...stranger }),
    ...(scene?.clientGroups === undefined ? {} : { groups: scene.clientGroups }),
  };
}

/** Below the bed's directory: certificates of a CA that nobody here trusts. */
export const STRANGER = "stranger";

function shared(bed: Bed, policy: PolicyName, qkd: ChannelFlags & { readonly sae: string }): ChannelFlags {
  const file = inside(bed);
  const keyed = PRESETS[policy].qkd !== "off";
  return {
    ca: [file("ca.crt")],
    policy,
    timeout: "10",
    ...(keyed ? { ...qkd, kmeCert: file(`${qkd.sae}.crt`), kmeKey: file(`${qkd.sae}.key`) } : {}),
  };
}

const inside =
  ({ directory }: Bed) =>
  (name: string): string =>
    join(directory, name);
