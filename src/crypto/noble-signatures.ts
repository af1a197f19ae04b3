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
  const { publicKey, secretKey } = seed
    ? expand(kind, seed, expanded)
    : checkedExpanded(kind, expanded ?? EMPTY);
  const checked = seed === undefined;
  wipe(seed);
  return {
    kind,
    spki: writeSpki({ kind, bytes: publicKey }),
    sign(algorithm, message) {
      demandFit(kind, algorithm);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const extraEntropy = random(32);
        const signature = dsa.sign(message, secretKey, { extraEntropy });
        wipe(extraEntropy);
        if (!checked || dsa.verify(signature, message, publicKey)) return signature;
      }
      throw invalid(`the expanded ${kind} key makes signatures that do not verify`);
    },
  };
}

/**
 * The library cannot tell whether t0 in an expanded key is exact. A small error there tells nothing about the key,
 * but makes one signature in thousands fail, so with such a key none leaves unverified.
 */
const MAX_ATTEMPTS = 8;

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

/** From the expanded form alone: its parts must fit each other, or signatures could fail or leak. RFC 9881 §8.2. */
function checkedExpanded(kind: MlDsaKind, expanded: Uint8Array): Pair {
  const dsa = ML_DSA[kind];
  if (expanded.length !== dsa.lengths.secretKey) {
    throw invalid(`an expanded ${kind} key has ${dsa.lengths.secretKey} bytes, not ${expanded.length}`);
  }
  try {
    const publicKey = hasShortSecrets(kind, expanded) ? dsa.getPublicKey(expanded) : EMPTY;
    const tr = shake256(publicKey, { dkLen: TR_BYTES });
    if (
      equal(tr, expanded.subarray(TR_AT_BYTES, TR_AT_BYTES + TR_BYTES)) &&
      dsa.verify(dsa.sign(TRIAL, expanded), TRIAL, publicKey)
    ) {
      return { publicKey, secretKey: expanded };
    }
  } catch {
    // Why it cannot be used would only repeat what is said below.
  }
  wipe(expanded);
  throw invalid(`the expanded ${kind} key is not consistent with itself`);
}

/** Where s1 and s2 lie in an expanded key, and how their coefficients are packed. FIPS 204 §4, Algorithm 24. */
const SHORT_AT_BYTES = 128;
const SHORT = {
  "ml-dsa-44": { polynomials: 4 + 4, bits: 3, largest: 4 },
  "ml-dsa-65": { polynomials: 5 + 6, bits: 4, largest: 8 },
  "ml-dsa-87": { polynomials: 7 + 8, bits: 3, largest: 4 },
} as const;

/** Whether every coefficient of s1 and s2 is within η; the library unpacks those that are not as well. */
function hasShortSecrets(kind: MlDsaKind, expanded: Uint8Array): boolean {
  const { polynomials, bits, largest } = SHORT[kind];
  let inRange = true;
  let window = 0;
  let held = 0;
  for (const byte of expanded.subarray(SHORT_AT_BYTES, SHORT_AT_BYTES + polynomials * 32 * bits)) {
    window |= byte << held;
    for (held += 8; held >= bits; held -= bits) {
      inRange = (window & ((1 << bits) - 1)) <= largest && inRange;
      window >>= bits;
    }
  }
  return inRange;
}

function digest(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array {
  return HASHES[hashIn(algorithm) ?? "sha256"](message);
}
