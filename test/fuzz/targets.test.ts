/**
 * The searches that learn, each for a moment; `npm run fuzz -- --coverage` lets them go on. An input that was found is
 * tried again by `npm run fuzz -- --coverage --target <name> --input <hexadecimal>`.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fromHex } from "../../src/protocol/bytes.ts";
import { fuzz } from "../support/fuzz.ts";
import { Coverage } from "./guided/coverage.ts";
import { search, type Report } from "./guided/search.ts";
import { Watch } from "./guided/watch.ts";

// What is loaded from here on is counted block by block.
const coverage = new Coverage((url) => /\/src\/.*\.ts$/.test(url));
await import("../support/tamper.ts");
const { targets } = await import("./targets/targets.ts");

const {
  QKD_TLS_FUZZ_SECONDS: allSeconds,
  QKD_TLS_FUZZ_TARGET: wanted = "",
  QKD_TLS_FUZZ_CORPUS: corpus,
  QKD_TLS_FUZZ_INPUT: given,
  QKD_TLS_FUZZ_REPORT: report,
} = process.env;

/** Inputs in `npm test`; the time that one takes is very different. */
const FEW = 20;
const HANG_SECONDS = 20;
const ROOM_BYTES = 8192;

/** By all targets. */
const reached = new Set<string>();

afterAll(() => coverage.stop());

const chosen = targets.filter(({ name }) => name.includes(wanted));
const seconds = allSeconds === undefined ? undefined : Number(allSeconds) / chosen.length;

describe.each(chosen)("$name", (target) => {
  test(
    "nothing is found",
    async () => {
      if (given !== undefined) {
        target.run(fromHex(given) ?? new Uint8Array());
        return;
      }
      const watch = await Watch.start(target.name, HANG_SECONDS, ROOM_BYTES);
      // What another target reached may lead this one further.
      coverage.forget();
      const { numRuns, seed } = fuzz(FEW * (target.cheap ? 5 : 1));
      const result = search(target, coverage, {
        seed,
        watch,
        ...(seconds === undefined ? { inputs: numRuns } : { seconds }),
        directory: corpus === undefined ? undefined : join(corpus, target.name.replaceAll(/\W+/g, "-")),
      });
      await watch.stop();
      if (report !== undefined) appendFileSync(report, `${lineOf(result)}\n`);
      expect(result.findings.map(({ input, error }) => `${input}: ${textOf(error)}`)).toEqual([]);
    },
    seconds === undefined ? 30_000 : 1000 * (seconds + 120),
  );

  function lineOf({ inputs, perSecond, corpus, findings }: Report): string {
    for (const block of coverage.blocks) reached.add(block);
    return [
      `${target.name}: ${inputs} inputs (${perSecond.toFixed(0)}/s)`,
      `${coverage.blocks.size} blocks (${reached.size} with those before)`,
      `${corpus} kept`,
      `${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`,
      `${findings.length} found`,
    ].join(", ");
  }
});

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
