import { concat, EMPTY, equal, fromHex, utf8, wipe } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import {
  AEAD_ANSWERS,
  ECDH_ANSWERS,
  HASH_ANSWERS,
  KEM_ANSWERS,
  ML_DSA_ANSWERS,
  SIGNATURE_ANSWERS,
} from "./answers.ts";
import { readSpki, seedPkcs8 } from "./keys.ts";
import type { AeadName, CryptoProvider, CurveName, HashName, KemName, PrimitiveName } from "./provider.ts";

const passed = new WeakMap<CryptoProvider, Set<PrimitiveName>>();

/**
 * Known-answer tests for what is about to be used, once per provider and primitive.
 * Throws a ProtocolError (ERR_TLS_INTERNAL) that names the primitive and its backend.
 */
export function selfTest(provider: CryptoProvider, names: readonly PrimitiveName[]): void {
  let done = passed.get(provider);
  if (done === undefined) passed.set(provider, (done = new Set()));
  for (const name of names) {
    if (done.has(name)) continue;
    demand(provider, name);
    done.add(name);
  }
}

type Test = (provider: CryptoProvider) => boolean;

const TESTS: Readonly<Record<PrimitiveName, Test>> = {
  random: testRandom,
  sha256: testHash("sha256"),
  sha384: testHash("sha384"),
  "aes-128-gcm": testAead("aes-128-gcm"),
  "aes-256-gcm": testAead("aes-256-gcm"),
  "chacha20-poly1305": testAead("chacha20-poly1305"),
  x25519: testEcdh("x25519"),
  // As a key kind, a curve also stands for ECDSA over it.
  secp256r1: both(testEcdh("secp256r1"), testVerify("secp256r1")),
  secp384r1: both(testEcdh("secp384r1"), testVerify("secp384r1")),
  secp521r1: both(testEcdh("secp521r1"), testVerify("secp521r1")),
  "ml-kem-768": testKem("ml-kem-768"),
  "ml-kem-1024": testKem("ml-kem-1024"),
  ed25519: testVerify("ed25519"),
  rsa: testVerify("rsa"),
  "rsa-pss": testVerify("rsa-pss"),
  "ml-dsa-44": testMlDsa("ml-dsa-44"),
  "ml-dsa-65": testMlDsa("ml-dsa-65"),
  "ml-dsa-87": testMlDsa("ml-dsa-87"),
};

function demand(provider: CryptoProvider, name: PrimitiveName): void {
  const backend = provider.backends[name];
  if (backend === undefined) throw failure(`${name} is not available from the ${provider.name} provider`);
  let right: boolean;
  try {
    right = TESTS[name](provider);
  } catch (cause) {
    throw failure(`the self-test of ${name} by ${backend} could not run`, cause);
  }
  if (!right) throw failure(`the self-test of ${name} by ${backend} gave a wrong answer`);
}

const failure = (message: string, cause?: unknown): ProtocolError =>
  new ProtocolError("ERR_TLS_INTERNAL", "internal_error", message, { cause });

function both(first: Test, second: Test): Test {
  return (provider) => first(provider) && second(provider);
}

/** Nothing can be known of random bytes but that they are not constant. */
function testRandom(provider: CryptoProvider): boolean {
  const one = provider.random(32);
  const two = provider.random(32);
  return one.length === 32 && two.length === 32 && !equal(one, two) && !equal(one, new Uint8Array(32));
}

function testHash(name: HashName): Test {
  return (provider) => {
    const hash = provider.hash(name);
    const abc = bytes(HASH_ANSWERS[name].abc);
    const running = hash.start();
    running.update(utf8("ab"));
    running.peek();
    running.update(utf8("c"));
    const hmac = hash.hmac(utf8("Jefe"), utf8("what do ya want for nothing?"));
    return (
      equal(hash.digest(utf8("abc")), abc) &&
      equal(running.peek(), abc) &&
      equal(hmac, bytes(HASH_ANSWERS[name].hmac))
    );
  };
}

