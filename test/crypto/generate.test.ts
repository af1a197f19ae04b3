import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateMlDsaKeyPair } from "../../src/crypto/generate.ts";

const folder = join(process.env["QKD_TLS_VECTORS"] ?? "../shared/vectors", "ml-dsa-certificates");
const absent = !existsSync(folder);
if (absent) console.info(`ML-DSA example keys: skipped, ${folder} is absent (set QKD_TLS_VECTORS)`);

const algorithms = { "ml-dsa-44": ml_dsa44, "ml-dsa-65": ml_dsa65, "ml-dsa-87": ml_dsa87 } as const;
const kinds = ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const;
const der = (name: string) =>
  Buffer.from(readFileSync(join(folder, name), "utf8").replace(/-----.*?-----|\s/g, ""), "base64");

describe.each(kinds)("generateMlDsaKeyPair(%s)", (kind) => {
  test("holds the seed and the public key that belongs to it", () => {
    const seed = Uint8Array.from({ length: 32 }, (_, at) => at);
    const { pkcs8, spki } = generateMlDsaKeyPair(kind, seed);
    const { publicKey } = algorithms[kind].keygen(seed);
    expect(pkcs8.subarray(-32)).toEqual(seed);
    expect(spki.subarray(-publicKey.length)).toEqual(publicKey);
  });

  test("does not touch the caller's seed", () => {
    const seed = new Uint8Array(32).fill(7);
    generateMlDsaKeyPair(kind, seed);
    expect(seed).toEqual(new Uint8Array(32).fill(7));
  });

  test.skipIf(absent)("encodes as the examples of RFC 9881 do", () => {
    // The examples' seed is 00 01 … 1f.
    const { pkcs8, spki } = generateMlDsaKeyPair(
      kind,
      Uint8Array.from({ length: 32 }, (_, at) => at),
    );
    const name = kind.toUpperCase();
    expect(Buffer.from(pkcs8)).toEqual(der(`${name}-seed.priv`));
    expect(Buffer.from(spki)).toEqual(der(`${name}.pub`));
  });
});
