/**
 * Fuzzing for as long as one likes. `npm run fuzz -- --minutes N [--seed S]`: the property tests of all structures, whole
 * handshakes with any message or field changed, records cut anywhere, lying peers and the corpus, each round from
 * another seed. The seed of a round that fails is printed; the same seed finds the same.
 *
 * With `--coverage` the searches that are led by the code they reach, in equal parts of the time, or those alone whose
 * name holds `--target T`; what leads further is kept in `--corpus DIRECTORY` for the next time. An input that was found
 * is tried again by `--coverage --target T --input HEX`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    coverage: { type: "boolean", default: false },
    target: { type: "string" },
    corpus: { type: "string" },
    input: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
if (!(minutes > 0) || !Number.isSafeInteger(firstSeed) || firstSeed < 1) {
  throw new Error("--minutes must be above 0 and --seed a whole number above 0");
}
if (!values.coverage && (values.target ?? values.corpus ?? values.input) !== undefined) {
  throw new Error("--target, --corpus and --input go with --coverage");
}

const directory = mkdtempSync(join(tmpdir(), "qkd-tls-fuzz-"));
process.once("exit", () => rmSync(directory, { recursive: true }));
const code = values.coverage ? await searches() : await rounds();
process.exit(code);

/** One round after the other; a round takes about a minute, so that the end is near what was asked for. */
async function rounds(): Promise<number> {
  const counts = join(directory, "inputs");
  const files = [
    "test/fuzz",
    "test/wire",
    "test/record",
    "test/schedule",
    "test/handshake/session.test.ts",
    "test/link",
  ];
  const end = Date.now() + 60_000 * minutes;
  let inputs = 0;
  for (let seed = firstSeed; Date.now() < end; seed++) {
    const code = await tests(files, {
      QKD_TLS_FUZZ: "8",
      QKD_TLS_FUZZ_SEED: String(seed),
      QKD_TLS_FUZZ_COUNT: counts,
    });
    inputs += counted(counts);
    const left = Math.max(0, (end - Date.now()) / 60_000).toFixed(1);
    process.stdout.write(
      `seed ${seed}: ${code === 0 ? "nothing found" : "FOUND"}; ${inputs} inputs, ${left} min left\n`,
    );
    if (code !== 0) return code;
  }
  return 0;
}

/** What the properties tried in a round. */
function counted(file: string): number {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  rmSync(file);
  return lines.reduce((sum, line) => sum + Number(line), 0);
}

/** All searches, each with its share of the time. */
function searches(): Promise<number> {
  const report = join(directory, "report");
  writeFileSync(report, "");
  let shown = 0;
  const show = (): void => {
    const text = readFileSync(report, "utf8");
    process.stdout.write(text.slice(shown));
    shown = text.length;
  };
  const watcher = watch(report, show);
  const { target, corpus, input } = values;
  return tests(["test/fuzz/targets.test.ts"], {
    QKD_TLS_FUZZ_SECONDS: String(60 * minutes),
    QKD_TLS_FUZZ_SEED: String(firstSeed),
    QKD_TLS_FUZZ_REPORT: report,
    ...(target === undefined ? {} : { QKD_TLS_FUZZ_TARGET: target }),
    ...(corpus === undefined ? {} : { QKD_TLS_FUZZ_CORPUS: resolve(corpus) }),
    ...(input === undefined ? {} : { QKD_TLS_FUZZ_INPUT: input }),
  }).finally(() => {
    watcher.close();
    if (existsSync(report)) show();
  });
}

/** The exit code of these tests; what they say is shown when one fails. */
function tests(files: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const words = ["node_modules/vitest/vitest.mjs", "run", "--reporter=dot", "--testTimeout=600000", ...files];
  const child = spawn(process.execPath, words, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => said.push(bytes));
  return new Promise((done) => {
    child.once("close", (code) => {
      if (code !== 0) process.stdout.write(Buffer.concat(said));
      done(code ?? 1);
    });
  });
}
