import { expect, test } from "vitest";
import { blockRandom } from "../../src/crypto/random.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { providers } from "./vectors.ts";

function counting() {
  const fills: Uint8Array[] = [];
  let next = 0;
  const random = blockRandom((bytes) => {
    for (let at = 0; at < bytes.length; at += 2) {
      next++;
      bytes[at] = next >> 8;
      bytes[at + 1] = next & 0xff;
    }
    fills.push(bytes);
  });
  return { fills, random };
}

test("small draws come from one block; no byte is given twice; what was given is wiped there", () => {
  const { fills, random } = counting();
  const drawn = Array.from({ length: 128 }, () => random(32));
  expect(fills.length).toBe(1);
  expect(new Set(drawn.map(toHex)).size).toBe(128);
  expect(fills[0]?.every((byte) => byte === 0)).toBe(true);
  drawn[0]?.fill(0xff);
  expect(toHex(random(32))).not.toContain("ff".repeat(8));
  expect(fills.length).toBe(2);
});

test("a draw that the rest of the block cannot serve starts a new one", () => {
  const { fills, random } = counting();
  for (let i = 0; i < 17; i++) random(240);
  expect(fills.length).toBe(1);
  expect(random(240).length).toBe(240);
  expect(fills.length).toBe(2);
});

test("large draws are filled directly", () => {
  const { fills, random } = counting();
  const large = random(5000);
  expect(fills).toEqual([large]);
  expect(random(0).length).toBe(0);
});

test.each(providers)("%s fills every size", (_, provider) => {
  for (const length of [0, 1, 32, 256, 257, 4096, 65536, 200_001]) {
    const bytes = provider.random(length);
    expect(bytes.length).toBe(length);
    // A tail that was never filled would be zero.
    if (length >= 32) expect(bytes.subarray(-32).some((byte) => byte !== 0)).toBe(true);
  }
});
