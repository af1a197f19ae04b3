import { describe, expect, test } from "vitest";
import { type BlockMessage, BlockMessages, MOST_BATCHES, type Settlement } from "../../src/link/block.ts";
import { MOST_DETECTIONS, SiftingMessages } from "../../src/link/sifting-messages.ts";
import { BlockPair, LOOSE, type PairOptions } from "./block-pair.ts";

const BITS = 100_000;

/** A block with an Alice who has the keys and says something else. */
function lied(
  lie: (message: BlockMessage, bytes: Uint8Array) => readonly Uint8Array[],
  options: PairOptions = {},
) {
  const pair = new BlockPair({
    ...LOOSE,
    ...options,
    lie: (from, bytes) => (from === "alice" ? lie(BlockMessages.read(bytes), bytes) : [bytes]),
  });
  pair.begin(BITS);
  pair.deliver();
  const [ended] = pair.ended.bob;
  return { pair, ended, outcome: ended?.record.outcome, stopped: pair.stopped.bob };
}

const BROKEN = { outcome: "protocol_violated", stopped: "ERR_LINK_MALFORMED" };
const OUT_OF_TURN = { outcome: "protocol_violated", stopped: "ERR_LINK_UNEXPECTED" };

describe("Bob stops for good, and keeps no key, when Alice", () => {
  test.each<[string, (settlement: Settlement) => Partial<Settlement>]>([
    ["settles for more bits than the estimate leaves", (now) => ({ secret_bits: now.secret_bits + 1 })],
    ["settles for fewer", (now) => ({ secret_bits: now.secret_bits - 1 })],
    [
      "takes more for tags than the share",
      (now) => ({ authentication_bits: 16 * Math.ceil(now.secret_bits / 32) }),
    ],
    ["takes for tags what cannot be halved", (now) => ({ authentication_bits: now.authentication_bits - 8 })],
    ["retires the bootstrap twice", () => ({ retire_bootstrap: 2 })],
    ["sends too short a seed", (now) => ({ toeplitz_seed: now.toeplitz_seed.subarray(1) })],
  ])("%s", (_, change) => {
    const { ended, outcome, stopped } = lied((message, bytes) =>
      message.kind === "settle"
        ? [BlockMessages.write("settle", { ...message.body, ...change(message.body) })]
        : [bytes],
    );
    expect({ outcome, stopped }).toEqual(BROKEN);
    expect(ended?.key).toBeUndefined();
  });

  test.each<[string, object, BlockMessage["kind"], Uint8Array]>([
    [
      "sends a verdict",
      OUT_OF_TURN,
      "confirmation",
      BlockMessages.write("confirmation", Uint8Array.of(2, 1)),
    ],
    ["settles before she has asked", OUT_OF_TURN, "cascade", settle()],
    ["opens a block within a block", OUT_OF_TURN, "cascade", open(1)],
    [
      "has detections of her own",
      OUT_OF_TURN,
      "sifting",
      BlockMessages.write(
        "sifting",
        SiftingMessages.write("detections", {
          slots: new Uint32Array(),
          bases: new Uint8Array(),
          check_bits: new Uint8Array(),
        }),
      ),
    ],
    ["sifts less than he announced", BROKEN, "sifting", emptySifting()],
    ["says nothing that can be read", BROKEN, "cascade", Uint8Array.of(3)],
  ])("%s", (_, expected, kind, bytes) => {
    const { ended, outcome, stopped } = lied((message, told) => [message.kind === kind ? bytes : told]);
    expect({ outcome, stopped }).toEqual(expected);
    expect(ended?.key).toBeUndefined();
  });

  test.each([0, MOST_BATCHES + 1])("opens a block of %d batches", (batches) => {
    const { pair, stopped } = lied(({ kind, body }, bytes) =>
      kind === "open" ? [BlockMessages.write("open", { ...body, batches })] : [bytes],
    );
    expect(stopped).toBe("ERR_LINK_MALFORMED");
    expect(pair.bob.closed).toBe(true);
  });

  test.each([
    { epsilonSec: 0.05 },
    { epsilonCor: 0.001 },
    { qberThreshold: 0.1 },
    { fewestDetections: 2000 },
    { proof: "lim-2014" as const },
    { authenticationShare: 0.5 },
  ])("has other settings: %o", (bobs) => {
    const pair = new BlockPair({ ...LOOSE, bobs });
    pair.begin(BITS);
    expect(pair.stopped).toEqual({ bob: "ERR_LINK_MALFORMED" });
  });
});

test("what Alice says about a block to come is out of turn while none is open", () => {
  const pair = new BlockPair({ ...LOOSE, lie: (_, bytes) => [bytes[0] === 1 ? settle() : bytes] });
  pair.begin(BITS);
  expect(pair.stopped).toEqual({ bob: "ERR_LINK_UNEXPECTED" });
});

test("a batch belongs to a block under way and fits one message", () => {
  const pair = new BlockPair(LOOSE);
  const record = pair.channel.send(1e6).bob;
  const option = { option: "record" };
  expect(() => pair.bob.detected(record)).toThrow(expect.objectContaining(option));
  pair.take("alice", pair.alice.open(1));
  pair.deliver();
  const slots = new Uint32Array(MOST_DETECTIONS + 1);
  expect(() => pair.bob.detected({ ...record, slots })).toThrow(expect.objectContaining(option));
  expect(pair.bob.detected(record).send).toHaveLength(1);
  expect(() => pair.bob.detected(record)).toThrow(expect.objectContaining(option));
});

test("several batches are announced one by one, each once the last is sifted", () => {
  const pair = new BlockPair(LOOSE);
  pair.begin(BITS, 3);
  expect(pair.wire.map(({ from }) => from)).toEqual(["bob"]);
  pair.deliver(2);
  expect(pair.wire.map(({ from }) => from)).toEqual(["bob"]);
  pair.deliver();
  expect(pair.ended.bob[0]?.key).toEqual(pair.ended.alice[0]?.key);
});

function settle(): Uint8Array {
  const toeplitz_seed = new Uint8Array();
  return BlockMessages.write("settle", {
    secret_bits: 1,
    authentication_bits: 0,
    retire_bootstrap: 0,
    toeplitz_seed,
  });
}

function open(batches: number): Uint8Array {
  return BlockMessages.write("open", { batches, settings: new Uint8Array(32) });
}

function emptySifting(): Uint8Array {
  const none = new Uint8Array();
  const body = SiftingMessages.write("sifting", { kept: none, intensities: none, check_bits: none });
  return BlockMessages.write("sifting", body);
}
