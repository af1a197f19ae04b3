import { createPrivateKey, createPublicKey } from "node:crypto";
import { expect, test } from "vitest";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";

test.each<[KeyKind, string, object]>([
  ["secp256r1", "ec", { namedCurve: "prime256v1" }],
  ["secp384r1", "ec", { namedCurve: "secp384r1" }],
  ["secp521r1", "ec", { namedCurve: "secp521r1" }],
  ["ed25519", "ed25519", {}],
  ["rsa", "rsa", { modulusLength: 3072 }],
  ["rsa-pss", "rsa-pss", { modulusLength: 3072 }],
])("generateKeyPair(%s) gives two halves of one key", (kind, type, details) => {
  const { pkcs8, spki } = generateKeyPair(kind);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  expect(key.asymmetricKeyType).toBe(type);
  expect(key.asymmetricKeyDetails).toMatchObject(details);
  expect(createPublicKey(key).export({ format: "der", type: "spki" })).toEqual(Buffer.from(spki));
});

test.each<KeyKind>(["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])(
  "generateKeyPair(%s) never repeats a key",
  (kind) => {
    expect(generateKeyPair(kind).spki).not.toEqual(generateKeyPair(kind).spki);
  },
);
