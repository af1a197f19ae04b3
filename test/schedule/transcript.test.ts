import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { Transcript } from "../../src/schedule/transcript.ts";
import { providers } from "../crypto/vectors.ts";
import { field, filled, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import { digest } from "./reference.ts";

describe.each(providers)("%s", (_, provider) => {
  describe.each(["sha256", "sha384"] as const)("%s", (name) => {
    const hash = provider.hash(name);

    test("§4.1: the hash is that of the messages in order, whenever the hash was chosen", () => {
      fc.assert(
        fc.property(
          fc.array(someBytes(0, 90), { minLength: 1, maxLength: 6 }),
          fc.nat(5),
          (messages, chosenAt) => {
            const transcript = new Transcript();
            const at = chosenAt % messages.length;
            for (const [i, message] of messages.entries()) {
              if (i === at) transcript.select(hash);
              transcript.add(message);
              if (i < at) continue;
              const expected = digest(name, concat(messages.slice(0, i + 1)));
              expect(toHex(transcript.hash())).toBe(toHex(expected));
              expect(toHex(transcript.hash())).toBe(toHex(expected));
            }
          },
        ),
        fuzz(30),
      );
    });

    test("§4.1: after HelloRetryRequest, ClientHello1 is a message_hash of itself", () => {
      const [first, retry, second] = [filled(80, 1), filled(40, 2), filled(90, 3)];
      const transcript = new Transcript();
      transcript.add(first);
      transcript.foldRetry(hash);
      transcript.add(retry);
      transcript.add(second);
      transcript.select(hash);
      const folded = concat([number(1, 254), field(3, digest(name, first))]);
      expect(toHex(transcript.hash())).toBe(toHex(digest(name, concat([folded, retry, second]))));
    });

    test("§4.3.11.2: a binder covers what came before and the truncated hello, and changes nothing", () => {
      const transcript = new Transcript();
      expect(toHex(transcript.hashTruncated(hash, filled(30)))).toBe(toHex(digest(name, filled(30))));
      transcript.add(filled(80, 1));
      transcript.foldRetry(hash);
      transcript.add(filled(40, 2));
      const folded = concat([number(1, 254), field(3, digest(name, filled(80, 1)))]);
      const before = concat([folded, filled(40, 2)]);
      expect(toHex(transcript.hashTruncated(hash, filled(30)))).toBe(
        toHex(digest(name, concat([before, filled(30)]))),
      );
      transcript.select(hash);
      expect(toHex(transcript.hash())).toBe(toHex(digest(name, before)));
    });

    test("§4.3.11.2: the binder's hash is that of its PSK, whatever the retry's suite has", () => {
      const other = name === "sha256" ? "sha384" : "sha256";
      const transcript = new Transcript();
      transcript.add(filled(80, 1));
      transcript.foldRetry(hash);
      const folded = concat([number(1, 254), field(3, digest(name, filled(80, 1)))]);
      expect(toHex(transcript.hashTruncated(provider.hash(other), filled(30)))).toBe(
        toHex(digest(other, concat([folded, filled(30)]))),
      );
    });

    test("without a chosen hash there is none to ask for", () => {
      expect(() => new Transcript().hash()).toThrow("no hash yet");
    });
  });
});
