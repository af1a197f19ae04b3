import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hash as hashOnce,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { EMPTY } from "../protocol/bytes.ts";
import { nodeEcdh, nodeKem } from "./node-agreement.ts";
import { plain, release } from "./node-native.ts";
import { hasMlDsa, nodeSigningKey, nodeVerifyingKey } from "./node-signatures.ts";
import { nobleKem } from "./noble-agreement.ts";
import type {
  AeadAlgorithm,
  AeadKey,
  AeadName,
  Backend,
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

/** Every primitive by the OpenSSL of the running Node, and by @noble what that lacks. */
export function nodeProvider(): CryptoProvider {
  return provider;
}

const random = blockRandom((bytes) => void randomFillSync(bytes));

const HASHES: Readonly<Record<HashName, HashAlgorithm>> = {
  sha256: hashAlgorithm("sha256", 32),
  sha384: hashAlgorithm("sha384", 48),
};
const AEADS: Readonly<Record<AeadName, AeadAlgorithm>> = {
  "aes-128-gcm": aeadAlgorithm("aes-128-gcm", 16),
  "aes-256-gcm": aeadAlgorithm("aes-256-gcm", 32),
  "chacha20-poly1305": aeadAlgorithm("chacha20-poly1305", 32),
};
const CURVES: Readonly<Record<CurveName, Ecdh>> = {
  x25519: nodeEcdh("x25519"),
  secp256r1: nodeEcdh("secp256r1"),
  secp384r1: nodeEcdh("secp384r1"),
  secp521r1: nodeEcdh("secp521r1"),
};
const nativeKems = { "ml-kem-768": nodeKem("ml-kem-768"), "ml-kem-1024": nodeKem("ml-kem-1024") };
const KEMS: Readonly<Record<KemName, Kem>> = {
  "ml-kem-768": nativeKems["ml-kem-768"] ?? nobleKem("ml-kem-768", random),
  "ml-kem-1024": nativeKems["ml-kem-1024"] ?? nobleKem("ml-kem-1024", random),
};

const kemBackend = (name: KemName): Backend => (nativeKems[name] ? "node:crypto" : "noble");
const mlDsaBackend: Backend = hasMlDsa ? "node:crypto" : "noble";
const BACKENDS: Readonly<Record<PrimitiveName, Backend>> = {
  sha256: "node:crypto",
  sha384: "node:crypto",
  "aes-128-gcm": "node:crypto",
  "aes-256-gcm": "node:crypto",
  "chacha20-poly1305": "node:crypto",
  x25519: "node:crypto",
  secp256r1: "node:crypto",
  secp384r1: "node:crypto",
  secp521r1: "node:crypto",
  "ml-kem-768": kemBackend("ml-kem-768"),
  "ml-kem-1024": kemBackend("ml-kem-1024"),
  ed25519: "node:crypto",
  rsa: "node:crypto",
  "rsa-pss": "node:crypto",
  "ml-dsa-44": mlDsaBackend,
  "ml-dsa-65": mlDsaBackend,
  "ml-dsa-87": mlDsaBackend,
  random: "node:crypto",
};

const provider: CryptoProvider = Object.freeze({
  name: "node",
  backends: Object.freeze(BACKENDS),
  random,
  hash: (name: HashName) => HASHES[name],
  aead: (name: AeadName) => AEADS[name],
  ecdh: (name: CurveName) => CURVES[name],
  kem: (name: KemName) => KEMS[name],
  verifyingKey: nodeVerifyingKey,
  signingKey: (pkcs8: Uint8Array) => nodeSigningKey(pkcs8, random),
});

function hashAlgorithm(name: HashName, outputBytes: number): HashAlgorithm {
  return {
    name,
    outputBytes,
    digest: (data) => plain(hashOnce(name, data, "buffer")),
    hmac: (key, data) => plain(createHmac(name, key).update(data).digest()),
    start() {
      const running = createHash(name);
      return {
        update: (data) => void running.update(data),
        peek: () => plain(running.copy().digest()),
      };
    },
  };
}

const TAG_BYTES = 16;
const OPTIONS = { authTagLength: TAG_BYTES } as const;

function aeadAlgorithm(name: AeadName, keyBytes: number): AeadAlgorithm {
  return {
    name,
    keyBytes,
    key(given) {
      if (given.length !== keyBytes) throw new RangeError(`${name} takes a key of ${keyBytes} bytes`);
      return aeadKey(name, createSecretKey(given));
    },
  };
}

/** One KeyObject per traffic key; a record costs a cipher, its output and its tag, and nothing beside them. */
function aeadKey(name: AeadName, key: KeyObject): AeadKey {
  // The three names are one API, but the types know each by itself.
  const cipherName = name as "aes-256-gcm";
  return {
    seal(nonce, aad, data) {
      const cipher = createCipheriv(cipherName, key, nonce, OPTIONS);
      cipher.setAAD(aad);
      const bodyBytes = data.length - TAG_BYTES;
      if (bodyBytes > 0) {
        const body = cipher.update(data.subarray(0, bodyBytes));
        data.set(body);
        release(body);
      }
      cipher.final();
      data.set(cipher.getAuthTag(), bodyBytes);
    },
    open(nonce, aad, sealed) {
      const bodyBytes = sealed.length - TAG_BYTES;
      if (bodyBytes < 0) return undefined;
      const decipher = createDecipheriv(cipherName, key, nonce, OPTIONS);
      decipher.setAAD(aad);
      decipher.setAuthTag(sealed.subarray(bodyBytes));
      const content = bodyBytes === 0 ? EMPTY : decipher.update(sealed.subarray(0, bodyBytes));
      try {
        decipher.final();
        return content;
      } catch {
        return undefined;
      }
    },
  };
}
