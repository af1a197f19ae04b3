import { describe, expect, test } from "vitest";
import type { Adversary } from "../../src/link/fibre.ts";
import { BlockPair, type Frame, LOOSE, type PairOptions } from "./block-pair.ts";

const BITS = 100_000;
const small = (options: PairOptions = {}) => new BlockPair({ ...LOOSE, ...options });
const outcomes = ({ ended }: BlockPair) =>
  [ended.alice, ended.bob].map((each) => each.map(({ record }) => record.outcome));
const keys = ({ ended }: BlockPair) =>
  [...ended.alice, ...ended.bob].filter(({ key }) => key !== undefined).length;

describe("a block", () => {
  test("gives both parties the same key and the same history, block by block", () => {
    const pair = small();
    for (let block = 1; block <= 3; block++) {
      const { alice, bob } = pair.run(BITS, block);
      expect(alice.key?.length).toBeGreaterThan(32);
      expect(bob.key).toEqual(alice.key);
      expect(bob.key).not.toBe(alice.key);
      expect(alice.record).toEqual(bob.record);
      expect(alice.record).toMatchObject({ simulated: true, block, outcome: "key" });
    }
    const [first, second] = pair.ended.alice;
    expect(first?.key?.subarray(0, 32)).not.toEqual(second?.key?.subarray(0, 32));
    expect(pair.stopped).toEqual({});
  });

  test("says what it cost: pulses, detections, errors, parities told, tags", () => {
    const { record, key } = small().run(BITS, 2).bob;
    expect(record.siftedBits / BITS).toBeCloseTo(1, 1);
    expect(record.detections).toBeGreaterThan(record.siftedBits);
    expect(record.pulses).toBeGreaterThan(record.detections);
    expect(record.qber?.check).toBeCloseTo(0.028, 2);
    expect(record.qber?.key).toBeCloseTo(0.028, 2);
    // No correction tells less than Shannon's bound.
    expect(record.leakedBits).toBeGreaterThan(0.15 * record.siftedBits);
    expect(record.secretBits).toBeLessThan(record.siftedBits - record.leakedBits);
    expect(record.authentication.spentBits % 128).toBe(0);
    expect(record.authentication.earnedBits).toBeLessThanOrEqual(0.25 * record.secretBits);
    const left = record.secretBits - record.authentication.earnedBits;
    expect(key?.length).toBe(Math.floor(left / 8));
  });

  test("is the same again under the same seed, and another one under another", () => {
    const [first, again, other] = ["a", "a", "b"].map((seed) => small({ seed }).run(BITS).alice);
    expect(again).toEqual(first);
    expect(other?.key).not.toEqual(first?.key);
  });

  test.each(["hmac", "gmac", "ecdsa"] as const)("works over a channel authenticated by %s", (method) => {
    const { alice, bob } = small({ method }).run(BITS);
    expect(bob.key?.length).toBeGreaterThan(100);
    expect(alice.key).toEqual(bob.key);
  });
});

describe("whoever sits in the fibre", () => {
  const under = (pair: BlockPair, adversary: Adversary) =>
    pair.channel.lay({ ...pair.channel.optics.fibre, adversary });
  const PULSES = 1_050_000_000;

  test("who intercepts is given away by the error rate, and the link is back when he has left", () => {
    const pair = small();
    under(pair, { interceptShare: 0.5 });
    for (let block = 0; block < 3; block++) {
      pair.pulse(PULSES);
      pair.deliver();
    }
    expect(outcomes(pair)).toEqual(Array(2).fill(Array(3).fill("qber_over_threshold")));
    expect(keys(pair)).toBe(0);
    for (const { record } of pair.ended.alice) {
      expect(record.qber?.check).toBeGreaterThan(record.qberThreshold);
      expect(record.qber?.check).toBeCloseTo(0.15, 1);
    }
    under(pair, {});
    const { alice, bob } = pair.run(BITS);
    expect(alice.record).toMatchObject({ block: 4, outcome: "key" });
    expect(alice.key).toEqual(bob.key);
  });

  test.each<[string, Adversary, string]>([
    ["who intercepts a fifth", { interceptShare: 0.2 }, "no_positive_length"],
    ["who stops single photons", { photonNumberSplitting: { blockedSingles: 0.9 } }, "no_positive_length"],
    ["who cuts the fibre", { cut: true }, "too_few_detections"],
  ])("%s: %s is %s", (_, adversary, outcome) => {
    const pair = small();
    under(pair, adversary);
    // A split pulse goes on without loss.
    pair.pulse(adversary.photonNumberSplitting === undefined ? PULSES : PULSES / 8);
    pair.deliver();
    expect(outcomes(pair)).toEqual([[outcome], [outcome]]);
    expect(keys(pair)).toBe(0);
  });
});

