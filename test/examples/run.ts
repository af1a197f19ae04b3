import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export interface Shown {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an example to its end, by the command that its own first line gives. */
export async function example(name: string, words: readonly string[] = [], input = ""): Promise<Shown> {
  const main = `examples/${name}/main.ts`;
  const [, path = ""] = /^\/\*\* npx tsx (\S+\.ts)/.exec(readFileSync(main, "utf8")) ?? [];
  const tsx = createRequire(import.meta.url).resolve("tsx/cli");
  const child = spawn(process.execPath, [tsx, path, ...words], { stdio: "pipe", timeout: 20_000 });
  child.stdin.end(input);
  const shown = { stdout: "", stderr: "" };
  for (const each of ["stdout", "stderr"] as const) {
    child[each].setEncoding("utf8").on("data", (text: string) => (shown[each] += text));
  }
  const [code] = await once(child, "close");
  return { code: code as number | null, ...shown };
}

/** A key exchange of ECDH and ML-KEM, and a key that a KME delivered. */
export const HYBRID = "X25519MLKEM768 and the QKD key ([0-9a-f-]{36})";
