import { createPrivateKey, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { readCredentials } from "../../src/node/credentials.ts";
import type { ContextOptions } from "../../src/node/options.ts";
import { credentials, provider } from "../support/credentials.ts";

const { certPem: cert, keyPem } = credentials();
const read = (options: ContextOptions) => readCredentials(provider, options);

/** A KeyObject whose exported bytes can be looked at afterwards. */
function watched(pem: string) {
  const key = createPrivateKey(pem);
  const exported: Buffer[] = [];
  const object = {
    type: "private",
    export() {
      const der = key.export({ type: "pkcs8", format: "der" });
      exported.push(der);
      return der;
    },
  } as unknown as KeyObject;
  return { object, exported };
}

describe("the bytes of a private key that were made here", () => {
  test.each(["key", "rawKey"] as const)("of the option %s are overwritten once it is read", (option) => {
    const { object, exported } = watched(keyPem);
    expect(read(option === "key" ? { cert, key: object } : { rawKey: object })).toHaveLength(1);
    expect(exported.length).toBeGreaterThan(0);
    for (const der of exported) expect(der.every((byte) => byte === 0)).toBe(true);
  });

  test("are overwritten too when the key is not the certificate's", () => {
    const { object, exported } = watched(credentials("ed25519").keyPem);
    expect(() => read({ cert, key: object })).toThrow(expect.objectContaining({ option: "key" }));
    expect(exported.every((der) => der.every((byte) => byte === 0))).toBe(true);
  });

  test("and a caller's own bytes stay as they are", () => {
    const pem = Buffer.from(keyPem);
    const der = createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" });
    const [before, beforeDer] = [Buffer.from(pem), Buffer.from(der)];
    read({ cert, key: pem });
    read({ cert, key: der, rawKey: der });
    expect(pem).toEqual(before);
    expect(der).toEqual(beforeDer);
  });
});

test("what is shown goes by this order: delegated, certified, raw, given", () => {
  const given = credentials("ed25519").identity;
  const all = read({ cert, key: keyPem, rawKey: keyPem, credentials: [given] });
  expect(all.map(({ certificateType = "X509" }) => certificateType)).toEqual([
    "X509",
    "RawPublicKey",
    "X509",
  ]);
  expect(all.at(-1)).toBe(given);
});
