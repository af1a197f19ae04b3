import { createCipheriv, createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { concat, toHex } from "../../src/protocol/bytes.ts";

describe("repeatable random bytes", () => {
  test("are the same for the same seed and the same draws, and others for another seed", () => {
    const [one, same, other] = [repeatableRandom("a"), repeatableRandom("a"), repeatableRandom("b")];
    const draws = (from: (length: number) => Uint8Array) =>
      toHex(concat([from(10), from(100), from(0), from(7)]));
    const first = draws(one);
    expect(first).toHaveLength(2 * 117);
    expect(draws(same)).toBe(first);
    expect(draws(other)).not.toBe(first);
    expect(draws(one)).not.toBe(first);
  });

  test("are the ChaCha20 key stream of RFC 8439 as OpenSSL makes it", () => {
    const key = createHash("sha256").update("qkd-tls repeatable random: seed").digest();
    const nonce = Buffer.alloc(12);
    const stream = (): string => {
      const iv = Buffer.concat([Buffer.alloc(4), nonce]);
      return createCipheriv("chacha20", key, iv).update(Buffer.alloc(200)).toString("hex");
    };
    const random = repeatableRandom("seed");
    expect(toHex(random(200))).toBe(stream());
    nonce.writeDoubleBE(1);
    expect(toHex(random(200))).toBe(stream());
  });
});
