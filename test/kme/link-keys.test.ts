import { expect, test } from "vitest";
import { cutKey } from "../../src/kme/link-keys.ts";

const key = Uint8Array.from({ length: 20 }, (_, at) => at);
const options = { context: new Uint8Array(32), block: 1, blockBytes: 8 };

test("a key is cut into whole pieces, copied, and the rest dropped", () => {
  const pieces = cutKey(key, options);
  expect(pieces.map((piece) => [...piece.key])).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7],
    [8, 9, 10, 11, 12, 13, 14, 15],
  ]);
  pieces[0]!.key.fill(9);
  expect(key[0]).toBe(0);
  expect(cutKey(key.subarray(0, 7), options)).toEqual([]);
});

test("each piece has a UUID of its own: of the session, the block and its place, and of nothing secret", () => {
  const ids = (key: Uint8Array, more = {}) => cutKey(key, { ...options, ...more }).map(({ id }) => id);
  expect(ids(key)).toEqual(ids(new Uint8Array(20)));
  const all = [...ids(key), ...ids(key, { block: 2 }), ...ids(key, { context: new Uint8Array(32).fill(1) })];
  expect(new Set(all).size).toBe(6);
  for (const id of all)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
