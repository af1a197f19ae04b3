import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ledger } from "../../src/link/ledger.ts";
import { LinkError } from "../../src/protocol/errors.ts";
import { fuzz } from "../support/fuzz.ts";
import { linkCodeOf } from "./link-code.ts";

const run = (start: number, length: number) => Uint8Array.from({ length }, (_, at) => start + at);
const bootstrap = () => ({ aliceToBob: run(0, 32), bobToAlice: run(100, 32) });
const pair = () => ({ alice: new Ledger("alice", bootstrap()), bob: new Ledger("bob", bootstrap()) });

describe("the ledger of authentication key", () => {
  test("what one side sends with, the other receives with, in the same order", () => {
    const { alice, bob } = pair();
    for (const ledger of [alice, bob]) ledger.deposit(run(200, 16));
    for (const length of [5, 16, 19]) {
      expect(alice.take("send", length)).toEqual(bob.take("receive", length));
      expect(bob.take("send", length)).toEqual(alice.take("receive", length));
    }
  });

  test("no bit leaves it twice, whatever is done with it", () => {
    const steps = fc.array(
      fc.record({
        act: fc.constantFrom("take" as const, "deposit" as const, "skip" as const, "retire" as const),
        direction: fc.constantFrom("send" as const, "receive" as const),
        size: fc.nat(12),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, (sequence) => {
        let next = 0;
        // Every byte of key put in is another number, so a byte seen twice is a bit spent twice.
        const fresh = (length: number) => new Uint8Array(Array.from({ length }, () => next++ % 256));
        const ledger = new Ledger("alice", { aliceToBob: fresh(20), bobToAlice: fresh(20) });
        const seen = new Set<number>();
        for (const { act, direction, size } of sequence) {
          linkCodeOf(() => {
            if (act === "deposit" && next < 240) ledger.deposit(fresh(2 * Math.min(size, 6)));
            else if (act === "skip") ledger.skipTo(direction, ledger.position(direction) + 8 * size);
            else if (act === "retire") ledger.retireBootstrap();
            else if (act === "take") {
              for (const byte of ledger.take(direction, size).key) {
                expect(seen.has(byte)).toBe(false);
                seen.add(byte);
              }
            }
          });
          for (const each of ["send", "receive"] as const) {
            const { bootstrapBits, earnedBits, spentBits, droppedBits, reserveBits } = ledger.account(each);
            expect(bootstrapBits + earnedBits).toBe(spentBits + droppedBits + reserveBits);
            expect(reserveBits).toBeGreaterThanOrEqual(0);
          }
        }
      }),
      fuzz(300),
    );
  });

  test("what is taken is overwritten inside, and what is put in with the caller", () => {
    const given = bootstrap();
    const ledger = new Ledger("alice", given);
    ledger.take("send", 20);
    expect(given.aliceToBob.subarray(0, 20)).toEqual(new Uint8Array(20));
    const earned = run(1, 8);
    ledger.deposit(earned);
    expect(earned).toEqual(new Uint8Array(8));
    ledger.wipe();
    expect(given.bobToAlice).toEqual(new Uint8Array(32));
    expect(ledger.account("send")).toEqual({
      bootstrapBits: 256,
      earnedBits: 32,
      spentBits: 160,
      droppedBits: 128,
      reserveBits: 0,
    });
  });

  test("too few bits are a LinkError with the figures, and none of them is gone", () => {
    const { alice } = pair();
    alice.take("send", 20);
    try {
      alice.take("send", 16);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(LinkError);
      expect(error).toMatchObject({
        code: "ERR_LINK_KEY_EXHAUSTED",
        figures: { neededBits: 128, reserveBits: 96 },
      });
    }
    expect(alice.take("send", 12).key).toEqual(run(20, 12));
  });

  test("bootstrap key goes first; the origin is the link's only where every bit is", () => {
    const { alice } = pair();
    expect(alice.nextOrigin("send")).toBe("bootstrap");
    alice.deposit(run(200, 64));
    alice.take("send", 24);
    expect(alice.take("send", 16).origin).toBe("bootstrap");
    expect(alice.nextOrigin("send")).toBe("link");
    expect(alice.take("send", 24).origin).toBe("link");
    expect(alice.nextOrigin("send")).toBeUndefined();
  });

  test("a bootstrap is retired only once the link has made key, and then wholly", () => {
    const { alice } = pair();
    expect(linkCodeOf(() => alice.retireBootstrap())).toBe("ERR_LINK_KEY_EXHAUSTED");
    expect(alice.account("send").reserveBits).toBe(256);
    alice.deposit(run(200, 8));
    alice.retireBootstrap();
    expect(alice.account("send")).toMatchObject({ droppedBits: 256, reserveBits: 32 });
    expect(alice.take("receive", 4)).toEqual({ key: run(204, 4), origin: "link" });
  });

  test("skipping goes forwards only, in whole bytes, and within what there is", () => {
    const { alice } = pair();
    alice.take("send", 4);
    expect(linkCodeOf(() => alice.skipTo("send", 24))).toBe("ERR_LINK_SEQUENCE");
    expect(linkCodeOf(() => alice.skipTo("send", 36))).toBe("ERR_LINK_SEQUENCE");
    expect(linkCodeOf(() => alice.skipTo("send", Number.NaN))).toBe("ERR_LINK_SEQUENCE");
    expect(linkCodeOf(() => alice.skipTo("send", 264))).toBe("ERR_LINK_KEY_EXHAUSTED");
    alice.skipTo("send", 80);
    expect(alice.position("send")).toBe(80);
    expect(alice.take("send", 1).key).toEqual(Uint8Array.of(10));
  });

  test("it says how much the link must earn, and halves only what has halves", () => {
    const { alice } = pair();
    expect(alice.shortfallBits(256)).toBe(0);
    expect(alice.shortfallBits(257)).toBe(16);
    alice.take("receive", 16);
    expect(alice.shortfallBits(1024)).toBe(2 * 896);
    expect(() => alice.deposit(run(0, 3))).toThrow(RangeError);
  });
});
