/** Builds the package once before any test, so that tests can run the command and the examples as users do. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export function setup(): void {
  // A source that was renamed or removed would live on in what is built.
  if (names("src", ".ts").join() !== names("dist", ".js").join())
    rmSync("dist", { recursive: true, force: true });
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  // Types are checked by `npm run check:types`; a test run shall not wait for that.
  for (const project of ["tsconfig.build.json", PAGE]) {
    const flags = ["-p", project, "--noCheck"];
    execFileSync(process.execPath, [join(typescript, "bin/tsc"), ...flags], { stdio: "inherit" });
  }
  cpSync(PAGE, PAGE.replace("src", "dist"), {
    recursive: true,
    filter: (file) => !/\.(ts|json)$/.test(file),
  });
}

const PAGE = "src/kme/page/browser";

const names = (directory: string, ending: string): string[] =>
  (existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }) : [])
    .filter((file) => file.endsWith(ending) && !file.endsWith(".d.ts"))
    .map((file) => file.slice(0, -ending.length))
    .sort();
