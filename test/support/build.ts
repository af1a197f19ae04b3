/** Builds the package once before any test, so that tests can run the command and the examples as users do. */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export function setup(): void {
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  // Types are checked by `npm run check:types`; a test run shall not wait for that.
  const flags = ["-p", "tsconfig.build.json", "--noCheck"];
  execFileSync(process.execPath, [join(typescript, "bin/tsc"), ...flags], { stdio: "inherit" });
}
