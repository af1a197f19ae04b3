#!/usr/bin/env node
import { codeOf } from "./cause.ts";
import { errorText, exitCodeOf } from "./output.ts";
import { run } from "./program.ts";

// Whoever reads our output may stop reading; that is no failure of ours.
process.on("uncaughtException", (error) => {
  if (codeOf(error) !== "EPIPE") process.stderr.write(errorText(error, process.argv.includes("--verbose")));
  process.exit(exitCodeOf(error));
});

process.exitCode = await run(process.argv.slice(2));
// An input that nobody reads any more would keep the process alive.
process.stdin.destroy();
