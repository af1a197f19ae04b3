import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Block, BlockSink, Direction } from "../../src/kme/feed.ts";
import { simulatedLink, type SimulatedLinkOptions } from "../../src/kme/link.ts";

interface Stock extends BlockSink {
  readonly blocks: Readonly<Record<Direction, Block[]>>;
}

function stock(room = 1000): Stock {
  const blocks: Record<Direction, Block[]> = { outgoing: [], incoming: [] };
  return {
    blocks,
    room: (direction) => room - blocks[direction].length,
    put: (direction, block) => void blocks[direction].push(block),
    landed: async () => undefined,
  };
}

/** A link with a stock at each end. */
function fed(options: SimulatedLinkOptions = {}, room = 1000) {
  const link = simulatedLink(options);
  const [a, b] = [stock(room), stock(room)];
  link.a.start(a);
  link.b.start(b);
  const last = () => link.status.history.at(-1);
  const stop = () => {
    link.a.stop();
    link.b.stop();
  };
  return { link, a: a.blocks, b: b.blocks, last, stop };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("a simulated link", () => {
  test("puts the same keys at both ends, each end's own copies, by turns for the one and the other", async () => {
    const { link, a, b, stop } = fed();
    await vi.advanceTimersToNextTimerAsync();
    expect(a.outgoing).toEqual([]);
    while (link.status.history.length === 0) await vi.advanceTimersToNextTimerAsync();
    await link.ready;
    stop();
    expect(a.outgoing.length).toBeGreaterThan(5);
    expect(b.incoming).toEqual(a.outgoing);
    expect(a.incoming).toEqual(b.outgoing);
    expect(a.outgoing.length - b.outgoing.length).toBeOneOf([0, 1]);
    expect(b.incoming[0]?.key).not.toBe(a.outgoing[0]?.key);
    const all = [...a.outgoing, ...b.outgoing];
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(new Set(all.map(({ key }) => Buffer.from(key).toString("hex"))).size).toBe(all.length);
    expect(all.every(({ key }) => key.length === 32)).toBe(true);
    expect([link.a.simulated, link.b.simulated, link.status.simulated]).toEqual([true, true, true]);
  });

  test("gives the same keys under the same ids for the same seed, and others without", () => {
    const run = (options: SimulatedLinkOptions) => {
      const { link, a, stop } = fed(options);
      link.fill(1);
      stop();
      expect(a.outgoing.length).toBeGreaterThan(5);
      return a.outgoing;
    };
    const first = run({ seed: "a" });
    expect(run({ seed: "a" })).toEqual(first);
    expect(run({})[0]).not.toEqual(first[0]);
  });

  test("gives no key while somebody intercepts a fifth, says so with the error rate, and is back afterwards", () => {
    const told: string[] = [];
    const { link, a, last, stop } = fed({
      seed: "intercepted",
      adversary: { interceptShare: 0.2 },
      onBlock: ({ outcome }) => void told.push(outcome),
    });
    link.fill(1);
    expect(last()).toMatchObject({ outcome: "qber_over_threshold", secretBits: 0, simulated: true });
    expect(last()?.qber?.check).toBeGreaterThan(0.05);
    expect(last()?.qber?.check).toBeCloseTo(0.07, 2);
    expect(a.outgoing).toEqual([]);
    link.lay({ adversary: {} });
    link.fill(1);
    expect(last()).toMatchObject({ block: 2, outcome: "key" });
    expect(last()?.qber?.check).toBeCloseTo(0.02, 2);
    expect(a.outgoing.length).toBeGreaterThan(5);
    expect(told).toEqual(["qber_over_threshold", "key"]);
    stop();
  });

  // In 6 batches and in 10: the last of 504 tags is then the last of a block, or one in the midst of it.
  test.each([360_000, 630_000])(
    "over a fibre that is cut, with blocks of %d bits, gives none, and begins anew once no tag can be paid any more",
    (firstBits) => {
      const { link, last, stop } = fed({ seed: "cut", adversary: { cut: true }, firstBits });
      const outcomes = new Set<string | undefined>();
      for (let block = 0; block < 200 && link.status.sessions.opened < 2; block++) {
        link.fill(1);
        outcomes.add(last()?.outcome);
      }
      expect([...outcomes]).toEqual(["too_few_detections", "ledger_empty"]);
      expect(link.status.sessions).toEqual({ opened: 2, lastStop: "ERR_LINK_KEY_EXHAUSTED" });
      stop();
    },
  );

  test("makes nothing that there is no room for", async () => {
    const full = fed({}, 0);
    await vi.advanceTimersByTimeAsync(200);
    await full.link.ready;
    full.link.fill(5);
    expect(full.link.status.history).toEqual([]);
    full.stop();
    const { link, a, b, stop } = fed({ seed: "room" }, 5);
    link.fill(1000);
    expect([a.outgoing, a.incoming, b.outgoing, b.incoming].map(({ length }) => length)).toEqual([
      5, 5, 5, 5,
    ]);
    expect(link.status.history).toHaveLength(1);
    stop();
  });

  test("is at rest until a quarter of the stock is gone, and then fills it up", async () => {
    const { link, a, b, stop } = fed({ seed: "rest", firstBits: 360_000, blockBits: 360_000 }, 8);
    const full = () => [a.outgoing, a.incoming, b.outgoing, b.incoming].every(({ length }) => length === 8);
    while (!full()) await vi.advanceTimersToNextTimerAsync();
    a.outgoing.shift();
    b.incoming.shift();
    await vi.advanceTimersByTimeAsync(1000);
    expect(link.status.history).toHaveLength(1);
    a.outgoing.shift();
    b.incoming.shift();
    while (!full()) await vi.advanceTimersToNextTimerAsync();
    expect(link.status.history).toHaveLength(2);
    stop();
  });

  test("that is stopped in the midst of a block puts nothing, and leaves no timer", async () => {
    const { link, a, b, stop } = fed();
    await vi.advanceTimersToNextTimerAsync();
    stop();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(5000);
    expect([...a.outgoing, ...a.incoming, ...b.outgoing, ...b.incoming]).toEqual([]);
    expect(link.status.history).toEqual([]);
  });

  test("may be stopped by whoever is told of a block, and leaves no timer then either", async () => {
    const onBlock = vi.fn(() => stop());
    const { link, stop } = fed({ onBlock });
    while (onBlock.mock.calls.length === 0) await vi.advanceTimersToNextTimerAsync();
    await vi.advanceTimersByTimeAsync(5000);
    expect(vi.getTimerCount()).toBe(0);
    expect(onBlock).toHaveBeenCalledTimes(1);
    expect(link.status.history).toHaveLength(1);
  });

  test("that leads back to where it began has one way only", () => {
    const link = simulatedLink({ seed: "loop" });
    const both = stock();
    link.a.start(both);
    link.b.start(both);
    link.fill(1);
    expect(both.blocks.outgoing.length).toBeGreaterThan(10);
    expect(both.blocks.incoming).toEqual(both.blocks.outgoing);
    link.a.stop();
    link.b.stop();
  });

  test("says what it is, and what its tags cost and earned", () => {
    const { link, last, stop } = fed({ seed: "status", preset: "regional-50km", lengthKm: 40 });
    link.fill(1);
    const { status } = link;
    expect(status).toMatchObject({ preset: "regional-50km", fibre: { lengthKm: 40 }, qberThreshold: 0.05 });
    const { send, receive } = status.authentication;
    expect(send.spentBits + receive.spentBits).toBe(last()?.authentication.spentBits);
    expect(send.earnedBits + receive.earnedBits).toBe(last()?.authentication.earnedBits);
    link.lay({ lengthKm: 7 });
    expect(link.status.fibre.lengthKm).toBe(7);
    expect(JSON.stringify(status)).not.toContain('"key":{');
    stop();
  });
});

test.each<[string, SimulatedLinkOptions]>([
  ["seed", { seed: "x", production: true }],
  ["preset", { preset: "moon" as never }],
  ["lengthKm", { lengthKm: -1 }],
  ["interceptShare", { adversary: { interceptShare: 2 } }],
  ["qberThreshold", { qberThreshold: 0.5 }],
  ["blockBytes", { blockBytes: 0 }],
  ["speed", { speed: 3 } as never],
])("refuses by name: %s", (option, options) => {
  expect(() => simulatedLink(options)).toThrow(expect.objectContaining({ name: "UsageError", option }));
});

test("refuses a seed where NODE_ENV says production", () => {
  vi.stubEnv("NODE_ENV", "production");
  expect(() => simulatedLink({ seed: "x" })).toThrow(expect.objectContaining({ option: "seed" }));
  expect(() => simulatedLink()).not.toThrow();
  vi.unstubAllEnvs();
});

test("whoever waits for the first block does not wait for all the pulses of a long fibre", async () => {
  const { link, stop } = fed({ preset: "long-100km", lengthKm: 130, firstBits: 150_000 });
  const onReady = vi.fn();
  void link.ready.then(onReady);
  while (onReady.mock.calls.length === 0) await vi.advanceTimersToNextTimerAsync();
  expect(link.status.history).toEqual([]);
  stop();
});
