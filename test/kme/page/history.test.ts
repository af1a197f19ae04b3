import { describe, expect, test } from "vitest";
import { History } from "../../../src/kme/page/history.ts";
import { bed, record } from "./watched.ts";

function setUp() {
  const parts = bed();
  let at = 1_000_000;
  const history = new History(parts.watched, { hasControls: false, now: () => at });
  return { ...parts, seen: history, pass: (ms: number) => (at += ms) };
}

describe("the history", () => {
  test("tells each block once, with the time it was seen at, and remembers all", () => {
    const { seen, history, pass } = setUp();
    history.push(record(1), record(2));
    expect(seen.look().blocks.map(({ block, at }) => [block, at])).toEqual([
      [1, 1_000_000],
      [2, 1_000_000],
    ]);
    expect(seen.look().blocks).toEqual([]);
    pass(1000);
    history.push(record(3, "qber_over_threshold", 0.07));
    expect(seen.look().blocks).toEqual([
      {
        at: 1_001_000,
        block: 3,
        outcome: "qber_over_threshold",
        qberCheck: 0.07,
        qberKey: 0.07,
        qberThreshold: 0.05,
        siftedBits: 900,
        leakedBits: 200,
        secretBits: 0,
      },
    ]);
    expect(seen.whole.blocks.map(({ block }) => block)).toEqual([1, 2, 3]);
  });

  test("goes on when the link has forgotten its oldest blocks, or all that were seen", () => {
    const { seen, history } = setUp();
    history.push(record(1), record(2));
    seen.look();
    history.push(record(3));
    history.shift();
    expect(seen.look().blocks.map(({ block }) => block)).toEqual([3]);
    history.splice(0, Infinity, record(8), record(9));
    expect(seen.look().blocks.map(({ block }) => block)).toEqual([8, 9]);
  });

  test("a block that was not judged has no error rate", () => {
    const { seen, history } = setUp();
    history.push({ ...record(1, "too_few_detections"), qber: undefined });
    expect(seen.look().blocks[0]).not.toHaveProperty("qberCheck");
  });

  test("adds up outcomes and secret bits, as far as it has looked", () => {
    const { seen, history } = setUp();
    history.push(record(1), record(2), record(3, "stopped"));
    seen.look();
    history.push(record(4));
    expect(Object.fromEntries(seen.totals.outcomes)).toEqual({ key: 2, stopped: 1 });
    expect(seen.totals).toMatchObject({ secretBits: 6000, authenticationBits: 2000 });
    expect(seen.whole.link?.outcomes).toEqual([
      { outcome: "key", count: 2 },
      { outcome: "stopped", count: 1 },
    ]);
  });

  test("the key rate is that of the latest half minute, without what became authentication key", () => {
    const { seen, history, pass } = setUp();
    const rate = (): number | undefined => seen.look().link?.keyBitsPerSecond;
    history.push(record(1));
    expect(rate()).toBe(2000);
    pass(10_000);
    history.push(record(2));
    expect(rate()).toBe(400);
    pass(20_000);
    expect(rate()).toBe(2000 / 30);
    pass(10_000);
    expect(rate()).toBe(0);
  });

  test("takes a sample of the stock with each look", () => {
    const { seen, stock, pass } = setUp();
    seen.look();
    pass(1000);
    stock.a = 11;
    expect(seen.look().samples).toEqual([{ at: 1_001_000, blocks: [11, 20], keyBitsPerSecond: 0 }]);
    expect(seen.whole.samples.map(({ blocks }) => blocks[0])).toEqual([10, 11]);
  });

  test("is bounded", () => {
    const { seen, history } = setUp();
    for (let block = 0; block < 400; block++) {
      history.push(record(block));
      seen.look();
    }
    const { blocks, samples } = seen.whole;
    expect([blocks.length, blocks[0]?.block, samples.length]).toEqual([256, 144, 300]);
  });

  test("a link is silent from its latest block on, or from the start", () => {
    const { seen, history, pass } = setUp();
    pass(61_000);
    expect(seen.look().standing.reasons).toMatchObject([{ code: "link_silent" }]);
    history.push(record(1));
    expect(seen.look().standing.status).toBe("ok");
  });
});
