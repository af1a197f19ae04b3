import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type SignKeyObjectInput,
  sign as signNatively,
  verify as verifyNatively,
} from "node:crypto";
import { demandFit, fits, fitting, hashIn, invalid, isMlDsa, kindOfPkcs8 } from "./keys.ts";
import { bufferOn, makesKeys, plain } from "./node-native.ts";
import { nobleSigningKey, nobleVerifyingKey } from "./noble-signatures.ts";
import { utf8 } from "../protocol/bytes.ts";
import type { KeyKind, SignatureAlgorithm, SigningKey, VerifyingKey } from "./provider.ts";

/** Whether this Node signs with ML-DSA itself. */
export const hasMlDsa = makesKeys("ml-dsa-44");

/** A verifying key of OpenSSL; ML-DSA by noble where this Node has none. */
export function nodeVerifyingKey(spki: Uint8Array): VerifyingKey | undefined {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: bufferOn(spki), format: "der", type: "spki" });
  } catch {
    return portableMlDsa(spki);
  }
  const kind = kindOf(key);
  if (kind === undefined) return undefined;
  return {
    kind,
    verify(algorithm, message, signature) {
      if (!fits(kind, algorithm)) return false;
      try {
        return verifyNatively(hashIn(algorithm), message, input(key, algorithm), signature);
      } catch {
        return false;
      }
    },
  };
}

/** A signing key of OpenSSL; ML-DSA by noble where this Node has none. Throws a UsageError (ERR_FILE_INVALID). */
export function nodeSigningKey(pkcs8: Uint8Array, random: (length: number) => Uint8Array): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: bufferOn(pkcs8), format: "der", type: "pkcs8" });
  } catch (cause) {
    const kind = kindOfPkcs8(pkcs8);
    // Where OpenSSL knows ML-DSA it takes every form, and what it refuses is bad.
    if (!hasMlDsa && kind !== undefined && isMlDsa(kind)) return nobleSigningKey(pkcs8, random);
    throw invalid("it is no PKCS #8 key that this Node can use", cause);
  }
  const kind = kindOf(key);
  if (kind === undefined) throw invalid(`the key type ${key.asymmetricKeyType} is not supported`);
  if (!signsRightly(key, kind))
    throw invalid("its parts do not belong together: no signature of it verifies");
  return {
    kind,
    spki: plain(createPublicKey(key).export({ format: "der", type: "spki" })),
    sign(algorithm, message) {
      demandFit(kind, algorithm);
      return plain(signNatively(hashIn(algorithm), message, input(key, algorithm)));
    },
  };
}

const TRIAL = utf8("pairwise consistency");

/** OpenSSL takes both halves of a curve's or an RSA key as the file has them, whether they belong together or not. */
function signsRightly(key: KeyObject, kind: KeyKind): boolean {
  const publicKey = createPublicKey(key);
  return fitting(kind).some((algorithm) => {
    try {
      const signature = signNatively(hashIn(algorithm), TRIAL, input(key, algorithm));
      return verifyNatively(hashIn(algorithm), TRIAL, input(publicKey, algorithm), signature);
    } catch {
      return false;
    }
  });
}

function portableMlDsa(spki: Uint8Array): VerifyingKey | undefined {
  if (hasMlDsa) return undefined;
  const key = nobleVerifyingKey(spki);
  return key !== undefined && isMlDsa(key.kind) ? key : undefined;
}

const CURVES: Readonly<Record<string, KeyKind>> = {
  prime256v1: "secp256r1",
  secp384r1: "secp384r1",
  secp521r1: "secp521r1",
};

const KINDS: Readonly<Record<string, KeyKind>> = {
  ed25519: "ed25519",
  rsa: "rsa",
  "rsa-pss": "rsa-pss",
  "ml-dsa-44": "ml-dsa-44",
  "ml-dsa-65": "ml-dsa-65",
  "ml-dsa-87": "ml-dsa-87",
};

function kindOf(key: KeyObject): KeyKind | undefined {
  const type = key.asymmetricKeyType ?? "";
  return type === "ec" ? CURVES[key.asymmetricKeyDetails?.namedCurve ?? ""] : KINDS[type];
}

function input(key: KeyObject, algorithm: SignatureAlgorithm): KeyObject | SignKeyObjectInput {
  if (algorithm.startsWith("rsa-pss")) {
    return {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    };
  }
  return algorithm.startsWith("rsa-pkcs1") ? { key, padding: constants.RSA_PKCS1_PADDING } : key;
}
