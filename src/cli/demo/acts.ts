/** The two acts of the demo: the main job, and each secret taken away under each policy. */
import { basename, join } from "node:path";
import { statSync } from "node:fs";
import { PRESETS, type KeyLeg, type PolicyName } from "../../handshake/policy.ts";
import type { SecurityRecord } from "../../observe/evidence.ts";
import type { ClientFlags } from "../channel-options.ts";
import type { ErrorRecord } from "../output.ts";
import type { Progress } from "../transfer/report.ts";
import type { Account } from "./orders.ts";
import {
  clientFlags,
  LEG_NAMES,
  POLICIES,
  SCENES,
  serverFlags,
  type Bed,
  type LegName,
  type Outcome,
  type Scene,
} from "./scenes.ts";
import { type Cast, ORDER_MS, sha256Of, type Stage } from "./stage.ts";

/** What the main job showed. */
export interface Carried {
  readonly sizeBytes: number;
  readonly seconds: number;
  /** Of the file that was sent, and of the one that arrived. */
  readonly sha256: { readonly sent: string; readonly arrived: string };
  readonly client: SecurityRecord;
  readonly server: SecurityRecord;
  /** What is not as it must be; empty when all is well. */
  readonly faults: readonly string[];
}

/** Sends a file from the client's to the server's process, under the policy `hybrid`. */
export async function carry(
  stage: Stage,
  bed: Bed,
  path: string,
  onProgress: (progress: Progress) => void,
): Promise<Carried> {
  const sizeBytes = statSync(path).size;
  const inbox = join(bed.directory, "arrived");
  const listening = await stage.server.ask(
    "listen",
    { flags: serverFlags(bed, "hybrid"), directory: inbox },
    ORDER_MS,
  );
  stage.client.onProgress = onProgress;
  // No slower than a mebibyte a second.
  const timeoutMs = 60_000 + sizeBytes / 1000;
  const sent = await stage.client.ask(
    "send",
    { flags: clientFlags(bed, "hybrid"), port: listening.port, path },
    timeoutMs,
  );
  const ours = connected(sent.account, "client");
  const theirs = connected(await stage.server.ask("account", { port: sent.port }, ORDER_MS), "server");
  const sha256 = { sent: await sha256Of(path), arrived: await sha256Of(join(inbox, basename(path))) };
  const [client, server] = [ours.security, theirs.security];
  const seconds = ours.report?.seconds ?? 0;
  return { sizeBytes, seconds, sha256, client, server, faults: faultsOf(client, server, sha256) };
}

function faultsOf(
  client: SecurityRecord,
  server: SecurityRecord,
  sha256: Carried["sha256"],
): readonly string[] {
  const { secrets } = client;
  const checks: readonly (readonly [boolean, string])[] = [
    [sha256.sent === sha256.arrived, "the file that arrived is another"],
    [secrets.ecdh.source === "x25519", "the channel does not depend on X25519"],
    [secrets.mlkem.source === "ml-kem-768", "the channel does not depend on ML-KEM-768"],
    [secrets.qkd.present, "the channel does not depend on a QKD key"],
    [client.qkd?.keyId === server.qkd?.keyId, "the two sides name different QKD keys"],
    [client.simulated && server.simulated, "a simulated key does not say so"],
    [client.authentication.authorized, "the server was not verified"],
    [client.degraded.length + server.degraded.length === 0, "the connection is degraded"],
  ];
  return checks.filter(([holds]) => !holds).map(([, fault]) => fault);
}

function connected(
  account: Account | null,
  side: string,
): Extract<Account, { readonly security: SecurityRecord }> {
  if (account === null) throw new Error(`the ${side} says nothing about its connection`);
  if (account.security === undefined) throw new Error(`the ${side} failed: ${account.error.message}`);
  return account;
}

/** One connection of the second act. */
export interface Trial {
  readonly scene: string;
  readonly policy: PolicyName;
  readonly outcome: string;
  readonly expected: Outcome;
  readonly ok: boolean;
  /** Who refused it, or noticed that it is degraded. */
  readonly side?: "client" | "server";
  /** Why, in that side's words. */
  readonly reason?: string;
  readonly code?: string;
}

