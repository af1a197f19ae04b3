import { describe, expect, test } from "vitest";
import type { CryptoProvider, PrimitiveName, VerifyingKey } from "../../src/crypto/provider.ts";
import { selfTest } from "../../src/crypto/selftest.ts";
import { nobleProvider } from "../../src/crypto/noble.ts";
import { providers } from "./vectors.ts";

const namesOf = (provider: CryptoProvider) => Object.keys(provider.backends) as PrimitiveName[];

describe.each(providers)("%s", (_, provider) => {
  test("passes in every primitive it has", () => {
    expect(() => selfTest(provider, namesOf(provider))).not.toThrow();
  });

  test("a primitive that gives wrong answers is named with its backend", () => {
    for (const name of namesOf(provider)) {
      expect(() => selfTest(broken(provider), [name]), name).toThrow(
        expect.objectContaining({
          name: "ProtocolError",
          code: "ERR_TLS_INTERNAL",
          alert: "internal_error",
          message: expect.stringMatching(
            `^the self-test of ${name} by ${provider.backends[name]} gave a wrong`,
          ),
        }),
      );
    }
  });

  test("a test that cannot run is a failure too", () => {
    const throwing: CryptoProvider = {
      ...provider,
      hash() {
        throw new Error("no such hash");
      },
    };
    expect(() => selfTest(throwing, ["sha256"])).toThrow(/sha256 by .* could not run/);
  });
});

test("runs once per provider and primitive", () => {
  let hashes = 0;
  const inner = nobleProvider();
  const counted: CryptoProvider = {
    ...inner,
    hash(name) {
      hashes++;
      return inner.hash(name);
    },
  };
  selfTest(counted, ["sha256"]);
  const once = hashes;
  expect(once).toBeGreaterThan(0);
  selfTest(counted, ["sha256", "sha256"]);
  expect(hashes).toBe(once);
});

test("a primitive that is absent is named", () => {
  expect(() => selfTest(nobleProvider(), ["rsa"])).toThrow("rsa is not available from the noble provider");
});

/** The same provider with one bit wrong in everything. */
function broken(provider: CryptoProvider): CryptoProvider {
  return {
    ...provider,
    random: (length) => new Uint8Array(length).fill(9),
    hash(name) {
      const hash = provider.hash(name);
      return { ...hash, hmac: (key, data) => wrong(hash.hmac(key, data)) };
    },
    aead(name) {
      const aead = provider.aead(name);
      return {
        ...aead,
        key(bytes) {
          const key = aead.key(bytes);
          return { ...key, open: (nonce, aad, sealed) => key.open(nonce, aad, sealed) ?? sealed };
        },
      };
    },
    ecdh(name) {
      const ecdh = provider.ecdh(name);
      return {
        ...ecdh,
        fromPrivateKey(privateKey) {
          const pair = ecdh.fromPrivateKey?.(privateKey) ?? ecdh.generate();
          return { ...pair, agree: (peer) => wrong(pair.agree(peer)) };
        },
      };
    },
    kem(name) {
      const kem = provider.kem(name);
      return {
        ...kem,
        encapsulate(key) {
          const sent = kem.encapsulate(key);
          return sent && { ...sent, sharedSecret: wrong(sent.sharedSecret) };
        },
      };
    },
    verifyingKey(spki) {
      const key = provider.verifyingKey(spki);
      return key && ({ kind: key.kind, verify: () => true } satisfies VerifyingKey);
    },
  };
}

function wrong(bytes: Uint8Array | undefined): Uint8Array {
  const out = Uint8Array.from(bytes ?? [0]);
  out[0] = (out[0] ?? 0) ^ 1;
  return out;
}
