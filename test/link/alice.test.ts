import { describe, expect, test } from "vitest";
import { type BlockMessage, BlockMessages, MOST_BATCHES } from "../../src/link/block.ts";
import { CascadeMessages } from "../../src/link/cascade.ts";
import { SiftingMessages } from "../../src/link/sifting-messages.ts";
import { BlockPair, LOOSE } from "./block-pair.ts";

const BITS = 100_000;

/** A block with a Bob who has the keys and says something else. */
function lied(lie: (message: BlockMessage, bytes: Uint8Array) => readonly Uint8Array[]) {
  const pair = new BlockPair({
    ...LOOSE,
    lie: (from, bytes) => (from === "bob" ? lie(BlockMessages.read(bytes), bytes) : [bytes]),
  });
  pair.begin(BITS);
  pair.deliver();
  const [ended] = pair.ended.alice;
  return { pair, ended, outcome: ended?.record.outcome, stopped: pair.stopped.alice };
}

const BROKEN = { outcome: "protocol_violated", stopped: "ERR_LINK_MALFORMED" };
const OUT_OF_TURN = { outcome: "protocol_violated", stopped: "ERR_LINK_UNEXPECTED" };
const sifting = (body: Uint8Array) => BlockMessages.write("sifting", body);
const cascade = (body: Uint8Array) => BlockMessages.write("cascade", body);

describe("Alice stops for good, and keeps no key, when Bob", () => {
  test.each<[string, object, Parameters<typeof lied>[0]]>([
    ["announces what was not sent", BROKEN, instead("sifting", announcement([0, 1, 2, 3]))],
    ["announces two batches for one", OUT_OF_TURN, (_, bytes) => [bytes, bytes]],
    ["answers before he is asked", OUT_OF_TURN, instead("sifting", BlockMessages.write("kept", true))],
    [
      "sifts in her place",
      OUT_OF_TURN,
      instead(
        "sifting",
        sifting(
          SiftingMessages.write("sifting", {
            kept: new Uint8Array(),
            intensities: new Uint8Array(),
            check_bits: new Uint8Array(),
          }),
        ),
      ),
    ],
    [
      "has a key of another length",
      BROKEN,
      instead(
        "cascade",
        cascade(
          CascadeMessages.write("open", {
            variant: 0,
            length: 5,
            error_rate: 1e7,
            shuffle_seed: new Uint8Array(16),
          }),
        ),
      ),
    ],
    [
      "opens a block",
      OUT_OF_TURN,
      instead("cascade", BlockMessages.write("open", { batches: 1, settings: new Uint8Array(32) })),
    ],
    [
      "corrects more bits than there are",
      BROKEN,
      (message, bytes) =>
        message.kind === "cascade" && CascadeMessages.read(message.body).kind === "done"
          ? [cascade(CascadeMessages.write("done", { corrected: 2 ** 20 }))]
          : [bytes],
    ],
    ["gives no reason", BROKEN, instead("cascade", BlockMessages.write("abort", { reason: 99 }))],
    ["says nothing", BROKEN, instead("cascade", new Uint8Array())],
    ["uses a word that is none", BROKEN, instead("cascade", Uint8Array.of(77))],
  ])("%s", (_, expected, lie) => {
    const { ended, outcome, stopped } = lied(lie);
    expect({ outcome, stopped }).toEqual(expected);
    expect(ended?.key).toBeUndefined();
  });
});

test("keys that still differ are thrown away, and the link goes on", () => {
  // He says at once that he is done, having corrected nothing.
  let toldDone = false;
  const { pair, outcome, stopped } = lied(({ kind, body }, bytes) => {
    if (kind !== "cascade" || toldDone) return [bytes];
    if (CascadeMessages.read(body).kind === "open") return [bytes];
    toldDone = true;
    const verdict = BlockMessages.write("confirmation", Uint8Array.of(2, 0));
    return [cascade(CascadeMessages.write("done", { corrected: 0 })), verdict];
  });
  expect({ outcome, stopped }).toEqual({ outcome: "confirmation_failed", stopped: undefined });
  expect(pair.ended.alice[0]?.key).toBeUndefined();
  expect(pair.alice.open(1).send).toHaveLength(1);
});

test("only the next block is opened, with a number of batches in bounds", () => {
  const { alice } = new BlockPair(LOOSE);
  for (const batches of [0, MOST_BATCHES + 1, 1.5]) {
    expect(() => alice.open(batches)).toThrow(expect.objectContaining({ option: "batches" }));
  }
  alice.open(1);
  expect(alice.block).toBe(1);
  expect(() => alice.open(1)).toThrow(expect.objectContaining({ option: "block" }));
});

test("pulses belong to a block under way, as many batches as it was opened with", () => {
  const pair = new BlockPair(LOOSE);
  const record = () => pair.channel.send(1e6).alice;
  expect(() => pair.alice.sent(record())).toThrow(expect.objectContaining({ option: "record" }));
  pair.alice.open(1);
  pair.alice.sent(record());
  expect(() => pair.alice.sent(record())).toThrow(expect.objectContaining({ option: "record" }));
});

function instead(kind: BlockMessage["kind"], bytes: Uint8Array): Parameters<typeof lied>[0] {
  return (message, told) => [message.kind === kind ? bytes : told];
}

function announcement(slots: readonly number[]): Uint8Array {
  return sifting(
    SiftingMessages.write("detections", {
      slots: Uint32Array.from(slots),
      bases: new Uint8Array(1),
      check_bits: new Uint8Array(),
    }),
  );
}
