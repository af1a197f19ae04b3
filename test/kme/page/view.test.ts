import { describe, expect, test } from "vitest";
import type { Remembered } from "../../../src/kme/page/view.ts";
import { stockOf, viewOf } from "../../../src/kme/page/view.ts";
import type { Adversary } from "../../../src/link/fibre.ts";
import { account, bed } from "./watched.ts";

const remembered: Remembered = {
  at: 1000,
  sinceBlockMs: 0,
  keyBitsPerSecond: 12,
  outcomes: new Map([["key", 3]]),
  blocks: [],
  samples: [],
  hasControls: true,
};

describe("the figures", () => {
  test("have every part, and survive the way to the browser", () => {
    const { watched, deliveries } = bed();
    deliveries.a.countRefusal(503);
    const figures = viewOf(watched, remembered);
    expect(JSON.parse(JSON.stringify(figures))).toEqual(figures);
    expect(figures).toMatchObject({ at: 1000, simulated: true, standing: { status: "ok", reasons: [] } });
    expect(figures.link).toEqual({
      preset: "metro-10km",
      lengthKm: 10,
      fibre: { lengthKm: 10, interceptShare: 0, splitShare: 0, addedLossDb: 0, cut: false },
      hasControls: true,
      qberThreshold: 0.05,
      keyBitsPerSecond: 12,
      authentication: { send: account, receive: { ...account, reserveBits: 90 } },
      sessions: { opened: 2, lastStop: "ERR_LINK_AUTHENTICATION" },
      outcomes: [{ outcome: "key", count: 3 }],
    });
    expect(figures.kmes).toMatchObject([
      { id: "kme-a", saes: ["sae-a"], counters: { made: 100 }, refused: [{ status: 503, count: 1 }] },
      { id: "kme-b", saes: ["sae-b"], counters: { made: 90 }, refused: [] },
    ]);
  });

  test("do without a link, and without knowing what lies between its ends", () => {
    const { watched } = bed();
    expect(viewOf({ kmes: watched.kmes }, remembered)).not.toHaveProperty("link");
    const { preset: _, fibre: __, ...known } = watched.link.status;
    const { link } = viewOf({ kmes: watched.kmes, link: { ...watched.link, status: known } }, remembered);
    for (const name of ["fibre", "lengthKm", "preset"]) expect(link).not.toHaveProperty(name);
  });

  test("of one end of a link say nothing about who is in the fibre: it cannot know", () => {
    const { watched } = bed();
    const { link } = viewOf({ kmes: watched.kmes, link: { status: watched.link.status } }, remembered);
    expect(link).toMatchObject({ lengthKm: 10 });
    expect(link).not.toHaveProperty("fibre");
  });

  test("are simulated as soon as any key is", () => {
    const { watched } = bed();
    const [a] = watched.kmes;
    const real = { ...a, store: { ...a.store, simulated: false } };
    expect(viewOf({ kmes: [real] }, remembered).simulated).toBe(false);
    expect(viewOf({ kmes: [real, a] }, remembered).simulated).toBe(true);
  });

  test("say what is done to the fibre", () => {
    const { watched } = bed();
    const fibre = (adversary: Adversary) => {
      const status = { ...watched.link.status, fibre: { ...watched.link.status.fibre!, adversary } };
      return viewOf({ kmes: watched.kmes, link: { ...watched.link, status } }, remembered).link?.fibre;
    };
    expect(fibre({ interceptShare: 0.2, addedLossDb: 3 })).toMatchObject({
      interceptShare: 0.2,
      addedLossDb: 3,
    });
    expect(fibre({ photonNumberSplitting: { blockedSingles: 0.5 }, cut: true })).toMatchObject({
      splitShare: 0.5,
      cut: true,
    });
  });

  test("have one row for each pair of SAEs, whichever KMEs served them", () => {
    const { watched, deliveries } = bed();
    const pair = { master: "sae-a", slave: "sae-b" };
    deliveries.a.countKeys({ verb: "enc_keys", ...pair, keys: 5 });
    deliveries.b.countKeys({ verb: "dec_keys", ...pair, keys: 4 });
    deliveries.b.countKeys({ verb: "enc_keys", master: "sae-b", slave: "sae-a", keys: 1 });
    expect(viewOf(watched, remembered).deliveries).toEqual([
      { ...pair, drawn: 5, redeemed: 4 },
      { master: "sae-b", slave: "sae-a", drawn: 1, redeemed: 0 },
    ]);
  });
});

describe("stock is shown both ways", () => {
  const { watched } = bed();
  const [a, b] = watched.kmes;
  const shown = (...kmes: (typeof a | typeof b)[]) =>
    stockOf({ kmes }).map(({ label, blocks }) => [label, blocks]);

  test("of two KMEs: what each may issue from", () => {
    expect(shown(a, b)).toEqual([
      ["kme-a → kme-b", 10],
      ["kme-b → kme-a", 20],
    ]);
  });

  test("of one: what it may issue from, and what the other may", () => {
    expect(shown(a)).toEqual([
      ["kme-a → kme-b", 10],
      ["kme-b → kme-a", 7],
    ]);
  });

  test("of one that serves both ends there is one way only", () => {
    expect(stockOf({ kmes: [{ ...a, peer: a.id }] })).toEqual([
      { label: "kme-a", blocks: 10, maxBlocks: 50, blockBytes: 32 },
    ]);
  });
});
