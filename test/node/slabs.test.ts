import { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { outputMemory } from "../../src/node/slabs.ts";
import { LOT_BYTES } from "../../src/record/output.ts";

const socket = new Socket();

test("a socket's output lies in slabs, which are lent again once they were sent", () => {
  const { lend, sent } = outputMemory(socket);
  const slab = lend!(5, 5);
  expect(slab).toHaveLength(LOT_BYTES);
  expect(lend!(5, 5).buffer).not.toBe(slab.buffer);
  sent(slab.subarray(0, 100));
  expect(lend!(LOT_BYTES, LOT_BYTES).buffer).toBe(slab.buffer);
});

test("what is larger than a slab is lent fresh and is not kept", () => {
  const { lend, sent } = outputMemory(socket);
  const large = lend!(LOT_BYTES + 1, LOT_BYTES + 1);
  expect(large).toHaveLength(LOT_BYTES + 1);
  sent(large);
  expect(lend!(1, 1).buffer).not.toBe(large.buffer);
});

test("a burst leaves sixteen slabs behind and no more", () => {
  const { lend, sent } = outputMemory(socket);
  const burst = Array.from({ length: 40 }, () => lend!(1, 1));
  for (const slab of burst) sent(slab);
  const kept = new Set(burst.map(({ buffer }) => buffer));
  const again = Array.from({ length: 40 }, () => lend!(1, 1)).filter(({ buffer }) => kept.has(buffer));
  expect(again).toHaveLength(16);
});

test("another stream may keep what it is given, so its output is its own", () => {
  const { lend, sent } = outputMemory(new PassThrough());
  expect(lend).toBeUndefined();
  expect(sent(new Uint8Array(1))).toBeUndefined();
});
