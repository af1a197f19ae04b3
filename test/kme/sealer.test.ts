import { describe, expect, test } from "vitest";
import { nodeProvider } from "../../src/crypto/node.ts";
import { fingerprint, Sealer } from "../../src/kme/sealer.ts";
import { isWiped } from "../support/scripted-source.ts";

const crypto = nodeProvider();
const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);
const sealer = (key = KEY) => new Sealer(crypto, key);
const text = () => Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);

describe("a sealed record", () => {
  test("opens under the same key, in a later run too, and the plaintext is wiped", () => {
    const plaintext = text();
    const sealed = sealer().seal(plaintext, "place");
    expect(isWiped(plaintext)).toBe(true);
    expect(Uint8Array.from(sealer().open(sealed, "place")!)).toEqual(text());
  });

  test("opens nowhere else, under no other key, and not when a bit is changed", () => {
    const own = sealer();
    const sealed = own.seal(text(), "place");
    expect(own.open(sealed, "another place")).toBeUndefined();
    expect(sealer(new Uint8Array(32)).open(sealed, "place")).toBeUndefined();
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at]! ^= 1;
      expect(own.open(changed, "place"), `byte ${at}`).toBeUndefined();
    }
    expect(own.open(sealed.subarray(0, 43), "place")).toBeUndefined();
  });

  test("never has the salt and nonce of another", () => {
    const seen = new Set<string>();
    for (let run = 0; run < 3; run++) {
      const own = sealer();
      for (let n = 0; n < 300; n++) {
        seen.add(Buffer.from(own.seal(text(), "place").subarray(0, 28)).toString("hex"));
      }
    }
    expect(seen.size).toBe(900);
  });

  test("has a fingerprint of its last six bytes, exact as a number", () => {
    const sealed = new Uint8Array(50).fill(255);
    expect(fingerprint(sealed)).toBe(2 ** 48 - 1);
    expect(fingerprint(Uint8Array.of(9, 0, 0, 0, 0, 1, 2))).toBe(258);
  });
});

test("the check value depends on the key and the words", () => {
  expect(sealer().check("words")).toBe(sealer().check("words"));
  expect(sealer().check("words")).not.toBe(sealer().check("other words"));
  expect(sealer().check("words")).not.toBe(sealer(new Uint8Array(32)).check("words"));
});