/** Tries every policy in every scene; those without KMEs come last, after these have been stopped. */
export async function takeAway(
  stage: Stage,
  bed: Bed,
  onTrial: (done: number) => void,
): Promise<readonly Trial[]> {
  const trials: Trial[] = [];
  let kmesRun = true;
  let done = 0;
  for (const scene of SCENES) {
    if (scene.withoutKmes === true && kmesRun) {
      await stage.kmes.stop();
      kmesRun = false;
    }
    const tries = POLICIES.map(async (policy) => {
      const trial = await attempt(stage, bed, scene, policy);
      onTrial(++done);
      return trial;
    });
    trials.push(...(await Promise.all(tries)));
  }
  return trials;
}

async function attempt(stage: Stage, bed: Bed, scene: Scene, policy: PolicyName): Promise<Trial> {
  const { port } = await stage.server.ask("listen", { flags: serverFlags(bed, policy, scene) }, ORDER_MS);
  const { account: _, ...trial } = await connectTo(stage, port, {
    flags: clientFlags(bed, policy, scene),
    scene: scene.name,
    policy,
    expected: scene.expected[policy],
  });
  return trial;
}

export interface Attempt extends Pick<Trial, "scene" | "policy" | "expected"> {
  readonly flags: ClientFlags;
}

/** One connection to a server that listens, and the client's account of it. */
export async function connectTo(
  stage: Cast,
  port: number,
  { flags, scene, policy, expected }: Attempt,
): Promise<Trial & { readonly account: Account }> {
  const tried = await stage.client.ask("attempt", { flags, port }, ORDER_MS);
  // Who refuses before a word is said, the server never heard of.
  const isHeardOf = tried.account.security !== undefined || tried.account.error.error === "PeerAlert";
  const server = isHeardOf ? await stage.server.ask("account", { port: tried.port }, ORDER_MS) : null;
  const found = verdict(policy, tried.account, server);
  return { scene, policy, expected, ok: found.outcome === expected, ...found, account: tried.account };
}

type Verdict = Pick<Trial, "outcome" | "side" | "reason" | "code">;

function verdict(policy: PolicyName, client: Account, server: Account | null): Verdict {
  if (client.security !== undefined) {
    if (server?.security === undefined) return { outcome: "only the client connected" };
    return stood(client.security);
  }
  // An alert says that the other side refused; its own account says why.
  const byServer = client.error.error === "PeerAlert";
  const error = byServer ? (server?.security === undefined ? server?.error : undefined) : client.error;
  if (error === undefined) return { outcome: "refused without a reason", reason: client.error.message };
  const missing = missingOf(error, policy);
  return {
    outcome: `${byServer ? "server" : "client"} refuses: ${missing === undefined ? error.message : `no ${missing}`}`,
    side: byServer ? "server" : "client",
    reason: error.message,
    ...(error.code === undefined ? {} : { code: error.code }),
  };
}

function stood({ degraded, secrets }: SecurityRecord): Verdict {
  const [first, ...more] = degraded;
  if (first === undefined) return { outcome: "connected" };
  const names = [first, ...more].map(({ missing }) => LEG_NAMES[missing]);
  const silent = (["ecdh", "mlkem", "qkd"] as const).some(
    (leg: KeyLeg) =>
      secrets[leg].standing !== "off" && !secrets[leg].present && !names.includes(LEG_NAMES[leg]),
  );
  return {
    outcome: `connected without ${names.join(", ")}${silent ? " and without a word" : ""}`,
    side: "client",
    reason: first.reason,
    ...(first.code === undefined ? {} : { code: first.code }),
  };
}

function missingOf({ missing, code = "" }: ErrorRecord, policy: PolicyName): LegName | undefined {
  if (missing !== undefined) return LEG_NAMES[missing];
  if (code.startsWith("ERR_QKD_")) return "QKD";
  // A client that must have ML-KEM offers nothing else, so a server without it finds no group in common.
  if (code === "ERR_TLS_NO_COMMON_PARAMETERS" && PRESETS[policy].mlkem === "required") return "ML-KEM";
  return undefined;
}