describe("the ledger", () => {
  test("balances over several blocks, the same at both parties", () => {
    const pair = small({ settings: { ...LOOSE.settings, authenticationShare: 0.5 } });
    for (let block = 0; block < 3; block++) pair.run(BITS);
    const { alice, bob } = pair.ledgers;
    for (const way of ["send", "receive"] as const) {
      const { bootstrapBits, earnedBits, spentBits, droppedBits, reserveBits } = alice.account(way);
      expect(bootstrapBits + earnedBits).toBe(spentBits + droppedBits + reserveBits);
      expect(bob.account(way === "send" ? "receive" : "send")).toEqual(alice.account(way));
    }
    const total = (of: "spentBits" | "earnedBits") =>
      pair.ended.alice.reduce((sum, { record }) => sum + record.authentication[of], 0);
    expect(total("spentBits")).toBe(alice.account("send").spentBits + alice.account("receive").spentBits);
    expect(total("earnedBits")).toBe(alice.account("send").earnedBits + alice.account("receive").earnedBits);
    expect(total("earnedBits")).toBeGreaterThan(0);
  });

  test("throws the bootstrap's key away once the link's own pays for some blocks", () => {
    const pair = small({ settings: { ...LOOSE.settings, authenticationShare: 0.9 } });
    for (let block = 0; block < 3; block++) pair.run(1.5 * BITS);
    for (const ledger of Object.values(pair.ledgers)) {
      expect([ledger.nextOrigin("send"), ledger.nextOrigin("receive")]).toEqual(["link", "link"]);
      expect(ledger.account("send").droppedBits).toBeGreaterThan(0);
    }
    expect(pair.ended.bob.every(({ key }) => key !== undefined)).toBe(true);
  });

  test("stops the link when it is empty, and no key comes of the block", () => {
    const pair = small({ bootstrapBytes: 128 });
    pair.begin(BITS);
    pair.deliver();
    expect(Object.values(pair.stopped)).toEqual(["ERR_LINK_KEY_EXHAUSTED"]);
    expect(outcomes(pair).flat()).toEqual(["ledger_empty"]);
    expect(keys(pair)).toBe(0);
    pair.take("alice", pair.alice.close());
    pair.take("bob", pair.bob.close());
    expect(outcomes(pair).flat().toSorted()).toEqual(["closed", "ledger_empty"]);
  });
});

/** What an outsider may do to frame n on its way: what arrives instead of it and those after it. */
const ATTACKS: Readonly<Record<string, (frames: readonly Frame[], last: Frame | undefined) => Frame[]>> = {
  replayed: ([frame]) => [frame!, frame!],
  "that comes after the next one": ([frame, next]) => [next ?? frame!, frame!],
  cut: ([frame]) => [{ ...frame!, bytes: frame!.bytes.subarray(0, -1) }],
  altered: ([frame]) => [{ ...frame!, bytes: frame!.bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)) }],
  reflected: ([frame]) => [{ ...frame!, from: frame!.from === "alice" ? "bob" : "alice" }],
  "replaced by an older one": ([frame], last) => [{ ...frame!, bytes: (last ?? frame!).bytes }],
};

describe("a message", () => {
  const whole = small();
  whole.run(BITS);
  // The first of two messages of Bob's, one in the midst of reconciliation, and Alice's last one.
  const places = [3, Math.floor(whole.carried / 2), whole.carried - 2];

  test.each(Object.keys(ATTACKS))("%s stops the block, wherever it comes", (attack) => {
    let tried = 0;
    for (const place of places) {
      const pair = small();
      let last: Frame | undefined;
      pair.begin(BITS);
      while (pair.carried < place) {
        last = pair.wire[0];
        pair.deliver(1);
      }
      const instead = ATTACKS[attack]!(pair.wire, last);
      const { from } = instead[0]!;
      const before = pair.ended.alice.length + pair.ended.bob.length;
      if (attack !== "replayed") pair.wire.length = 0;
      else pair.wire.shift();
      for (const frame of instead) pair.give(frame);
      pair.deliver();
      const victim = from === "alice" ? "bob" : "alice";
      // Where one message only is under way, nothing can change places.
      if (attack === "that comes after the next one" && instead[0] === instead[1]) continue;
      tried++;
      expect(before).toBe(0);
      if (attack === "replayed" && place === places[2]) {
        // The block was whole before the replay: only the link is stopped.
        expect(pair.stopped[victim]).toBe("ERR_LINK_SEQUENCE");
        continue;
      }
      expect(keys(pair), `${attack} at ${place}`).toBe(0);
      expect(Object.values(pair.stopped)).toHaveLength(1);
      expect(outcomes(pair).flat()).toEqual(["authentication_failed"]);
    }
    expect(tried).toBeGreaterThan(0);
  });
});

