import { describe, expect, test } from "vitest";
import { checkOfferable, pskOf, type PskOption } from "../../src/channel/psk.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";

const key = new Uint8Array(32).fill(1);
const psk = (more: object = {}): PskOption => ({ identity: "one", key, ...more });

describe("a static PSK as an option", () => {
  test("text becomes bytes, the hash is SHA-256 unless said otherwise, the key stays the caller's", () => {
    expect(pskOf(psk())).toEqual({ identity: utf8("one"), key, hash: "sha256" });
    expect(pskOf(psk({ hash: "sha384", importContext: utf8("c") }))).toMatchObject({
      hash: "sha384",
      importContext: utf8("c"),
    });
    expect(pskOf(psk()).key).toBe(key);
  });

  test("RFC 9257 §6: 16 bytes are the least, and no message tells a key", () => {
    expect(pskOf(psk({ key: new Uint8Array(16) })).key).toHaveLength(16);
    try {
      pskOf(psk({ key: utf8("hunter2 hunter2") }));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      expect(error).toMatchObject({ option: "psk.key" });
      expect((error as Error).message).not.toContain("hunter2");
    }
  });
});

describe("what fits one ClientHello", () => {
  const many = (count: number, more: object = {}) =>
    Array.from({ length: count }, (_, at) =>
      pskOf(psk({ identity: "x".repeat(1000) + String(at), ...more })),
    );

  test("is bounded, an imported key counting twice because it is offered for two hashes", () => {
    expect(() => checkOfferable(many(40))).not.toThrow();
    expect(() => checkOfferable(many(20, { importContext: utf8("c") }))).not.toThrow();
    for (const psks of [many(50), many(25, { importContext: utf8("c") })]) {
      expect(() => checkOfferable(psks)).toThrow(expect.objectContaining({ option: "psks" }));
    }
  });
});
