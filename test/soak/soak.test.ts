import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Report } from "./soak.ts";

/** Three or four of each kind; `npm run soak -- --connections 10000` is the long one. */
const CONNECTIONS = 240;

test("hundreds of connections with every kind of fault end as they should, and leave nothing behind", async () => {
  const words = [
    "--expose-gc",
    "--disable-warning=ExperimentalWarning",
    "--import",
    "tsx",
    "test/soak/main.ts",
    "--json",
  ];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...words, "--connections", String(CONNECTIONS)],
    // It exits 1 when it found something, and the report says what.
    { timeout: 150_000, maxBuffer: 10_000_000 },
  ).catch((error: Error & { stdout?: string }) => {
    if (error.stdout?.startsWith("{") === true) return { stdout: error.stdout };
    throw error;
  });
  const report = JSON.parse(stdout) as Report;
  expect(report.findings).toEqual([]);
  expect(report.honest).toEqual({ done: CONNECTIONS / 4, lost: {} });
  expect(report.tallies.map(({ count }) => count).reduce((sum, count) => sum + count, 0)).toBe(CONNECTIONS);
  for (const { name, count } of report.tallies) expect(count, name).toBeGreaterThan(2);
  // Both ends of an honest connection are counted, and a faulty one has at least one end of ours.
  expect(report.after.watched).toBeGreaterThanOrEqual(3 * (CONNECTIONS + CONNECTIONS / 2));
  expect(report.after.left).toBe(0);
}, 160_000);
