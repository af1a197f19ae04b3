import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha384 } from "@noble/hashes/sha2.js";
import { nobleEcdh, nobleKem } from "./noble-agreement.ts";
import { nobleSigningKey, nobleVerifyingKey } from "./noble-signatures.ts";
import type {
  AeadAlgorithm,
  AeadName,
  CryptoProvider,
  CurveName,
  Ecdh,
  HashAlgorithm,
  HashName,
  Kem,
  KemName,
  PrimitiveName,
} from "./provider.ts";
import { blockRandom } from "./random.ts";

/** Every primitive in portable JavaScript, by @noble; no RSA. For browsers and other runtimes without node:crypto. */
export function nobleProvider(): CryptoProvider {
  return provider;
}

/** What is here; RSA is not. */
const PRIMITIVES = [
  "sha256",
  "sha384",
  "aes-128-gcm",
  "aes-256-gcm",
  "chacha20-poly1305",
  "x25519",
  "secp256r1",
  "secp384r1",
  "secp521r1",
  "ml-kem-768",
  "ml-kem-1024",
  "ed25519",
  "ml-dsa-44",
  "ml-dsa-65",
  "ml-dsa-87",
  "random",
] as const satisfies readonly PrimitiveName[];

// getRandomValues gives no more than this many bytes in one call.
const LARGEST_FILL_BYTES = 65536;
const random = blockRandom((bytes) => {
  for (let at = 0; at < bytes.length; at += LARGEST_FILL_BYTES) {
    globalThis.crypto.getRandomValues(bytes.subarray(at, at + LARGEST_FILL_BYTES));
  }
});

const HASHES: Readonly<Record<HashName, HashAlgorithm>> = {
  sha256: hashAlgorithm("sha256"),
  sha384: hashAlgorithm("sha384"),
};
const AEADS: Readonly<Record<AeadName, AeadAlgorithm>> = {
  "aes-128-gcm": aeadAlgorithm("aes-128-gcm", 16),
  "aes-256-gcm": aeadAlgorithm("aes-256-gcm", 32),
  "chacha20-poly1305": aeadAlgorithm("chacha20-poly1305", 32),
};
const CURVES: Readonly<Record<CurveName, Ecdh>> = {
  x25519: nobleEcdh("x25519", random),
  secp256r1: nobleEcdh("secp256r1", random),
  secp384r1: nobleEcdh("secp384r1", random),
  secp521r1: nobleEcdh("secp521r1", random),
};
const KEMS: Readonly<Record<KemName, Kem>> = {
  "ml-kem-768": nobleKem("ml-kem-768", random),
  "ml-kem-1024": nobleKem("ml-kem-1024", random),
};

const provider: CryptoProvider = Object.freeze({
  name: "noble",
  backends: Object.freeze(Object.fromEntries(PRIMITIVES.map((name) => [name, "noble" as const]))),
  random,
  hash: (name: HashName) => HASHES[name],
  aead: (name: AeadName) => AEADS[name],
  ecdh: (name: CurveName) => CURVES[name],
  kem: (name: KemName) => KEMS[name],
  verifyingKey: nobleVerifyingKey,
  signingKey: (pkcs8: Uint8Array) => nobleSigningKey(pkcs8, random),
});

function hashAlgorithm(name: HashName): HashAlgorithm {
  const hash = name === "sha256" ? sha256 : sha384;
  return {
    name,
    outputBytes: hash.outputLen,
    digest: (data) => hash(data),
    hmac: (key, data) => hmac(hash, key, data),
    start() {
      const running = hash.create();
      return {
        update: (data) => void running.update(data),
        peek: () => running.clone().digest(),
      };
    },
  };
}

const TAG_BYTES = 16;

function aeadAlgorithm(name: AeadName, keyBytes: number): AeadAlgorithm {
  const cipher = name === "chacha20-poly1305" ? chacha20poly1305 : gcm;
  return {
    name,
    keyBytes,
    key(given) {
      if (given.length !== keyBytes) throw new RangeError(`${name} takes a key of ${keyBytes} bytes`);
      const key = given.slice();
      return {
        seal(nonce, aad, data) {
          data.set(cipher(key, nonce, aad).encrypt(data.subarray(0, data.length - TAG_BYTES)));
        },
        open(nonce, aad, sealed) {
          if (sealed.length < TAG_BYTES) return undefined;
          try {
            return cipher(key, nonce, aad).decrypt(sealed);
          } catch {
            return undefined;
          }
        },
      };
    },
  };
}
