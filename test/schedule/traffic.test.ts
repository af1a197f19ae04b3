import { describe, expect, test } from "vitest";
import { EMPTY, fromHex, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { suites } from "../../src/crypto/suites.ts";
import {
  exportKeyingMaterial,
  nextTrafficSecret,
  ticketPsk,
  trafficKeys,
} from "../../src/schedule/traffic.ts";
import { providers } from "../crypto/vectors.ts";
import { filled } from "../support/codec-rules.ts";
import { sealed } from "../support/sealed.ts";
import * as reference from "./reference.ts";

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;

describe.each(providers)("%s", (_, provider) => {
  test("RFC 8448 §3: key and IV of the server's handshake traffic", () => {
    const suite = suites.TLS_AES_128_GCM_SHA256;
    const secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
    const { key, iv } = trafficKeys(provider, suite, secret);
    expect(toHex(iv)).toBe("5d313eb2671276ee13000b30");
    const known = provider.aead(suite.aead).key(hex("3fce516009c21727d0f2e4e86ee403bc"));
    const [nonce, aad] = [filled(12), filled(5)];
    expect(toHex(sealed(key, nonce, aad, filled(9)))).toBe(toHex(sealed(known, nonce, aad, filled(9))));
  });

  test.each(Object.values(suites))("§7.3: key and IV for $name", (suite) => {
    const secret = filled(suite.hashBytes);
    const { key, iv } = trafficKeys(provider, suite, secret);
    expect(toHex(iv)).toBe(toHex(reference.hkdfExpandLabel(suite.hash, secret, "iv", EMPTY, 12)));
    const raw = reference.hkdfExpandLabel(suite.hash, secret, "key", EMPTY, suite.keyBytes);
    const expected = sealed(provider.aead(suite.aead).key(raw), iv, EMPTY, filled(40));
    expect(toHex(sealed(key, iv, EMPTY, filled(40)))).toBe(toHex(expected));
    expect(secret).toEqual(filled(suite.hashBytes));
  });

  describe.each(["sha256", "sha384"] as const)("%s", (name) => {
    const hash = provider.hash(name);
    const secret = filled(hash.outputBytes, 3);

    test("§7.2: the next traffic secret, again and again", () => {
      let [ours, theirs]: Uint8Array[] = [secret, secret];
      const seen = new Set<string>();
      for (let n = 0; n < 4; n++) {
        ours = nextTrafficSecret(hash, ours!);
        theirs = reference.hkdfExpandLabel(name, theirs!, "traffic upd", EMPTY, hash.outputBytes);
        expect(toHex(ours)).toBe(toHex(theirs));
        seen.add(toHex(ours));
      }
      expect(seen.size).toBe(4);
    });

    test("§4.7.1: the PSK of a ticket hangs on its nonce", () => {
      const nonces = [EMPTY, Uint8Array.of(0), Uint8Array.of(1), filled(255)];
      const psks = nonces.map((nonce) => toHex(ticketPsk(hash, secret, nonce)));
      expect(psks).toEqual(
        nonces.map((nonce) =>
          toHex(reference.hkdfExpandLabel(name, secret, "resumption", nonce, hash.outputBytes)),
        ),
      );
      expect(new Set(psks).size).toBe(nonces.length);
    });

    test.each([
      ["EXPERIMENTAL test", "context", 32],
      ["EXPORTER-Channel-Binding", "", 32],
      ["EXPERIMENTAL test", "", 1],
      ["EXPERIMENTAL test", "context", 1000],
    ])("§7.5: exporter %j, context %j, %i bytes", (label, text, length) => {
      const context = utf8(text);
      const derived = reference.deriveSecret(name, secret, label, EMPTY);
      const expected = reference.hkdfExpandLabel(
        name,
        derived,
        "exporter",
        reference.digest(name, context),
        length,
      );
      expect(toHex(exportKeyingMaterial(hash, secret, label, context, length))).toBe(toHex(expected));
    });
  });
});
