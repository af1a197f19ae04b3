/**
 * The seam to the primitives: what the protocol needs, and nothing about who computes it.
 * Everything here is synchronous. No primitive is written in this project; a provider only adapts libraries.
 * Results are plain Uint8Arrays; only what an AeadKey returns may be a subclass whose `slice` does not copy.
 */

export type HashName = "sha256" | "sha384";
export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";
export type CurveName = "x25519" | "secp256r1" | "secp384r1" | "secp521r1";
export type KemName = "ml-kem-768" | "ml-kem-1024";

/** What a public key is, as its SubjectPublicKeyInfo says. */
export type KeyKind =
  | "secp256r1"
  | "secp384r1"
  | "secp521r1"
  | "ed25519"
  | "rsa"
  | "rsa-pss"
  | "ml-dsa-44"
  | "ml-dsa-65"
  | "ml-dsa-87";

/** A signature algorithm with its hash. ECDSA signatures are DER; RSA-PSS has salt length = hash length. */
export type SignatureAlgorithm =
  | `ecdsa-${"sha256" | "sha384" | "sha512"}`
  | `rsa-pkcs1-${"sha256" | "sha384" | "sha512"}`
  | `rsa-pss-${"sha256" | "sha384" | "sha512"}`
  | "ed25519"
  | "ml-dsa-44"
  | "ml-dsa-65"
  | "ml-dsa-87";

export type PrimitiveName = HashName | "random" | AeadName | CurveName | KemName | KeyKind;
export type Backend = "node:crypto" | "noble";

/** A hash that can be asked for its value at any point and then goes on. */
export interface RunningHash {
  update(data: Uint8Array): void;
  /** The digest of all that was fed so far; feeding may continue. */
  peek(): Uint8Array;
}

export interface HashAlgorithm {
  readonly name: HashName;
  readonly outputBytes: number;
  digest(data: Uint8Array): Uint8Array;
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  start(): RunningHash;
}

/** One AEAD key, prepared once; `nonce` has 12 bytes, tags have 16. */
export interface AeadKey {
  /** Encrypts in place: `data` is the plaintext followed by 16 bytes of room, which the tag fills. */
  seal(nonce: Uint8Array, aad: Uint8Array, data: Uint8Array): void;
  /** The plaintext in memory of its own, or undefined when the tag does not match. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

export interface AeadAlgorithm {
  readonly name: AeadName;
  readonly keyBytes: number;
  /** `key` is copied; the caller may wipe it. */
  key(key: Uint8Array): AeadKey;
}

/** An ephemeral private key that agrees once. */
export interface EcdhKeyPair {
  /** x25519: 32 bytes; NIST curves: uncompressed point. */
  readonly publicKey: Uint8Array;
  /**
   * The raw shared secret (NIST curves: the x-coordinate, leading zeros kept); undefined when the peer's
   * key fails validation (length, form, not on the curve, all-zero X25519 result).
   */
  agree(peerPublicKey: Uint8Array): Uint8Array | undefined;
}

export interface Ecdh {
  readonly name: CurveName;
  readonly publicKeyBytes: number;
  generate(): EcdhKeyPair;
  /** From a known scalar (32, 48 or 66 bytes), for known-answer tests only. Throws when it is no private key. */
  fromPrivateKey?(privateKey: Uint8Array): EcdhKeyPair;
}

export interface KemKeyPair {
  readonly encapsulationKey: Uint8Array;
  /** The 32-byte shared secret; undefined when the ciphertext has the wrong length. FIPS 203 §7.3. */
  decapsulate(ciphertext: Uint8Array): Uint8Array | undefined;
}

export interface Kem {
  readonly name: KemName;
  readonly encapsulationKeyBytes: number;
  readonly ciphertextBytes: number;
  generate(): KemKeyPair;
  /** From the 64-byte seed d ‖ z, for known-answer tests only. FIPS 203 §7.1. Throws for another length. */
  fromSeed?(seed: Uint8Array): KemKeyPair;
  /** Undefined when the key fails the check of FIPS 203 §7.2 (length, coefficients below q). */
  encapsulate(
    encapsulationKey: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } | undefined;
}

/** A public key ready to verify with. */
export interface VerifyingKey {
  readonly kind: KeyKind;
  /** False for a bad signature, and for an algorithm that does not fit the key. */
  verify(algorithm: SignatureAlgorithm, message: Uint8Array, signature: Uint8Array): boolean;
}

/** A private key ready to sign with. */
export interface SigningKey {
  readonly kind: KeyKind;
  /** DER SubjectPublicKeyInfo of the public half. */
  readonly spki: Uint8Array;
  /** Throws a UsageError when the algorithm does not fit the key. */
  sign(algorithm: SignatureAlgorithm, message: Uint8Array): Uint8Array;
}

export interface CryptoProvider {
  readonly name: string;
  /** Which library serves each primitive; a primitive that is absent is not available here. */
  readonly backends: Readonly<Partial<Record<PrimitiveName, Backend>>>;
  random(length: number): Uint8Array;
  hash(name: HashName): HashAlgorithm;
  aead(name: AeadName): AeadAlgorithm;
  ecdh(name: CurveName): Ecdh;
  kem(name: KemName): Kem;
  /** From a DER SubjectPublicKeyInfo; undefined when its algorithm is not supported or its bytes are no key. */
  verifyingKey(spki: Uint8Array): VerifyingKey | undefined;
  /**
   * From a DER PKCS #8 PrivateKeyInfo (ML-DSA: seed, expanded or both, RFC 9881 §6).
   * Throws a UsageError (ERR_FILE_INVALID) when it is no usable private key.
   */
  signingKey(pkcs8: Uint8Array): SigningKey;
}
