import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { Bits } from "../../src/link/bits.ts";
import { preset } from "../../src/link/presets.ts";
import { type AliceRecord, type BobRecord, QuantumChannel } from "../../src/link/quantum-channel.ts";
import { announce, answer, joined, sift } from "../../src/link/sifting.ts";
import { Detections, MOST_DETECTIONS, Sifting } from "../../src/link/sifting-messages.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { fuzz } from "../support/fuzz.ts";

/** Both sides over the wire: what each has in the end. */
function overWire(alice: AliceRecord, bob: BobRecord) {
  const announced = encode(Detections, announce(bob));
  const answered = answer(alice, decode(Detections, announced));
  const bytes = encode(Sifting, answered.message);
  return {
    alice: answered.sifted,
    bob: sift(bob, decode(Sifting, bytes)),
    bytes: announced.length + bytes.length,
  };
}

/** Records made by hand: Alice's and Bob's bit and basis for each slot, and the intensity. */
type Row = readonly [sent: 0 | 1, a: 0 | 1, intensity: 0 | 1 | 2, got: 0 | 1, b: 0 | 1];
function records(rows: readonly Row[]): { alice: AliceRecord; bob: BobRecord } {
  const slots = Uint32Array.from(rows, (_, at) => 7 * at + 3);
  const common = { simulated: true, pulses: 7 * rows.length + 3 } as const;
  return {
    alice: {
      ...common,
      slots,
      choices: Uint8Array.from(rows, ([sent, a, intensity]) => sent | (a << 1) | (intensity << 2)),
    },
    bob: {
      ...common,
      slots: slots.slice(),
      outcomes: Uint8Array.from(rows, ([, , , got, b]) => got | (b << 1)),
      doubleClicks: 0,
    },
  };
}
const bitsOf = (bits: Bits): number[] => Array.from({ length: bits.length }, (_, at) => bits.get(at));

