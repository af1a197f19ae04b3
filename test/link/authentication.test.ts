import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ghash } from "@noble/ciphers/_polyval.js";
import {
  AUTHENTICATION_METHODS,
  gmac,
  hmacAuthentication,
  wegmanCarter,
} from "../../src/link/authentication.ts";
import { Ledger } from "../../src/link/ledger.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";
import { bootstrapKey } from "./parties.ts";

const hash = provider.hash("sha256");
const data = Uint8Array.of(1, 2, 3);
const ledgers = (byteCount?: number) => ({
  alice: new Ledger("alice", bootstrapKey(1, byteCount)),
  bob: new Ledger("bob", bootstrapKey(1, byteCount)),
});

describe("Wegman and Carter", () => {
  test("a tag is the polynomial hash of the data and its length, plus the next 128 bits of the ledger", () => {
    const { alice } = ledgers();
    const { aliceToBob } = bootstrapKey(1);
    const [hashKey, ...pads] = [0, 16, 32].map((at) => aliceToBob.slice(at, at + 16));
    const ours = wegmanCarter(alice);
    for (const pad of pads) {
      const length = new Uint8Array(16);
      length[15] = 3;
      const hashed = ghash(concat([data, new Uint8Array(13), length]), hashKey!);
      expect(ours.tag(data)).toEqual(hashed.map((byte, at) => byte ^ pad[at]!));
    }
  });

  test("each tag burns 128 bits, and 128 more every so many tags for a new hash key", () => {
    const { alice } = ledgers();
    const ours = wegmanCarter(alice, 3);
    const spent = Array.from({ length: 7 }, () => {
      ours.tag(data);
      return alice.account("send").spentBits / 128;
    });
    expect(spent).toEqual([2, 3, 4, 6, 7, 8, 10]);
  });

  test("the same message has another tag each time, and what ends in zeros has another than what is cut", () => {
    const tags = [data, data, concat([data, new Uint8Array(1)])].map((each, at) => {
      const ours = wegmanCarter(ledgers().alice);
      if (at === 1) ours.tag(data);
      return ours.tag(each).join();
    });
    expect(new Set(tags).size).toBe(3);
  });

  test("without key the link stops rather than use a bit again, and goes on when there is new key", () => {
    const { alice, bob } = ledgers(48);
    const [ours, theirs] = [wegmanCarter(alice), wegmanCarter(bob)];
    for (let round = 0; round < 2; round++) expect(theirs.check(data, ours.tag(data))).toBe(true);
    expect(linkCodeOf(() => ours.tag(data))).toBe("ERR_LINK_KEY_EXHAUSTED");
    expect(linkCodeOf(() => theirs.check(data, data))).toBe("ERR_LINK_KEY_EXHAUSTED");
    for (const ledger of [alice, bob]) ledger.deposit(new Uint8Array(64).fill(5));
    expect(theirs.check(data, ours.tag(data))).toBe(true);
  });

  test("the sides agree even where the bootstrap's last bits were a hash key that had no pad", () => {
    const { alice, bob } = ledgers(48);
    const [ours, theirs] = [wegmanCarter(alice, 1), wegmanCarter(bob, 1)];
    expect(theirs.check(data, ours.tag(data))).toBe(true);
    expect(linkCodeOf(() => ours.tag(data))).toBe("ERR_LINK_KEY_EXHAUSTED");
    for (const ledger of [alice, bob])
      ledger.deposit(new Uint8Array(Array.from({ length: 128 }, (_, at) => at)));
    for (let round = 0; round < 2; round++) expect(theirs.check(data, ours.tag(data))).toBe(true);
  });

  test("whatever is put in when, and however often the key runs out, the sides agree", () => {
    const steps = fc.array(
      fc.oneof(fc.nat(40), fc.constant("ours" as const), fc.constant("theirs" as const)),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.nat(70), steps, (uses, byteCount, sequence) => {
        const { alice, bob } = ledgers(byteCount);
        const [ours, theirs] = [wegmanCarter(alice, uses), wegmanCarter(bob, uses)];
        let next = 0;
        for (const step of sequence) {
          if (typeof step === "number") {
            const key = Uint8Array.from({ length: 2 * step }, () => next++ % 251);
            for (const ledger of [alice, bob]) ledger.deposit(key.slice());
            continue;
          }
          const [from, to] = step === "ours" ? [ours, theirs] : [theirs, ours];
          linkCodeOf(() => {
            const tag = from.tag(data);
            expect(to.check(data, tag)).toBe(true);
          });
        }
      }),
      fuzz(300),
    );
  });

  test("a hash key must be used once at least", () => {
    for (const uses of [0, 0.5, Number.NaN])
      expect(() => wegmanCarter(ledgers().alice, uses)).toThrow(RangeError);
  });
});

describe.each([
  ["wegman-carter", wegmanCarter],
  ["hmac", (ledger: Ledger) => hmacAuthentication(hash, ledger)],
  ["gmac", (ledger: Ledger) => gmac(provider.aead("aes-128-gcm"), ledger)],
] as const)("%s", (method, make) => {
  test("checks what the other side made, in order, both ways", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 100 })), { maxLength: 20 }),
        (messages) => {
          const { alice, bob } = ledgers();
          const [ours, theirs] = [make(alice), make(bob)];
          expect(ours.method).toBe(method);
          for (const [isOurs, message] of messages) {
            const [from, to] = isOurs ? [ours, theirs] : [theirs, ours];
            expect(to.check(message, from.tag(message))).toBe(true);
          }
        },
      ),
      fuzz(40),
    );
  });

  test("refuses another message, a tag that is cut, and a tag of another place", () => {
    const { alice } = ledgers();
    const ours = make(alice);
    const [first, second] = [ours.tag(data), ours.tag(data)];
    const bob = () => make(ledgers().bob);
    expect(bob().check(data, first)).toBe(true);
    expect(bob().check(Uint8Array.of(1, 2, 4), first)).toBe(false);
    expect(bob().check(data, first.subarray(1))).toBe(false);
    expect(bob().check(data, new Uint8Array(0))).toBe(false);
    // HMAC has no place in it: the channel's sequence number does that.
    if (method !== "hmac") expect(bob().check(data, second)).toBe(false);
  });

  test("a key from the bootstrap is given up as soon as the link's own can follow it", () => {
    const { alice, bob } = ledgers(64);
    const [ours, theirs] = [make(alice), make(bob)];
    expect(theirs.check(data, ours.tag(data))).toBe(true);
    for (const ledger of [alice, bob]) {
      ledger.deposit(new Uint8Array(512).fill(5));
      ledger.retireBootstrap();
    }
    expect(theirs.check(data, ours.tag(data))).toBe(true);
    const rogue = new Ledger("alice", bootstrapKey(1, 64));
    const old = make(rogue);
    old.tag(data);
    expect(theirs.check(data, old.tag(data))).toBe(false);
  });

  test("wiped, it makes and checks nothing", () => {
    const ours = make(ledgers().alice);
    ours.tag(data);
    ours.wipe();
    expect(linkCodeOf(() => ours.tag(data))).toBe("ERR_LINK_CLOSED");
    expect(linkCodeOf(() => ours.check(data, data))).toBe("ERR_LINK_CLOSED");
  });
});

test("GMAC is made with AES-GCM and nothing else", () => {
  expect(() => gmac(provider.aead("chacha20-poly1305"), ledgers().alice)).toThrow(UsageError);
});

test("the methods keep their numbers on the wire", () => {
  expect(AUTHENTICATION_METHODS).toEqual(["wegman-carter", "hmac", "gmac", "signature"]);
});
