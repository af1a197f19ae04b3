import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type ECDH,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { equal } from "../protocol/bytes.ts";
import { bufferOn, hasRawKeys, makesKeys, newer, plain } from "./node-native.ts";
import { KEM_SIZES, kemSpki, seedPkcs8, x25519Pkcs8 } from "./keys.ts";
import type { CurveName, Ecdh, EcdhKeyPair, Kem, KemKeyPair, KemName } from "./provider.ts";

/** ECDH by OpenSSL. RFC 7748, SEC 1. */
export function nodeEcdh(name: CurveName): Ecdh {
  return name === "x25519" ? x25519 : weierstrass(name);
}

/** ML-KEM by OpenSSL; undefined where this Node has none. FIPS 203. */
export function nodeKem(name: KemName): Kem | undefined {
  const { encapsulate, decapsulate } = newer;
  if (encapsulate === undefined || decapsulate === undefined || !makesKeys(name)) return undefined;
  const { encapsulationKeyBytes, ciphertextBytes } = KEM_SIZES[name];
  const pairOf = (privateKey: KeyObject, encapsulationKey: Uint8Array): KemKeyPair => ({
    encapsulationKey,
    decapsulate(ciphertext) {
      return ciphertext.length === ciphertextBytes ? plain(decapsulate(privateKey, ciphertext)) : undefined;
    },
  });
  const bare = (encoded: Buffer): Uint8Array => plain(encoded.subarray(-encapsulationKeyBytes));
  return {
    name,
    encapsulationKeyBytes,
    ciphertextBytes,
    generate() {
      const { publicKey, privateKey } = newer.generateKeyPairSync(name, { publicKeyEncoding: PUBLIC_FORM });
      return pairOf(privateKey, bare(publicKey));
    },
    fromSeed(seed) {
      const privateKey = createPrivateKey({
        key: bufferOn(seedPkcs8(name, seed)),
        format: "der",
        type: "pkcs8",
      });
      return pairOf(privateKey, bare(createPublicKey(privateKey).export({ format: "der", type: "spki" })));
    },
    encapsulate(encapsulationKey) {
      if (encapsulationKey.length !== encapsulationKeyBytes) return undefined;
      let result: ReturnType<typeof encapsulate>;
      try {
        result = encapsulate(publicKeyOf(name, encapsulationKey));
      } catch {
        // The length is right, so what failed is the modulus check of FIPS 203 §7.2.
        return undefined;
      }
      return { ciphertext: plain(result.ciphertext), sharedSecret: plain(result.sharedKey) };
    },
  };
}

const PUBLIC_FORM = hasRawKeys
  ? ({ format: "raw-public" } as const)
  : ({ format: "der", type: "spki" } as const);

function publicKeyOf(name: KemName, key: Uint8Array): Parameters<NonNullable<typeof newer.encapsulate>>[0] {
  if (hasRawKeys) return { key, format: "raw-public", asymmetricKeyType: name };
  return createPublicKey({ key: bufferOn(kemSpki(name, key)), format: "der", type: "spki" });
}

const X25519_BYTES = 32;

const x25519: Ecdh = {
  name: "x25519",
  publicKeyBytes: X25519_BYTES,
  generate: hasRawKeys ? generateRaw : generateByBasePoint,
  fromPrivateKey(privateKey) {
    const pkcs8 = bufferOn(x25519Pkcs8(privateKey));
    return byBasePoint(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  },
};

function generateRaw(): EcdhKeyPair {
  const { publicKey, privateKey } = newer.generateKeyPairSync("x25519", {
    publicKeyEncoding: { format: "raw-public" },
  });
  return x25519Pair(privateKey, plain(publicKey));
}

/**
 * Node 20 takes three times as long to encode a public key as to multiply by the base point, and exporting a new
 * key pair as JWK can deadlock there.
 */
function generateByBasePoint(): EcdhKeyPair {
  return byBasePoint(generateKeyPairSync("x25519").privateKey);
}

const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(X25519_BYTES - 1));
const basePointKey = importX25519(BASE_POINT);

const byBasePoint = (privateKey: KeyObject): EcdhKeyPair =>
  x25519Pair(privateKey, plain(diffieHellman({ privateKey, publicKey: basePointKey })));

const ALL_ZERO = new Uint8Array(X25519_BYTES);

function x25519Pair(privateKey: KeyObject, publicKey: Uint8Array): EcdhKeyPair {
  return {
    publicKey,
    agree(peerPublicKey) {
      if (peerPublicKey.length !== X25519_BYTES) return undefined;
      try {
        const secret = plain(diffieHellman({ privateKey, publicKey: importX25519(peerPublicKey) }));
        // OpenSSL refuses this itself; RFC 9846 §7.4.2 asks for the check all the same.
        return equal(secret, ALL_ZERO) ? undefined : secret;
      } catch {
        return undefined;
      }
    },
  };
}

/** JWK is the cheapest form that every Node can import. */
function importX25519(publicKey: Uint8Array): KeyObject {
  const x = bufferOn(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
}

const NIST = {
  secp256r1: { curve: "prime256v1", publicKeyBytes: 65 },
  secp384r1: { curve: "secp384r1", publicKeyBytes: 97 },
  secp521r1: { curve: "secp521r1", publicKeyBytes: 133 },
} as const;

function weierstrass(name: keyof typeof NIST): Ecdh {
  const { curve, publicKeyBytes } = NIST[name];
  const pairOf = (ecdh: ECDH, publicKey: Buffer): EcdhKeyPair => ({
    publicKey: plain(publicKey),
    agree(peerPublicKey) {
      // Compressed and hybrid forms have no place in TLS 1.3. RFC 9846 §4.3.8.2.
      if (peerPublicKey.length !== publicKeyBytes || peerPublicKey[0] !== 4) return undefined;
      try {
        return plain(ecdh.computeSecret(peerPublicKey));
      } catch {
        return undefined;
      }
    },
  });
  return {
    name,
    publicKeyBytes,
    generate() {
      const ecdh = createECDH(curve);
      return pairOf(ecdh, ecdh.generateKeys());
    },
    fromPrivateKey(privateKey) {
      const ecdh = createECDH(curve);
      ecdh.setPrivateKey(privateKey);
      return pairOf(ecdh, ecdh.getPublicKey());
    },
  };
}
