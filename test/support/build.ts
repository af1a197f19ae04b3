/** Builds the package once before any test, so that tests can run the command and the examples as users do. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export function setup(): void {
  // A source that was renamed or removed would live on in what is built.
  if (names("src", ".ts").join() !== names("dist", ".js").join())
    rmSync("dist", { recursive: true, force: true });
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  // Types are checked by `npm run check:types`; a test run shall not wait for that.
  const flags = ["-p", "tsconfig.build.json", "--noCheck"];
  execFileSync(process.execPath, [join(typescript, "bin/tsc"), ...flags], { stdio: "inherit" });
}

const names = (directory: string, ending: string): string[] =>
  (existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }) : [])
    .filter((file) => file.endsWith(ending) && !file.endsWith(".d.ts"))
    .map((file) => file.slice(0, -ending.length))
    .sort();
