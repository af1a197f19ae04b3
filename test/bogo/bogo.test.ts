/** BoGo's runner against our shim. Where its directory is, QKD_TLS_BOGO says. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const folder = process.env["QKD_TLS_BOGO"] ?? "";
const runner = ["runner.test", "runner"].map((name) => join(folder, name)).find((file) => existsSync(file));
const absent = folder === "" || runner === undefined;
if (absent) {
  const what = folder === "" ? "QKD_TLS_BOGO names no runner" : `${folder} holds no runner or runner.test`;
  console.info(`BoGo: skipped, ${what}`);
}
/** Only tests of this pattern, for a look at a few. */
const pattern = process.env["QKD_TLS_BOGO_TEST"];
const config = join(import.meta.dirname, "config.json");
const RUN_MS = 20 * 60_000;

describe("the configuration", () => {
  const { DisabledTests: disabled } = JSON.parse(readFileSync(config, "utf8")) as {
    DisabledTests: Readonly<Record<string, string>>;
  };

  test("gives a reason for every test that it leaves out", () => {
    expect(Object.keys(disabled).length).toBeGreaterThan(0);
    for (const [name, reason] of Object.entries(disabled)) expect(reason.length, name).toBeGreaterThan(10);
  });

  test("leaves out no family as a whole that speaks TLS 1.3 on TCP", () => {
    expect(Object.keys(disabled)).not.toContain("*");
    expect(Object.keys(disabled).filter((name) => name.includes("*TLS13"))).toEqual([]);
  });
});

describe.skipIf(absent)("BoGo", () => {
  const scratch = absent ? "" : mkdtempSync(join(tmpdir(), "qkd-tls-bogo-"));
  let running: ChildProcess | undefined;

  beforeAll(async () => {
    const bundle = join(scratch, "shim.mjs");
    await build({
      entryPoints: [join(import.meta.dirname, "shim.ts")],
      outfile: bundle,
      bundle: true,
      platform: "node",
      format: "esm",
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
    });
    const cache = join(scratch, "cache");
    const script = `#!/bin/sh\nNODE_COMPILE_CACHE='${cache}' exec '${process.execPath}' '${bundle}' "$@"\n`;
    writeFileSync(join(scratch, "shim"), script, { mode: 0o755 });
  });

  afterAll(() => {
    running?.kill();
    rmSync(scratch, { recursive: true, force: true });
  });

  test(
    "every test that the configuration leaves in passes",
    async () => {
      const report = join(scratch, "report.json");
      const args = ["-shim-path", join(scratch, "shim"), "-shim-config", config, "-json-output", report];
      if (pattern !== undefined) args.push("-test", pattern);
      running = spawn(runner as string, [...args, "-num-workers", "2", "-pipe"], { cwd: folder });
      let said = "";
      running.stdout?.on("data", (text: Buffer) => (said += text.toString()));
      running.stderr?.on("data", (text: Buffer) => (said += text.toString()));
      const [status] = (await once(running, "close")) as [number | null];
      const count = (word: string): number =>
        said.split("\n").filter((line) => line.startsWith(`${word} (`)).length;
      const table = ["PASSED", "FAILED", "UNIMPLEMENTED"].map(
        (word) => `${word.toLowerCase()} ${count(word)}`,
      );
      console.info(`BoGo: ${table.join(", ")}`);
      const failures = said.split(/^(?=[A-Z]+ \()/m).filter((part) => /^(FAILED|UNIMPLEMENTED) /.test(part));
      expect(failures.map((part) => part.slice(0, 1000))).toEqual([]);
      expect(count("PASSED")).toBeGreaterThan(0);
      expect(status).toBe(0);
    },
    RUN_MS,
  );
});
