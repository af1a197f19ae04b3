import { sha256 } from "@noble/hashes/sha2.js";
import { concat } from "../protocol/bytes.ts";
import type { Block } from "./feed.ts";

export interface CutOptions {
  /** A public value of the link's session. */
  readonly context: Uint8Array;
  /** The number of the block of the link. */
  readonly block: number;
  readonly blockBytes: number;
}

/**
 * A block of the link's key, cut into pieces for the stock: copies, each under an id that both ends come to by
 * themselves. What is left over at the end is dropped.
 */
export function cutKey(key: Uint8Array, { context, block, blockBytes }: CutOptions): Block[] {
  const count = Math.floor(key.length / blockBytes);
  return Array.from({ length: count }, (_, at) => ({
    id: idOf(context, block, at),
    key: key.slice(at * blockBytes, (at + 1) * blockBytes),
  }));
}

/** Which end may issue from the piece at this place: A and B by turns. */
export const isFromA = (at: number): boolean => at % 2 === 0;

/** A UUID of version 8, RFC 9562 §5.8: a hash of session, block and place. */
function idOf(context: Uint8Array, block: number, at: number): string {
  const numbers = new Uint8Array(8);
  const view = new DataView(numbers.buffer);
  view.setUint32(0, block);
  view.setUint32(4, at);
  const bytes = sha256(concat([context, numbers])).subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
