import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createHash, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Command, qkdTls, stopAll } from "../command.ts";

let directory = "";
const leftovers = (): string[] => readdirSync(directory).filter((name) => name.startsWith("qkd-tls-demo-"));
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "qkd-tls-"));
  process.env["TMPDIR"] = directory;
});
afterAll(async () => {
  await stopAll();
  delete process.env["TMPDIR"];
  rmSync(directory, { recursive: true });
});

test("carries a file over all three secrets, then shows what each policy does without one of them", async () => {
  const content = randomBytes(300_000);
  const path = join(directory, "a file.bin");
  writeFileSync(path, content);
  const { code, stdout, stderr } = await qkdTls(["demo", "--file", path, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { ok, carried, trials } = JSON.parse(stdout);
  expect(ok).toBe(true);
  const digest = createHash("sha256").update(content).digest("hex");
  expect(carried).toMatchObject({
    sizeBytes: 300_000,
    faults: [],
    sha256: { sent: digest, arrived: digest },
  });
  expect(carried.client.secrets).toMatchObject({
    ecdh: { present: true, source: "x25519" },
    mlkem: { present: true, source: "ml-kem-768" },
    qkd: { present: true, source: "etsi-qkd-014" },
  });
  expect(carried.client.qkd.keyId).toBe(carried.server.qkd.keyId);
  expect(carried.client.simulated).toBe(true);
  const of = (scene: string): string[] =>
    trials
      .filter((trial: { scene: string }) => trial.scene === scene)
      .map((trial: { outcome: string }) => trial.outcome);
  expect(trials).toHaveLength(28);
  expect(of("both KMEs down")).toEqual([
    "client refuses: no QKD",
    "connected without QKD",
    "connected",
    "client refuses: no QKD",
  ]);
  expect(of("server without ML-KEM").at(-1)).toBe("connected without ML-KEM");
  expect(leftovers()).toEqual([]);
});

test("tells what an eavesdropper does: the link stops, hybrid is refused, prefer-hybrid says what it lacks, and back", async () => {
  const { code, stdout, stderr } = await qkdTls(["demo", "--eavesdrop", "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { ok, chapters } = JSON.parse(stdout);
  expect(ok).toBe(true);
  const [flow, arrives, dry, back] = chapters;
  expect(flow.block).toMatchObject({ simulated: true, outcome: "key" });
  expect(arrives.block).toMatchObject({ outcome: "qber_over_threshold", secretBits: 0 });
  expect(arrives.block.qber.check).toBeGreaterThan(arrives.block.qberThreshold);
  expect(dry.stock).toBe(0);
  const [hybrid, preferHybrid] = dry.connections;
  expect(hybrid).toMatchObject({ outcome: "client refuses: no QKD", code: "ERR_POLICY_QKD_REQUIRED" });
  expect(hybrid.reason).toContain("not enough key");
  expect(preferHybrid).toMatchObject({
    policy: "prefer-hybrid",
    outcome: "connected without QKD",
    security: { degraded: [{ missing: "qkd", code: "ERR_QKD_EMPTY" }] },
    event: [{ missing: "qkd", code: "ERR_QKD_EMPTY" }],
  });
  expect(preferHybrid.security.secrets).toMatchObject({
    ecdh: { present: true },
    mlkem: { present: true },
    qkd: { present: false },
  });
  expect(back.connections).toMatchObject([{ outcome: "connected" }, { outcome: "connected" }]);
  expect(leftovers()).toEqual([]);
});

test("an eavesdropper and a file are two stories", async () => {
  const { code, stderr } = await qkdTls(["demo", "--eavesdrop", "cut", "--size", "1k"]);
  expect(stderr).toContain("'--eavesdrop [what]' cannot be used with option '--size <bytes>'");
  expect(code).toBe(2);
});

test("its parts are for itself alone", async () => {
  const { code, stderr } = await qkdTls(["demo-part", "server"]);
  expect(stderr).toBe("qkd-tls: demo is missing: demo-part is started by `qkd-tls demo` alone\n");
  expect(code).toBe(2);
});

test("leaves nothing behind when it is interrupted", async () => {
  const demo = new Command(["demo", "--size", "1G"]);
  while (!demo.bytes.toString().includes("process "))
    await new Promise((resolve) => demo.child.stdout.once("data", resolve));
  const pids = [...demo.bytes.toString().matchAll(/process (\d+)/g)].map((found) => Number(found[1]));
  expect(pids).toHaveLength(3);
  expect(leftovers()).toHaveLength(1);
  expect(await demo.stop("SIGINT")).toMatchObject({ code: 130 });
  expect(leftovers()).toEqual([]);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
