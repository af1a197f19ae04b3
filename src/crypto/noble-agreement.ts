import { x25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem.js";
import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import { KEM_SIZES } from "./keys.ts";
import type { CurveName, Ecdh, EcdhKeyPair, Kem, KemKeyPair, KemName } from "./provider.ts";

type Random = (length: number) => Uint8Array;

const NIST = { secp256r1: p256, secp384r1: p384, secp521r1: p521 } as const;
const ML_KEM = { "ml-kem-768": ml_kem768, "ml-kem-1024": ml_kem1024 } as const;

/** ECDH in JavaScript. RFC 7748, SEC 1. */
export function nobleEcdh(name: CurveName, random: Random): Ecdh {
  return name === "x25519" ? montgomery(random) : weierstrass(name, random);
}

/** ML-KEM in JavaScript. FIPS 203. */
export function nobleKem(name: KemName, random: Random): Kem {
  const kem = ML_KEM[name];
  const { encapsulationKeyBytes, ciphertextBytes } = KEM_SIZES[name];
  function fromSeed(seed: Uint8Array): KemKeyPair {
    const pair = kem.keygen(seed);
    return {
      encapsulationKey: pair.publicKey,
      decapsulate(ciphertext) {
        if (ciphertext.length !== ciphertextBytes) return undefined;
        return kem.decapsulate(ciphertext, pair.secretKey);
      },
    };
  }
  return {
    name,
    encapsulationKeyBytes,
    ciphertextBytes,
    generate: () => once(random(64), fromSeed),
    fromSeed,
    encapsulate(encapsulationKey) {
      if (encapsulationKey.length !== encapsulationKeyBytes) return undefined;
      return once(random(32), (message) => {
        try {
          const { cipherText, sharedSecret } = kem.encapsulate(encapsulationKey, message);
          return { ciphertext: cipherText, sharedSecret };
        } catch {
          // The length is right, so what failed is the modulus check of FIPS 203 §7.2.
          return undefined;
        }
      });
    },
  };
}

function montgomery(random: Random): Ecdh {
  const fromPrivateKey = (privateKey: Uint8Array): EcdhKeyPair => ({
    publicKey: x25519.getPublicKey(privateKey),
    agree: agreeOnce(privateKey, (secretKey, peerPublicKey) => {
      try {
        return x25519.getSharedSecret(secretKey, peerPublicKey);
      } catch {
        return undefined;
      }
    }),
  });
  return {
    name: "x25519",
    publicKeyBytes: 32,
    generate: () => once(random(32), fromPrivateKey),
    fromPrivateKey,
  };
}

function weierstrass(name: keyof typeof NIST, random: Random): Ecdh {
  const curve = NIST[name];
  const fieldBytes = curve.Point.Fp.BYTES;
  const publicKeyBytes = 1 + 2 * fieldBytes;
  const fromPrivateKey = (privateKey: Uint8Array): EcdhKeyPair => ({
    publicKey: curve.getPublicKey(privateKey, false),
    agree: agreeOnce(privateKey, (secretKey, peerPublicKey) => {
      // Compressed and hybrid forms have no place in TLS 1.3. RFC 9846 §4.3.8.2.
      if (peerPublicKey.length !== publicKeyBytes || peerPublicKey[0] !== 4) return undefined;
      try {
        const point = curve.getSharedSecret(secretKey, peerPublicKey, false);
        return once(point, () => point.slice(1, 1 + fieldBytes));
      } catch {
        return undefined;
      }
    }),
  });
  return {
    name,
    publicKeyBytes,
    generate: () =>
      once(random(curve.lengths.seed ?? 0), (seed) =>
        once(curve.utils.randomSecretKey(seed), fromPrivateKey),
      ),
    fromPrivateKey,
  };
}

type Agree = (secretKey: Uint8Array, peerPublicKey: Uint8Array) => Uint8Array | undefined;

/** An agreement over a copy of the private key, which is wiped afterwards. */
function agreeOnce(privateKey: Uint8Array, agree: Agree): EcdhKeyPair["agree"] {
  let kept: Uint8Array | undefined = privateKey.slice();
  return (peerPublicKey) => {
    if (kept === undefined) throw new UsageError("ERR_STATE", "an ephemeral key agrees only once");
    const secretKey = kept;
    kept = undefined;
    return once(secretKey, () => agree(secretKey, peerPublicKey));
  };
}

/** Uses a secret and wipes it. */
function once<T>(secret: Uint8Array, use: (secret: Uint8Array) => T): T {
  try {
    return use(secret);
  } finally {
    wipe(secret);
  }
}