function testAead(name: AeadName): Test {
  return (provider) => {
    const answer = AEAD_ANSWERS[name];
    const key = provider.aead(name).key(bytes(answer.key));
    const [nonce, aad, plain] = [bytes(answer.nonce), bytes(answer.aad), bytes(answer.plain)];
    const sealed = bytes(answer.sealed);
    const data = concat([plain, new Uint8Array(sealed.length - plain.length)]);
    key.seal(nonce, aad, data);
    const opened = key.open(nonce, aad, sealed);
    const forged = flipped(sealed);
    return (
      equal(data, sealed) &&
      opened !== undefined &&
      equal(opened, plain) &&
      key.open(nonce, aad, forged) === undefined
    );
  };
}

/** The known answer where the provider takes a private key, and agreement between two new pairs. */
function testEcdh(name: CurveName): Test {
  return (provider) => {
    const ecdh = provider.ecdh(name);
    const answer = ECDH_ANSWERS[name];
    const known = ecdh.fromPrivateKey?.(bytes(answer.privateKey)).agree(bytes(answer.peer));
    if (ecdh.fromPrivateKey && !same(known, bytes(answer.shared))) return false;
    const [one, two] = [ecdh.generate(), ecdh.generate()];
    return same(one.agree(two.publicKey), two.agree(one.publicKey));
  };
}

/** Key generation and implicit rejection from a known seed where the provider takes one, and one round trip. */
function testKem(name: KemName): Test {
  return (provider) => {
    const kem = provider.kem(name);
    const answer = KEM_ANSWERS[name];
    const known = kem.fromSeed?.(bytes(answer.seed));
    if (known !== undefined) {
      const digest = provider.hash("sha256").digest(known.encapsulationKey);
      const rejected = known.decapsulate(new Uint8Array(kem.ciphertextBytes));
      if (!equal(digest, bytes(answer.keyDigest)) || !same(rejected, bytes(answer.rejected))) return false;
    }
    const pair = known ?? kem.generate();
    const sent = kem.encapsulate(pair.encapsulationKey);
    return sent !== undefined && same(pair.decapsulate(sent.ciphertext), sent.sharedSecret);
  };
}

function testVerify(kind: keyof typeof SIGNATURE_ANSWERS): Test {
  return (provider) => {
    const { algorithm, spki, message, signature } = SIGNATURE_ANSWERS[kind];
    const key = provider.verifyingKey(bytes(spki));
    const [signed, good] = [bytes(message), bytes(signature)];
    return (
      key?.kind === kind &&
      key.verify(algorithm, signed, good) &&
      !key.verify(algorithm, flipped(signed), good)
    );
  };
}

/** Key generation from a known seed, and one signature there and back: a whole known signature has 4 kB. */
function testMlDsa(kind: keyof typeof ML_DSA_ANSWERS): Test {
  return (provider) => {
    const answer = ML_DSA_ANSWERS[kind];
    const pkcs8 = seedPkcs8(kind, bytes(answer.seed));
    const signer = provider.signingKey(pkcs8);
    wipe(pkcs8);
    const publicKey = readSpki(signer.spki)?.bytes ?? EMPTY;
    if (!equal(provider.hash("sha256").digest(publicKey), bytes(answer.keyDigest))) return false;
    const message = utf8("sample");
    const signature = signer.sign(kind, message);
    const verifier = provider.verifyingKey(signer.spki);
    return (
      verifier?.kind === kind &&
      verifier.verify(kind, message, signature) &&
      !verifier.verify(kind, flipped(message), signature)
    );
  };
}

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? EMPTY;

const same = (one: Uint8Array | undefined, two: Uint8Array | undefined): boolean =>
  one !== undefined && two !== undefined && one.length > 0 && equal(one, two);

function flipped(data: Uint8Array): Uint8Array {
  const out = data.slice();
  out[0] = (out[0] ?? 0) ^ 1;
  return out;
}
