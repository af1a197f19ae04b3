import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { shake256 } from "@noble/hashes/sha3.js";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { EMPTY, equal, utf8, wipe } from "../protocol/bytes.ts";
import {
  type CurveKind,
  demandFit,
  fits,
  hashIn,
  invalid,
  isCurve,
  isMlDsa,
  type MlDsaKind,
  type RawMlDsaKey,
  type RawPublicKey,
  readPkcs8,
  readSpki,
  writeSpki,
} from "./keys.ts";
import type { SignatureAlgorithm, SigningKey, VerifyingKey } from "./provider.ts";

const CURVES = { secp256r1: p256, secp384r1: p384, secp521r1: p521 } as const;
const ML_DSA = { "ml-dsa-44": ml_dsa44, "ml-dsa-65": ml_dsa65, "ml-dsa-87": ml_dsa87 } as const;
const HASHES = { sha256, sha384, sha512 } as const;

// TLS and X.509 take every valid s, and DER only.
const DER = { prehash: false, lowS: false, format: "der" } as const;

/** A verifying key in JavaScript; undefined for RSA and for bytes that are no key. */
export function nobleVerifyingKey(spki: Uint8Array): VerifyingKey | undefined {
  const key = readSpki(spki);
  if (key === undefined || !isKey(key)) return undefined;
  return {
    kind: key.kind,
    verify(algorithm, message, signature) {
      if (!fits(key.kind, algorithm)) return false;
      try {
        return verify(key, algorithm, message, signature);
      } catch {
        return false;
      }
    },
  };
}

/** A signing key in JavaScript. Throws a UsageError (ERR_FILE_INVALID) for RSA and for what is no key. */
export function nobleSigningKey(pkcs8: Uint8Array, random: (length: number) => Uint8Array): SigningKey {
  const key = readPkcs8(pkcs8);
  if (!("bytes" in key)) return mlDsaKey(key, random);
  return key.kind === "ed25519" ? ed25519Key(key.bytes) : ecdsaKey(key.kind, key.bytes);
}

function isKey({ kind, bytes }: RawPublicKey): boolean {
  if (isCurve(kind)) {
    try {
      CURVES[kind].Point.fromBytes(bytes).assertValidity();
      return true;
    } catch {
      return false;
    }
  }
  return bytes.length === (isMlDsa(kind) ? ML_DSA[kind].lengths.publicKey : 32);
}

function verify(
  { kind, bytes }: RawPublicKey,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (isCurve(kind)) return CURVES[kind].verify(signature, digest(algorithm, message), bytes, DER);
  if (isMlDsa(kind)) return ML_DSA[kind].verify(signature, message, bytes);
  return ed25519.verify(signature, message, bytes, { zip215: false });
}

function ecdsaKey(kind: CurveKind, secretKey: Uint8Array): SigningKey {
  const curve = CURVES[kind];
  if (!curve.utils.isValidSecretKey(secretKey)) throw invalid(`the ${kind} scalar is out of range`);
  return {
    kind,
    spki: writeSpki({ kind, bytes: curve.getPublicKey(secretKey, false) }),
    sign(algorithm, message) {
      demandFit(kind, algorithm);
      return curve.sign(digest(algorithm, message), secretKey, DER);
    },
  };
}

function ed25519Key(secretKey: Uint8Array): SigningKey {
  if (secretKey.length !== 32) throw invalid(`an Ed25519 key has 32 bytes, not ${secretKey.length}`);
  return {
    kind: "ed25519",
    spki: writeSpki({ kind: "ed25519", bytes: ed25519.getPublicKey(secretKey) }),
    sign(algorithm, message) {
      demandFit("ed25519", algorithm);
      return ed25519.sign(message, secretKey);
    },
  };
}

function mlDsaKey(key: RawMlDsaKey, random: (length: number) => Uint8Array): SigningKey {
  const { kind, seed, expanded } = key;
  const dsa = ML_DSA[kind];
  const pair = seed ? expand(kind, seed, expanded) : checkedExpanded(kind, expanded ?? EMPTY);
  wipe(seed);
  return {
    kind,
    spki: writeSpki({ kind, bytes: pair.publicKey }),
    sign(algorithm, message) {
      demandFit(kind, algorithm);
      const extraEntropy = random(32);
      const signature = dsa.sign(message, pair.secretKey, { extraEntropy });
      wipe(extraEntropy);
      return signature;
    },
  };
}

interface Pair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** From the seed; an expanded key that came with it must be the same one. RFC 9881 §8.2. */
function expand(kind: MlDsaKind, seed: Uint8Array, expanded: Uint8Array | undefined): Pair {
  if (seed.length !== 32) throw invalid(`an ML-DSA seed has 32 bytes, not ${seed.length}`);
  const pair = ML_DSA[kind].keygen(seed);
  if (expanded !== undefined) {
    const same = equal(pair.secretKey, expanded);
    wipe(expanded);
    if (!same) {
      wipe(pair.secretKey);
      throw invalid(`the ${kind} seed and the expanded key do not belong together`);
    }
  }
  return pair;
}

const TR_AT_BYTES = 64;
const TR_BYTES = 64;
const TRIAL = utf8("pairwise consistency");

/** From the expanded form alone: its parts must fit each other, or signatures could leak or fail. RFC 9881 §8.2. */
function checkedExpanded(kind: MlDsaKind, expanded: Uint8Array): Pair {
  const dsa = ML_DSA[kind];
  if (expanded.length !== dsa.lengths.secretKey) {
    throw invalid(`an expanded ${kind} key has ${dsa.lengths.secretKey} bytes, not ${expanded.length}`);
  }
  try {
    const publicKey = dsa.getPublicKey(expanded);
    const tr = shake256(publicKey, { dkLen: TR_BYTES });
    if (
      equal(tr, expanded.subarray(TR_AT_BYTES, TR_AT_BYTES + TR_BYTES)) &&
      dsa.verify(dsa.sign(TRIAL, expanded), TRIAL, publicKey)
    ) {
      return { publicKey, secretKey: expanded };
    }
  } catch {
    // A coefficient out of range ends here; the reason would only repeat what is said below.
  }
  wipe(expanded);
  throw invalid(`the expanded ${kind} key is not consistent with itself`);
}

function digest(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array {
  return HASHES[hashIn(algorithm) ?? "sha256"](message);
}
