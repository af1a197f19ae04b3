import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nobleProvider } from "../../src/crypto/noble.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import { fromHex } from "../../src/protocol/bytes.ts";

const root = process.env["QKD_TLS_VECTORS"] ?? "../shared/vectors";

/** False when the public test data is not on this machine; the reason is printed once per test file. */
export const haveVectors = existsSync(join(root, "wycheproof"));
if (!haveVectors) console.warn(`skipped: no test vectors in ${root} (set QKD_TLS_VECTORS)`);

export const providers = [nodeProvider(), nobleProvider()].map(
  (provider) => [provider.name, provider] as const,
);

export interface Case {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
  readonly flags: readonly string[];
  readonly [field: string]: unknown;
}

export interface Group {
  readonly tests: readonly Case[];
  readonly [field: string]: unknown;
}

export function wycheproof(file: string): readonly Group[] {
  return JSON.parse(readFileSync(join(root, "wycheproof", `${file}.json`), "utf8")).testGroups;
}

/** NIST files are either the vector set itself or a pair of header and vector set. */
export function acvp(file: string): readonly Group[] {
  const parsed = JSON.parse(readFileSync(join(root, "acvp", `${file}.json`), "utf8"));
  return (Array.isArray(parsed) ? parsed[1] : parsed).testGroups;
}

/** The DER inside a PEM file of the ML-DSA certificate examples. */
export function mlDsaExample(file: string): Uint8Array {
  const pem = readFileSync(join(root, "ml-dsa-certificates", file), "utf8");
  return new Uint8Array(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64"));
}

export function hex(value: unknown): Uint8Array {
  const bytes = typeof value === "string" ? fromHex(value) : undefined;
  if (bytes === undefined) throw new Error(`not hexadecimal: ${String(value)}`);
  return bytes;
}

/** The cases that came out otherwise than the vectors say; a test expects none, and at least `atLeast` cases. */
export function wrong(
  groups: readonly Group[],
  atLeast: number,
  passes: (test: Case, group: Group) => boolean,
) {
  let count = 0;
  const failed: number[] = [];
  for (const group of groups) {
    for (const test of group.tests) {
      count++;
      if (!passes(test, group)) failed.push(test.tcId);
    }
  }
  if (count < atLeast) throw new Error(`only ${count} cases where ${atLeast} were expected`);
  return failed;
}