test("who is killed in the midst of a block leaves no half key and no record of pulses", () => {
  const whole = small();
  whole.run(BITS);
  for (const place of [1, 2, 3, 12, whole.carried - 3, whole.carried - 2]) {
    const pair = small();
    const records = spied(pair);
    pair.begin(BITS);
    while (pair.carried < place) pair.deliver(1);
    const { ended } = pair.alice.close();
    expect(ended).toEqual({ record: expect.objectContaining({ outcome: "closed", secretBits: 0 }) });
    expect(pair.bob.close().ended?.key).toBeUndefined();
    expect(keys(pair)).toBe(0);
    expect(records.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    for (const ledger of Object.values(pair.ledgers)) expect(ledger.account("send").reserveBits).toBe(0);
    expect(() => pair.alice.open(1)).toThrow(expect.objectContaining({ code: "ERR_LINK_CLOSED" }));
  }
});

/** What the quantum channel gives to the two from now on. */
function spied(pair: BlockPair): Uint8Array[] {
  const seen: Uint8Array[] = [];
  const send = pair.channel.send.bind(pair.channel);
  pair.channel.send = (pulses) => {
    const batch = send(pulses);
    seen.push(batch.alice.choices, batch.bob.outcomes);
    return batch;
  };
  return seen;
}

describe("a block that its host stops", () => {
  test.each(["alice", "bob"] as const)("%s's: the other is told, and the next one goes on", (who) => {
    const pair = small();
    pair.begin(BITS);
    pair.deliver(9);
    pair.take(who, pair[who].stop());
    pair.deliver();
    expect(outcomes(pair)).toEqual([["stopped"], ["stopped"]]);
    expect(keys(pair)).toBe(0);
    expect(pair.run(BITS).alice.record).toMatchObject({ block: 2, outcome: "key" });
  });

  test("by both at once is stopped once, and late messages about it are ignored", () => {
    const pair = small();
    pair.begin(BITS);
    pair.deliver(5);
    pair.take("alice", pair.alice.stop());
    pair.take("bob", pair.bob.stop());
    pair.take("alice", pair.alice.open(1));
    pair.deliver();
    expect(outcomes(pair)).toEqual([["stopped"], ["stopped"]]);
    expect([pair.alice.block, pair.bob.block]).toEqual([2, 2]);
    expect(pair.stopped).toEqual({});
  });

  test("is none when there is no block", () => {
    const pair = small();
    expect(pair.bob.stop()).toEqual({ send: [] });
  });
});

describe("long work in slices", () => {
  /** Until Bob has said that he keeps the block, and is at work on it. */
  function kept(): BlockPair {
    const pair = small({ inSlices: true });
    pair.begin(BITS);
    pair.deliver();
    expect(outcomes(pair)).toEqual([["key"], []]);
    return pair;
  }

  test("comes to the same key, a slice at a time", () => {
    const pair = kept();
    let slices = 0;
    for (let isLeft = true; isLeft; slices++) {
      const step = pair.bob.goOn();
      pair.take("bob", step);
      isLeft = step.more === true;
    }
    expect(slices).toBeGreaterThan(10);
    expect(pair.ended.bob[0]?.key).toEqual(pair.ended.alice[0]?.key);
    expect(pair.ended.bob[0]?.record).toEqual(pair.ended.alice[0]?.record);
    expect(pair.bob.goOn()).toEqual({ send: [] });
    const whole = small().run(BITS);
    expect(pair.ended.bob[0]?.key).toEqual(whole.bob.key);
  });

  test("is done at once when the next message, or a stop, comes before", () => {
    const pair = kept();
    expect(pair.bob.goOn().more).toBe(true);
    pair.take("alice", pair.alice.open(1));
    pair.deliver();
    expect(pair.ended.bob[0]?.key).toEqual(pair.ended.alice[0]?.key);
    expect(pair.bob.block).toBe(2);
    const other = kept();
    other.take("bob", other.bob.stop());
    expect(other.ended.bob[0]?.key).toEqual(other.ended.alice[0]?.key);
  });

  test("of a party that is closed is never done, and there is no key", () => {
    const pair = kept();
    pair.bob.goOn();
    pair.take("bob", pair.bob.close());
    expect(pair.ended.bob).toMatchObject([{ record: { outcome: "closed", secretBits: 0 } }]);
    expect(pair.ended.bob[0]?.key).toBeUndefined();
    expect(pair.bob.goOn()).toEqual({ send: [] });
  });
});
