import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EMPTY, toHex } from "../../src/protocol/bytes.ts";
import { deriveSecret, emptyHash, expandLabel, extract } from "../../src/schedule/label.ts";
import { providers } from "../crypto/vectors.ts";
import { filled, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import * as reference from "./reference.ts";

const HASHES = ["sha256", "sha384"] as const;

describe.each(providers)("%s", (_, provider) => {
  describe.each(HASHES)("%s", (name) => {
    const hash = provider.hash(name);

    test("RFC 5869 §2.2: HKDF-Extract", () => {
      fc.assert(
        fc.property(someBytes(0, 64), someBytes(0, 80), (salt, ikm) => {
          expect(toHex(extract(hash, salt, ikm))).toBe(toHex(reference.hkdfExtract(name, salt, ikm)));
        }),
        fuzz(20),
      );
    });

    test("§7.1: HKDF-Expand-Label for any label, context and length", () => {
      const label = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 249 });
      const length = fc.oneof(fc.constantFrom(1, 12, 16, 32, 48), fc.nat(400));
      fc.assert(
        fc.property(someBytes(32, 48), label, someBytes(0, 255), length, (secret, label, context, length) => {
          const expected = reference.hkdfExpandLabel(name, secret, label, context, length);
          expect(toHex(expandLabel(hash, secret, label, context, length))).toBe(toHex(expected));
          // The second time, the bytes of the label may come from memory.
          expect(toHex(expandLabel(hash, secret, label, context, length))).toBe(toHex(expected));
        }),
        fuzz(60),
      );
    });

    test("no more than 255 blocks, a label of 249 bytes and a context of 255", () => {
      const most = 255 * hash.outputBytes;
      expect(expandLabel(hash, filled(32), "exporter", EMPTY, most)).toHaveLength(most);
      expect(() => expandLabel(hash, filled(32), "exporter", EMPTY, most + 1)).toThrow(RangeError);
      expect(() => expandLabel(hash, filled(32), "x".repeat(249), EMPTY, 16)).not.toThrow();
      expect(() => expandLabel(hash, filled(32), "x".repeat(250), EMPTY, 16)).toThrow(RangeError);
      expect(() => expandLabel(hash, filled(32), "exporter", filled(255), 16)).not.toThrow();
      expect(() => expandLabel(hash, filled(32), "exporter", filled(256), 16)).toThrow(RangeError);
    });

    test("§7.1: Derive-Secret is as long as the hash; without messages it takes the hash of nothing", () => {
      const expected = reference.deriveSecret(name, filled(48), "derived", EMPTY);
      expect(toHex(deriveSecret(hash, filled(48), "derived", emptyHash(hash)))).toBe(toHex(expected));
      expect(expected).toHaveLength(hash.outputBytes);
      expect(toHex(emptyHash(hash))).toBe(toHex(reference.digest(name, EMPTY)));
    });

    test("results are the caller's own: wiping one changes no later one", () => {
      const first = expandLabel(hash, filled(32), "key", EMPTY, 16);
      const copy = toHex(first);
      first.fill(0);
      expect(toHex(expandLabel(hash, filled(32), "key", EMPTY, 16))).toBe(copy);
    });
  });
});
