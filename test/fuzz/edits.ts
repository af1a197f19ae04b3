/** What is done to bytes to make others of them. */
import * as fc from "fast-check";
import { concat } from "../../src/protocol/bytes.ts";

export type Edit =
  | { readonly how: "flip"; readonly at: number; readonly bit: number }
  | { readonly how: "set"; readonly at: number; readonly byte: number }
  | { readonly how: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly how: "cut" | "double"; readonly at: number; readonly length: number }
  | { readonly how: "move"; readonly at: number; readonly to: number; readonly length: number }
  | { readonly how: "splice"; readonly at: number; readonly from: number; readonly length: number }
  | { readonly how: "resize"; readonly at: number; readonly by: number; readonly prefix: 1 | 2 | 3 };

const place = fc.nat();

/** Changes that know nothing of what the bytes mean; places are taken modulo the length. */
export const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ how: fc.constant("flip" as const), at: place, bit: fc.nat(7) }),
  fc.record({ how: fc.constant("set" as const), at: place, byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  fc.record({ how: fc.constantFrom("cut" as const, "double" as const), at: place, length: fc.nat(40) }),
  fc.record({ how: fc.constant("move" as const), at: place, to: place, length: fc.nat(40) }),
  fc.record({ how: fc.constant("splice" as const), at: place, from: place, length: fc.nat(200) }),
);

/** Those, and others that keep lengths right and bring in bytes of their own. */
export const deepEdits: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: edits },
  fc.record({ how: fc.constant("set" as const), at: place, byte: fc.nat(255) }),
  fc.record({
    how: fc.constant("insert" as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  }),
  fc.record({
    how: fc.constant("resize" as const),
    at: place,
    by: fc.integer({ min: -8, max: 8 }),
    prefix: fc.constantFrom(1 as const, 2 as const, 3 as const),
  }),
);

/** The bytes after an edit; `donor` gives what is spliced in. */
export function edited(bytes: Uint8Array, donor: Uint8Array, edit: Edit): Uint8Array {
  if (edit.how === "insert") {
    const at = edit.at % (bytes.length + 1);
    return concat([bytes.subarray(0, at), edit.bytes, bytes.subarray(at)]);
  }
  if (bytes.length === 0) return bytes;
  const at = edit.at % bytes.length;
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (edit.how) {
    case "flip":
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << edit.bit) : byte));
    case "set":
      return bytes.map((byte, i) => (i === at ? edit.byte : byte));
    case "cut":
      return concat([head, tail.subarray(edit.length)]);
    case "double":
      return concat([head, tail.subarray(0, edit.length), tail]);
    case "move": {
      const rest = concat([head, tail.subarray(edit.length)]);
      const to = edit.to % (rest.length + 1);
      return concat([rest.subarray(0, to), tail.subarray(0, edit.length), rest.subarray(to)]);
    }
    case "splice": {
      const from = donor.length === 0 ? 0 : edit.from % donor.length;
      return concat([head, donor.subarray(from, from + edit.length), tail.subarray(edit.length)]);
    }
    case "resize":
      return resized(bytes, at, edit.by, edit.prefix);
  }
}

/**
 * The first field from `at` on that a length of this size may stand before, made longer by zeros or shorter at its
 * end, and every length around it with it: what stands around is still well formed, in TLS and in DER.
 */
function resized(bytes: Uint8Array, at: number, by: number, prefix: 1 | 2 | 3): Uint8Array {
  for (let start = at; start + prefix <= bytes.length; start++) {
    const length = lengthAt(bytes, start, prefix);
    const end = start + prefix + length;
    if (end > bytes.length || length + by < 0 || (length === 0 && by <= 0)) continue;
    const changed = concat([
      bytes.subarray(0, by < 0 ? end + by : end),
      new Uint8Array(Math.max(by, 0)),
      bytes.subarray(end),
    ]);
    addTo(changed, start, prefix, by);
    for (let outer = 0; outer < start; outer++) {
      for (const size of [1, 2, 3] as const) {
        if (outer + size > start) continue;
        const ends = outer + size + lengthAt(bytes, outer, size);
        // Leading zeros of a longer length are no length of their own.
        if (ends >= end && ends <= bytes.length && (size === 1 || bytes[outer] !== 0 || ends > outer + 200)) {
          addTo(changed, outer, size, by);
          break;
        }
      }
    }
    return changed;
  }
  return bytes;
}

function lengthAt(bytes: Uint8Array, at: number, size: 1 | 2 | 3): number {
  let length = 0;
  for (let i = 0; i < size; i++) length = 256 * length + (bytes[at + i] as number);
  return length;
}

function addTo(bytes: Uint8Array, at: number, size: 1 | 2 | 3, by: number): void {
  const length = lengthAt(bytes, at, size) + by;
  for (let i = 0; i < size; i++) bytes[at + i] = Math.floor(length / 256 ** (size - 1 - i)) & 0xff;
}
