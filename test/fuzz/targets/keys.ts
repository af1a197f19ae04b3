/** Public keys, private keys and signatures, by OpenSSL and by noble; the first byte picks which. */
import { expect } from "vitest";
import { generateKeyPair } from "../../../src/crypto/node-generate.ts";
import { nobleProvider } from "../../../src/crypto/noble.ts";
import type { KeyKind, SignatureAlgorithm, SigningKey, VerifyingKey } from "../../../src/crypto/provider.ts";
import { concat, equal, utf8 } from "../../../src/protocol/bytes.ts";
import { UsageError } from "../../../src/protocol/errors.ts";
import { provider } from "../../support/credentials.ts";
import type { Target } from "../guided/search.ts";

const noble = nobleProvider();
const MESSAGE = utf8("signed");
const FITTING = {
  secp256r1: "ecdsa-sha256",
  secp384r1: "ecdsa-sha384",
  secp521r1: "ecdsa-sha512",
  ed25519: "ed25519",
  rsa: "rsa-pss-sha256",
  "rsa-pss": "rsa-pss-sha256",
  "ml-dsa-44": "ml-dsa-44",
  "ml-dsa-65": "ml-dsa-65",
  "ml-dsa-87": "ml-dsa-87",
} as const satisfies Record<KeyKind, SignatureAlgorithm>;

const kinds: readonly KeyKind[] = ["secp256r1", "secp384r1", "secp521r1", "ed25519", "rsa", "ml-dsa-44"];
const pairs = kinds.map((kind) => {
  const { spki, pkcs8 } = generateKeyPair(kind);
  const signature = provider.signingKey(pkcs8).sign(FITTING[kind], MESSAGE);
  return { kind, spki, pkcs8, signature };
});

/** What noble takes, OpenSSL takes for the same; a signature under any of them is judged, not feared. */
function publicKey(spki: Uint8Array): void {
  const [ours, theirs] = [noble.verifyingKey(spki), provider.verifyingKey(spki)];
  if (ours !== undefined) expect(theirs?.kind).toBe(ours.kind);
  const genuine = pairs.find((pair) => pair.kind === theirs?.kind);
  for (const key of [ours, theirs]) {
    if (key !== undefined && genuine !== undefined) key.verify(FITTING[key.kind], MESSAGE, genuine.signature);
  }
}

/** A private key that was taken signs so that its own public half agrees. */
function privateKey(pkcs8: Uint8Array): void {
  for (const by of [provider, noble]) {
    let key: SigningKey;
    try {
      key = by.signingKey(pkcs8.slice());
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      expect(error.code).toBe("ERR_FILE_INVALID");
      continue;
    }
    // RSA keys whose parts do not fit each other are found out only by signing.
    if (key.kind.startsWith("rsa")) continue;
    const signature = key.sign(FITTING[key.kind], MESSAGE);
    expect(by.verifyingKey(key.spki)?.verify(FITTING[key.kind], MESSAGE, signature), key.kind).toBe(true);
  }
}

/** Both libraries say the same of a signature, and neither takes one for another message. */
function signature(which: number, bytes: Uint8Array): void {
  const { kind, spki } = pairs[which % pairs.length]!;
  const verdicts = [noble, provider].map((by) => {
    const key: VerifyingKey | undefined = by.verifyingKey(spki);
    expect(key?.verify(FITTING[kind], utf8("another"), bytes) ?? false).toBe(false);
    return key?.verify(FITTING[kind], MESSAGE, bytes);
  });
  if (verdicts[0] !== undefined) expect(verdicts[0], kind).toBe(verdicts[1]);
}

const KINDS = 3;

export const keys: Target = {
  name: "keys",
  seeds: () =>
    pairs.flatMap(({ spki, pkcs8, signature: bytes }, at) => [
      concat([Uint8Array.of(0), spki]),
      concat([Uint8Array.of(1), pkcs8]),
      concat([Uint8Array.of(2 + KINDS * at), bytes]),
    ]),
  run(input) {
    const [which = 0] = input;
    const bytes = input.subarray(1);
    if (which % KINDS === 0) publicKey(bytes);
    else if (which % KINDS === 1) privateKey(bytes);
    else signature(Math.floor(which / KINDS), bytes);
    expect(equal(bytes, input.subarray(1)), "the input was changed").toBe(true);
  },
  maxBytes: 5000,
};
