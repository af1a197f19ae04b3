/** Both providers against published vectors, through the seam. */
import { describe, expect, test } from "vitest";
import type { AeadName, HashAlgorithm, HashName, KemName } from "../../src/crypto/provider.ts";
import { concat, EMPTY, equal, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { acvp, haveVectors, hex, providers, wrong, wycheproof } from "./vectors.ts";
import { sealed } from "../support/sealed.ts";

describe.each(providers)("%s", (_, provider) => {
  describe.skipIf(!haveVectors)("published vectors", () => {
    test.each([
      ["aes_gcm_test", 128, "aes-128-gcm", 60],
      ["aes_gcm_test", 256, "aes-256-gcm", 60],
      ["chacha20_poly1305_test", 256, "chacha20-poly1305", 300],
    ] as const)("Wycheproof %s, %i-bit keys", (file, keySize, name, atLeast) => {
      const groups = wycheproof(file).filter((g) => g["keySize"] === keySize && g["ivSize"] === 96);
      const failed = wrong(groups, atLeast, (c) => {
        const key = provider.aead(name).key(hex(c["key"]));
        const [nonce, aad, plain] = [hex(c["iv"]), hex(c["aad"]), hex(c["msg"])];
        const known = concat([hex(c["ct"]), hex(c["tag"])]);
        const opened = key.open(nonce, aad, known);
        const resealed = sealed(key, nonce, aad, plain);
        return c.result === "valid"
          ? opened !== undefined && equal(opened, plain) && equal(resealed, known)
          : opened === undefined && !equal(resealed, known);
      });
      expect(failed).toEqual([]);
    });

    test.each([
      ["hkdf_sha256_test", "sha256"],
      ["hkdf_sha384_test", "sha384"],
    ] as const)("Wycheproof %s, by hmac alone", (file, name) => {
      const hash = provider.hash(name);
      const groups = wycheproof(file).map((g) => ({
        ...g,
        tests: g.tests.filter((c) => c.result === "valid"),
      }));
      const failed = wrong(groups, 75, (c) => {
        const secret = hash.hmac(
          c["salt"] === "" ? new Uint8Array(hash.outputBytes) : hex(c["salt"]),
          hex(c["ikm"]),
        );
        return equal(expand(hash, secret, hex(c["info"]), Number(c["size"])), hex(c["okm"]));
      });
      expect(failed).toEqual([]);
    });

    test("Wycheproof x25519_test: an all-zero result is refused, every other agrees", () => {
      const failed = wrong(wycheproof("x25519_test"), 500, (c) => {
        const shared = provider.ecdh("x25519").fromPrivateKey?.(hex(c["private"])).agree(hex(c["public"]));
        if (c.flags.includes("ZeroSharedSecret") || c.result === "invalid") return shared === undefined;
        return shared !== undefined && equal(shared, hex(c["shared"]));
      });
      expect(failed).toEqual([]);
    });

    test.each([
      ["secp256r1", 350],
      ["secp384r1", 750],
    ] as const)("Wycheproof ecdh_%s_ecpoint_test: uncompressed points on the curve only", (name, atLeast) => {
      const failed = wrong(wycheproof(`ecdh_${name}_ecpoint_test`), atLeast, (c) => {
        // One doubling in eight is enough in JavaScript, and all of them in OpenSSL.
        if (provider.name === "noble" && c.flags.includes("EdgeCaseDoubling") && c.tcId % 8 !== 0)
          return true;
        const shared = provider
          .ecdh(name)
          .fromPrivateKey?.(scalar(c["private"], name))
          .agree(hex(c["public"]));
        if (c.result !== "valid") return shared === undefined;
        return shared !== undefined && equal(shared, hex(c["shared"]));
      });
      expect(failed).toEqual([]);
    });

    test.each(["ml-kem-768", "ml-kem-1024"] as const)("Wycheproof %s: keys, ciphertexts, lengths", (name) => {
      const kem = provider.kem(name);
      const groups = wycheproof(`${name.replaceAll("-", "").replace("mlkem", "mlkem_")}_test`);
      const failed = wrong(groups, 190, (c) => {
        if (hex(c["seed"]).length !== 64) {
          expect(() => kem.fromSeed?.(hex(c["seed"]))).toThrow();
          return c.result === "invalid";
        }
        const pair = kem.fromSeed?.(hex(c["seed"]));
        const shared = pair?.decapsulate(hex(c["c"]));
        if (c.result === "invalid") return shared === undefined;
        const encapsulationKey = pair?.encapsulationKey ?? EMPTY;
        return equal(encapsulationKey, hex(c["ek"])) && shared !== undefined && equal(shared, hex(c["K"]));
      });
      expect(failed).toEqual([]);
    });

    test("Wycheproof mlkem_768_encaps_test: FIPS 203 §7.2 refuses keys that are too long or not reduced", () => {
      const kem = provider.kem("ml-kem-768");
      const failed = wrong(wycheproof("mlkem_768_encaps_test"), 260, (c) => {
        const answer = kem.encapsulate(hex(c["ek"]));
        return c.result === "valid" ? answer?.ciphertext.length === 1088 : answer === undefined;
      });
      expect(failed).toEqual([]);
    });

    test("ACVP encapsulation-key check", () => {
      const verdicts: boolean[] = [];
      const failed = wrong(acvp("ML-KEM-encap-key-check"), 4, (c, group) => {
        const encapsulationKey = hex(c["ek"]);
        const accepted = provider.kem(kemName(group)).encapsulate(encapsulationKey) !== undefined;
        verdicts.push(accepted);
        return accepted === isReduced(encapsulationKey);
      });
      expect(failed).toEqual([]);
      expect(new Set(verdicts).size).toBe(2);
    });

    test("ACVP ML-KEM key generation", () => {
      const groups = acvp("ML-KEM-keyGen-FIPS203").filter((g) => g["parameterSet"] !== "ML-KEM-512");
      const failed = wrong(groups, 50, (c, group) => {
        const pair = provider.kem(kemName(group)).fromSeed?.(concat([hex(c["d"]), hex(c["z"])]));
        return pair !== undefined && equal(pair.encapsulationKey, hex(c["ek"]));
      });
      expect(failed).toEqual([]);
    });
  });

  describe("aead", () => {
    const names: readonly AeadName[] = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"];
    const nonce = new Uint8Array(12).fill(7);
    const aad = utf8("header");

    test.each(names)("%s: seals in place, in the midst of other bytes, and opens again", (name) => {
      const key = provider.aead(name).key(provider.random(provider.aead(name).keyBytes));
      for (const bytes of [0, 1, 15, 16, 17, 1023, 1024, 16_385]) {
        const plain = new Uint8Array(bytes).fill(0xa5);
        const around = new Uint8Array(bytes + 16 + 14).fill(0x5a);
        around.set(plain, 7);
        key.seal(nonce, aad, around.subarray(7, -7));
        expect(equal(around.subarray(7, -7), sealed(key, nonce, aad, plain))).toBe(true);
        expect(around.subarray(0, 7)).toEqual(new Uint8Array(7).fill(0x5a));
        expect(around.subarray(-7)).toEqual(new Uint8Array(7).fill(0x5a));
        expect(equal(key.open(nonce, aad, around.subarray(7, -7)) ?? utf8("refused"), plain)).toBe(true);
      }
    });

    test.each(names)("%s: any changed bit of nonce, aad, ciphertext or tag is refused", (name) => {
      const key = provider.aead(name).key(provider.random(provider.aead(name).keyBytes));
      const record = sealed(key, nonce, aad, utf8("content"));
      for (let at = 0; at < record.length; at++) {
        expect(key.open(nonce, aad, flip(record, at)), `byte ${at}`).toBeUndefined();
      }
      expect(key.open(flip(nonce, 0), aad, record)).toBeUndefined();
      expect(key.open(nonce, flip(aad, 5), record)).toBeUndefined();
      expect(key.open(nonce, aad, record.subarray(1))).toBeUndefined();
      for (let length = 0; length < 16; length++) {
        expect(key.open(nonce, aad, record.subarray(0, length))).toBeUndefined();
      }
      expect(key.open(nonce, aad, record)).toBeDefined();
    });

    test.each(names)("%s: the caller may wipe the key it gave; a wrong length is refused", (name) => {
      const { keyBytes } = provider.aead(name);
      const given = provider.random(keyBytes);
      const kept = given.slice();
      const key = provider.aead(name).key(given);
      given.fill(0);
      const record = sealed(key, nonce, aad, utf8("content"));
      expect(provider.aead(name).key(kept).open(nonce, aad, record)).toBeDefined();
      expect(() => provider.aead(name).key(new Uint8Array(keyBytes - 1))).toThrow(RangeError);
    });
  });

  describe("hash", () => {
    test.each(["sha256", "sha384"] as const)("%s: peeking does not disturb what follows", (name) => {
      const hash = provider.hash(name);
      const running = hash.start();
      expect(equal(running.peek(), hash.digest(EMPTY))).toBe(true);
      for (const part of ["a", "", "bc", "d".repeat(500)]) running.update(utf8(part));
      const expected = hash.digest(utf8(`abc${"d".repeat(500)}`));
      expect(toHex(running.peek())).toBe(toHex(expected));
      expect(toHex(running.peek())).toBe(toHex(expected));
      running.update(utf8("e"));
      expect(toHex(running.peek())).toBe(toHex(hash.digest(utf8(`abc${"d".repeat(500)}e`))));
      expect(expected.length).toBe(hash.outputBytes);
    });

    test.each(["sha256", "sha384"] as const)("%s: results are plain arrays whose slice copies", (name) => {
      const hash = provider.hash(name);
      const running = hash.start();
      for (const result of [hash.digest(EMPTY), hash.hmac(utf8("key"), EMPTY), running.peek()]) {
        const copy = result.slice(0, 4);
        result.fill(0);
        expect(toHex(copy)).not.toBe("00000000");
      }
    });
  });

  test("results of ECDH, ML-KEM and random are plain arrays", () => {
    const pair = provider.kem("ml-kem-768").generate();
    const sent = provider.kem("ml-kem-768").encapsulate(pair.encapsulationKey);
    const all: (Uint8Array | undefined)[] = [
      provider.random(8),
      pair.encapsulationKey,
      sent?.ciphertext,
      sent?.sharedSecret,
    ];
    all.push(pair.decapsulate(sent?.ciphertext ?? EMPTY));
    for (const name of ["x25519", "secp256r1", "secp384r1", "secp521r1"] as const) {
      const [one, two] = [provider.ecdh(name).generate(), provider.ecdh(name).generate()];
      all.push(one.publicKey, one.agree(two.publicKey));
    }
    for (const result of all) expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
  });

  test("every new pair is another one", () => {
    const shares = new Set<string>();
    for (const name of ["x25519", "secp256r1", "secp384r1", "secp521r1"] as const) {
      for (let i = 0; i < 8; i++) shares.add(toHex(provider.ecdh(name).generate().publicKey));
    }
    for (const name of ["ml-kem-768", "ml-kem-1024"] as const) {
      for (let i = 0; i < 4; i++) shares.add(toHex(provider.kem(name).generate().encapsulationKey));
    }
    expect(shares.size).toBe(40);
  });
});

function expand(hash: HashAlgorithm, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  let block: Uint8Array = EMPTY;
  const blocks: Uint8Array[] = [];
  for (let n = 1; blocks.length * hash.outputBytes < length; n++) {
    block = hash.hmac(secret, concat([block, info, Uint8Array.of(n)]));
    blocks.push(block);
  }
  return concat(blocks).subarray(0, length);
}

/** The vectors write scalars as integers, with a sign byte or without leading zeros. */
function scalar(value: unknown, name: "secp256r1" | "secp384r1"): Uint8Array {
  const digits = name === "secp256r1" ? 64 : 96;
  return hex(String(value).padStart(digits, "0").slice(-digits));
}

const kemName = (group: { readonly [field: string]: unknown }): KemName =>
  String(group["parameterSet"]).toLowerCase() as KemName;

/** FIPS 203 §7.2 read from the standard: every 12-bit coefficient is below 3329. */
function isReduced(encapsulationKey: Uint8Array): boolean {
  const encoded = encapsulationKey.subarray(0, -32);
  for (let at = 0; at < encoded.length; at += 3) {
    const [a = 0, b = 0, c = 0] = encoded.subarray(at, at + 3);
    if ((a | ((b & 15) << 8)) >= 3329 || ((b >> 4) | (c << 4)) >= 3329) return false;
  }
  return true;
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ 0x10;
  return out;
}

const names: readonly HashName[] = ["sha256", "sha384"];
test("both hashes carry their own name", () => {
  for (const [, provider] of providers) expect(names.map((name) => provider.hash(name).name)).toEqual(names);
});
