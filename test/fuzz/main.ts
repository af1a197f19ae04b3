/**
 * Fuzzing for as long as one likes: the property tests of all structures, whole handshakes with any message or field
 * changed, records cut anywhere, lying peers and the corpus, each round from another seed.
 * `npm run fuzz -- --minutes N [--seed S]`. The seed of a round that fails is printed; the same seed finds the same.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
if (!(minutes > 0) || !Number.isSafeInteger(firstSeed) || firstSeed < 1) {
  throw new Error("--minutes must be above 0 and --seed a whole number above 0");
}

/** A round takes about a minute, so that the end is near what was asked for. */
const FACTOR = "8";
const WHAT = [
  "test/fuzz",
  "test/wire",
  "test/record",
  "test/schedule",
  "test/handshake/session.test.ts",
  "test/link",
];

const directory = mkdtempSync(join(tmpdir(), "qkd-tls-fuzz-"));
const counts = join(directory, "inputs");
process.once("exit", () => rmSync(directory, { recursive: true }));

const end = Date.now() + 60_000 * minutes;
let inputs = 0;
for (let seed = firstSeed; Date.now() < end; seed++) {
  const code = await round(seed);
  inputs += counted();
  const left = Math.max(0, (end - Date.now()) / 60_000).toFixed(1);
  process.stdout.write(
    `seed ${seed}: ${code === 0 ? "nothing found" : "FOUND"}; ${inputs} inputs, ${left} min left\n`,
  );
  if (code !== 0) process.exit(1);
}

/** The exit code of the tests; what they say is shown when one fails. */
function round(seed: number): Promise<number> {
  const env = {
    ...process.env,
    QKD_TLS_FUZZ: FACTOR,
    QKD_TLS_FUZZ_SEED: String(seed),
    QKD_TLS_FUZZ_COUNT: counts,
  };
  const words = ["node_modules/vitest/vitest.mjs", "run", "--reporter=dot", "--testTimeout=600000", ...WHAT];
  const child = spawn(process.execPath, words, { env, stdio: ["ignore", "pipe", "pipe"] });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => said.push(bytes));
  return new Promise((resolve) => {
    child.once("close", (code) => {
      if (code !== 0) process.stdout.write(Buffer.concat(said));
      resolve(code ?? 1);
    });
  });
}

/** What the properties tried in the round. */
function counted(): number {
  const lines = readFileSync(counts, "utf8").split("\n").filter(Boolean);
  rmSync(counts);
  return lines.reduce((sum, line) => sum + Number(line), 0);
}
