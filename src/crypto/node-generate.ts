import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import { type GeneratedKeyPair, generateMlDsaKeyPair, type MlDsaKind } from "./generate.ts";
import type { KeyKind } from "./provider.ts";

/** Bits of an RSA modulus: 128-bit strength by SP 800-57 part 1. */
const modulusBits = 3072;

/** A new key pair of this kind; RSA keys have 3072 bits. ML-DSA comes from noble, so every Node has it. */
export function generateKeyPair(kind: KeyKind): GeneratedKeyPair {
  switch (kind) {
    case "secp256r1":
    case "secp384r1":
    case "secp521r1":
      return exported(generateKeyPairSync("ec", { namedCurve: kind === "secp256r1" ? "prime256v1" : kind }));
    case "ed25519":
      return exported(generateKeyPairSync("ed25519"));
    case "rsa":
      return exported(generateKeyPairSync("rsa", { modulusLength: modulusBits }));
    case "rsa-pss":
      return exported(generateKeyPairSync("rsa-pss", { modulusLength: modulusBits }));
    case "ml-dsa-44":
    case "ml-dsa-65":
    case "ml-dsa-87":
      break;
  }
  return fromSeed(kind);
}

function fromSeed(kind: MlDsaKind): GeneratedKeyPair {
  const seed = randomBytes(32);
  try {
    return generateMlDsaKeyPair(kind, seed);
  } finally {
    wipe(seed);
  }
}

function exported({
  privateKey,
  publicKey,
}: {
  privateKey: KeyObject;
  publicKey: KeyObject;
}): GeneratedKeyPair {
  return {
    pkcs8: new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })),
    spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })),
  };
}
