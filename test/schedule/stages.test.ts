import { describe, expect, test } from "vitest";
import { EMPTY, fromHex, toHex } from "../../src/protocol/bytes.ts";
import { EarlySecret, finishedData, HandshakeSecret } from "../../src/schedule/stages.ts";
import { providers } from "../crypto/vectors.ts";
import { filled } from "../support/codec-rules.ts";
import * as reference from "./reference.ts";

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const messages = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each(providers)("%s", (_, provider) => {
  test("RFC 8448 §3: the secrets of the simple handshake", () => {
    const hash = provider.hash("sha256");
    const shared = hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
    const afterHello = hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8");
    const afterServer = hex("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13");
    const afterClient = hex("209145a96ee8e2a122ff810047cc952684658d6049e86429426db87c54ad143d");
    const secret = new EarlySecret(hash).intoHandshake(shared);
    const handshake = [secret.clientTraffic(afterHello), secret.serverTraffic(afterHello)];
    expect(handshake.map(toHex)).toEqual([
      "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
      "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
    ]);
    const main = secret.intoMain();
    expect(
      [
        main.clientTraffic(afterServer),
        main.serverTraffic(afterServer),
        main.exporter(afterServer),
        main.resumption(afterClient),
      ].map(toHex),
    ).toEqual([
      "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
      "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
      "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50",
      "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c",
    ]);
  });

  describe.each(["sha256", "sha384"] as const)("%s", (name) => {
    const hash = provider.hash(name);
    const zeros = new Uint8Array(hash.outputBytes);
    const at = (text: string): Uint8Array => hash.digest(messages(text));

    test.each([
      ["neither PSK nor exchange: zeros for both", undefined, undefined],
      ["a PSK alone (psk_ke)", filled(32, 1), undefined],
      ["an exchange alone", undefined, filled(64, 2)],
      ["a PSK and an exchange", filled(48, 1), filled(64, 2)],
    ])("§7.1: %s", (_, psk, shared) => {
      const early = reference.hkdfExtract(name, zeros, psk ?? zeros);
      const salt = reference.deriveSecret(name, early, "derived", EMPTY);
      const handshake = reference.hkdfExtract(name, salt, shared ?? zeros);
      const mainSalt = reference.deriveSecret(name, handshake, "derived", EMPTY);
      const main = reference.hkdfExtract(name, mainSalt, zeros);

      const secret = new EarlySecret(hash, psk).intoHandshake(shared?.slice());
      const expected = (from: Uint8Array, label: string, text: string): string =>
        toHex(reference.deriveSecret(name, from, label, messages(text)));
      expect(toHex(secret.clientTraffic(at("ch sh")))).toBe(expected(handshake, "c hs traffic", "ch sh"));
      expect(toHex(secret.serverTraffic(at("ch sh")))).toBe(expected(handshake, "s hs traffic", "ch sh"));
      const last = secret.intoMain();
      expect(toHex(last.clientTraffic(at("sf")))).toBe(expected(main, "c ap traffic", "sf"));
      expect(toHex(last.serverTraffic(at("sf")))).toBe(expected(main, "s ap traffic", "sf"));
      expect(toHex(last.exporter(at("sf")))).toBe(expected(main, "exp master", "sf"));
      expect(toHex(last.resumption(at("cf")))).toBe(expected(main, "res master", "cf"));
    });

    test.each(["ext binder", "res binder", "imp binder"] as const)("§4.3.11.2: %s", (kind) => {
      const psk = filled(32, 7);
      const early = reference.hkdfExtract(name, zeros, psk);
      const binderKey = reference.deriveSecret(name, early, kind, EMPTY);
      const finishedKey = reference.hkdfExpandLabel(name, binderKey, "finished", EMPTY, hash.outputBytes);
      const expected = reference.hmac(name, finishedKey, at("truncated"));
      expect(toHex(new EarlySecret(hash, psk).binder(kind, at("truncated")))).toBe(toHex(expected));
    });

    test("§4.5.3: verify_data", () => {
      const finishedKey = reference.hkdfExpandLabel(name, filled(48), "finished", EMPTY, hash.outputBytes);
      expect(toHex(finishedData(hash, filled(48), at("cv")))).toBe(
        toHex(reference.hmac(name, finishedKey, at("cv"))),
      );
    });

    test("each secret differs from every other", () => {
      const early = new EarlySecret(hash, filled(32));
      const binders = (["ext binder", "res binder", "imp binder"] as const).map((k) =>
        early.binder(k, at("x")),
      );
      const secret = early.intoHandshake(filled(32));
      const traffic = [secret.clientTraffic(at("x")), secret.serverTraffic(at("x"))];
      const main = secret.intoMain();
      const all = [
        ...binders,
        ...traffic,
        main.clientTraffic(at("x")),
        main.serverTraffic(at("x")),
        main.exporter(at("x")),
        main.resumption(at("x")),
      ].map(toHex);
      expect(new Set(all).size).toBe(all.length);
    });

    test("a stage takes its inputs with it: the exchange's secret is wiped, the PSK is left to its owner", () => {
      const [psk, shared] = [filled(32, 1), filled(32, 2)];
      new EarlySecret(hash, psk).intoHandshake(shared);
      expect(psk).toEqual(filled(32, 1));
      expect(shared).toEqual(new Uint8Array(32));
      const own = filled(hash.outputBytes);
      new HandshakeSecret(hash, own).intoMain();
      expect(own).toEqual(zeros);
    });

    test("what was wiped gives no secret that means anything", () => {
      const early = new EarlySecret(hash, filled(32));
      const before = early.binder("ext binder", at("x"));
      early.wipe();
      expect(toHex(early.binder("ext binder", at("x")))).not.toBe(toHex(before));
      const main = new EarlySecret(hash).intoHandshake().intoMain();
      const exporter = main.exporter(at("x"));
      main.wipe();
      expect(toHex(main.exporter(at("x")))).not.toBe(toHex(exporter));
    });
  });
});