describe("sifting", () => {
  const rows: readonly Row[] = [
    [1, 0, 0, 1, 0], // key
    [0, 0, 1, 1, 0], // key with an error
    [1, 0, 0, 1, 1], // bases differ
    [1, 1, 0, 0, 1], // check with an error
    [0, 1, 2, 0, 1], // check
    [0, 1, 0, 1, 0], // bases differ
    [1, 0, 2, 1, 0], // key
  ];

  test("keeps where the bases agree, X for the key and Z for the check", () => {
    const { alice, bob } = records(rows);
    const sifted = overWire(alice, bob);
    expect(bitsOf(sifted.alice.key)).toEqual([1, 0, 1]);
    expect(bitsOf(sifted.bob.key)).toEqual([1, 1, 1]);
    const counts = {
      key: { detections: [1, 1, 1] },
      check: { detections: [1, 0, 1], errors: [1, 0, 0] },
    };
    expect(sifted.alice.counts).toEqual(counts);
    expect(sifted.bob.counts).toEqual(counts);
    expect([sifted.alice.simulated, sifted.bob.simulated]).toEqual([true, true]);
  });

  test("sends no bit of the key, and none of a detection in X", () => {
    const { alice, bob } = records(rows);
    const flipped = {
      ...bob,
      outcomes: bob.outcomes.map((outcome) => (outcome >> 1 === 0 ? outcome ^ 1 : outcome)),
    };
    expect(announce(flipped)).toEqual(announce(bob));
    const mirrored = {
      ...alice,
      choices: alice.choices.map((choice) => (((choice >> 1) & 1) === 0 ? choice ^ 1 : choice)),
    };
    expect(answer(mirrored, announce(bob)).message).toEqual(answer(alice, announce(bob)).message);
  });

  test("Bob may announce fewer than Alice has a record of", () => {
    const { alice } = records(rows);
    const { bob } = records(rows.slice(0, 4));
    expect(bitsOf(overWire(alice, bob).alice.key)).toEqual([1, 0]);
  });

  test("of nothing is nothing", () => {
    const { alice, bob } = records([]);
    const sifted = overWire(alice, bob);
    expect(sifted.bob.key).toHaveLength(0);
    expect(sifted.alice.counts).toEqual(sifted.bob.counts);
  });

  test("both sides count alike, whatever was detected", () => {
    const bit = fc.constantFrom<0 | 1>(0, 1);
    const row = fc.tuple(bit, bit, fc.constantFrom<0 | 1 | 2>(0, 1, 2), bit, bit);
    fc.assert(
      fc.property(fc.array(row, { maxLength: 100 }), (rows) => {
        const { alice, bob } = records(rows);
        const sifted = overWire(alice, bob);
        expect(sifted.bob.counts).toEqual(sifted.alice.counts);
        const key = rows.filter(([, a, , , b]) => a === 0 && b === 0);
        expect(bitsOf(sifted.alice.key)).toEqual(key.map(([sent]) => sent));
        expect(bitsOf(sifted.bob.key)).toEqual(key.map(([, , , got]) => got));
      }),
      fuzz(200),
    );
  });

  test("of a simulated batch leaves keys that differ by the QBER, for about two bytes a detection", () => {
    const batch = new QuantumChannel(preset("regional-50km").optics, repeatableRandom("sifting")).send(
      100_000_000,
    );
    const sifted = overWire(batch.alice, batch.bob);
    expect(sifted.alice.counts).toEqual(sifted.bob.counts);
    const errors = sifted.alice.key.copy().xor(sifted.bob.key).weight();
    expect(errors / sifted.bob.key.length).toBeCloseTo(0.02, 2);
    expect(sifted.bytes / batch.bob.slots.length).toBeLessThan(2.8);
  });

  test("batches join to a block", () => {
    const [one, two] = [rows, rows.slice(0, 2)].map((rows) => {
      const { alice, bob } = records(rows);
      return overWire(alice, bob).bob;
    });
    const block = joined([one!, two!]);
    expect(bitsOf(block.key)).toEqual([1, 1, 1, 1, 1]);
    expect(block.simulated).toBe(true);
    expect(block.counts.key.detections).toEqual([2, 2, 1]);
    expect(block.counts.check).toEqual({ detections: [1, 0, 1], errors: [1, 0, 0] });
    expect(joined([]).key).toHaveLength(0);
  });

  test("more detections than a message holds are the caller's mistake", () => {
    const many = {
      simulated: true,
      pulses: 2 ** 32,
      slots: new Uint32Array(MOST_DETECTIONS + 1),
      outcomes: new Uint8Array(MOST_DETECTIONS + 1),
      doubleClicks: 0,
    } as const;
    expect(() => announce(many)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "ERR_OPTION_INVALID", option: "pulses" }),
    );
  });

  describe("a message that contradicts itself or what is known is ERR_LINK_MALFORMED", () => {
    const { alice, bob } = records(rows);
    const detections = announce(bob);
    const sifting = answer(alice, detections).message;
    const malformed = expect.objectContaining({ name: "LinkError", code: "ERR_LINK_MALFORMED" });

    test.each<[string, Partial<Detections>]>([
      ["a slot that Alice has no record of", { slots: detections.slots.map((each) => each + 1) }],
      ["fewer bases than slots", { bases: Uint8Array.of() }],
      ["more bases than slots", { bases: Uint8Array.of(0, 0) }],
      ["too few check bits", { check_bits: Uint8Array.of() }],
      ["too many check bits", { check_bits: Uint8Array.of(0, 0) }],
    ])("%s", (_, change) => {
      expect(() => answer(alice, { ...detections, ...change })).toThrow(malformed);
    });

    test.each<[string, Partial<Sifting>]>([
      ["fewer answers than detections", { kept: Uint8Array.of() }],
      ["more answers than detections", { kept: Uint8Array.of(0, 0) }],
      ["too few intensities", { intensities: Uint8Array.of(0) }],
      ["an intensity that is none", { intensities: Uint8Array.of(0xc0, 0) }],
      ["too many check bits", { check_bits: Uint8Array.of(0, 0) }],
      ["too few check bits", { check_bits: Uint8Array.of() }],
    ])("%s", (_, change) => {
      expect(() => sift(bob, { ...sifting, ...change })).toThrow(malformed);
    });
  });
});
