import { describe, expect, test } from "vitest";
import { inProcessPair } from "../../src/qkd/pair.ts";
import { isWiped } from "../support/scripted-source.ts";

describe("inProcessPair", () => {
  test("what one draws the other redeems, once, both ways", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const drawn = await from.draw(to.sae);
      expect(drawn).toMatchObject({ simulated: true, kind: "in-process" });
      expect(drawn.key).toHaveLength(32);
      expect(isWiped(drawn.key)).toBe(false);
      const redeemed = await to.redeem(from.sae, drawn.id);
      expect(redeemed).toEqual(drawn);
      expect(redeemed.key).not.toBe(drawn.key);
      await expect(to.redeem(from.sae, drawn.id)).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
      await expect(from.redeem(to.sae, drawn.id)).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
    }
    expect(a.counters).toEqual({ drawn: 1, redeemed: 1, lost: 0, expired: 0, failures: 2 });
  });

  test("keys differ, and wiping one leaves the others", () => {
    const { a } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const keys = Array.from({ length: 300 }, () => a.drawNow("sae-b"));
    expect(new Set(keys.map(({ key }) => Buffer.from(key).toString("hex"))).size).toBe(300);
    keys[0]!.key.fill(0);
    expect(isWiped(keys[1]!.key)).toBe(false);
  });

  test("a Buffer from a feed is copied, not shared", () => {
    const fed = Buffer.alloc(32, 3);
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b", simulated: false, feed: () => fed });
    const drawn = a.drawNow("sae-b");
    expect(drawn.simulated).toBe(false);
    drawn.key.fill(0);
    expect(isWiped(b.redeemNow("sae-a", drawn.id).key)).toBe(false);
  });

  test("another length, another peer, a bad id, a closed pair", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const { id } = await a.draw("sae-b", { bytes: 64 });
    await expect(b.redeem("sae-a", id)).rejects.toMatchObject({ code: "ERR_QKD_KEY_SIZE" });
    expect((await b.redeem("sae-a", id, { bytes: 64 })).key).toHaveLength(64);
    await expect(a.draw("sae-c")).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
    await expect(a.redeem("sae-b", "7")).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
    const waiting = await a.draw("sae-b");
    a.close();
    await expect(a.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    await expect(b.redeem("sae-a", waiting.id)).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
  });

  test("keys that nobody redeems are bounded", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b", maxWaiting: 2 });
    const keys = await a.drawMany?.("sae-b", 3);
    expect(a.counters).toMatchObject({ drawn: 3, expired: 1 });
    await expect(b.redeem("sae-a", keys?.[0]?.id ?? "")).rejects.toMatchObject({
      code: "ERR_QKD_UNKNOWN_KEY",
    });
    await b.redeem("sae-a", keys?.[1]?.id ?? "");
  });

  test("options are refused by name", () => {
    const make = (options: object) => () => inProcessPair({ a: "sae-a", b: "sae-b", ...options });
    expect(make({ simulated: false })).toThrow(expect.objectContaining({ option: "simulated" }));
    expect(make({ b: "sae-a" })).toThrow(expect.objectContaining({ option: "b" }));
    expect(make({ c: "sae-c" })).toThrow(expect.objectContaining({ code: "ERR_OPTION_UNKNOWN" }));
  });
});
