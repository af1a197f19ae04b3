import { wipe } from "../protocol/bytes.ts";

const BLOCK_BYTES = 4096;
const LARGEST_FROM_BLOCK_BYTES = 256;

/**
 * Random bytes drawn from the system in blocks of 4096, because small draws cost as much as a block.
 * What was handed out is wiped from the block, so no byte is kept after it was given.
 */
export function blockRandom(fill: (bytes: Uint8Array) => void): (length: number) => Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  let at = BLOCK_BYTES;
  return (length) => {
    if (length > LARGEST_FROM_BLOCK_BYTES) {
      const large = new Uint8Array(length);
      fill(large);
      return large;
    }
    if (at + length > BLOCK_BYTES) {
      fill(block);
      at = 0;
    }
    const taken = block.subarray(at, at + length);
    const out = taken.slice();
    wipe(taken);
    at += length;
    return out;
  };
}
