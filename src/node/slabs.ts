/**
 * Memory for records on their way to the kernel, used over and over by all connections of the process: a connection
 * holds a slab only while a write of it is under way, and none while it is idle.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { LOT_BYTES, type Lend } from "../record/output.ts";

/** A megabyte at most is kept for the next write. */
const KEPT = 16;
const free: Uint8Array[] = [];

/** Where output for a transport lies, and what to do with it once it was sent. */
export interface OutputMemory {
  readonly lend?: Lend;
  readonly sent: (piece: Uint8Array) => void;
}

/** Slabs for a socket, which has copied into the kernel what it wrote; other streams may keep what they are given. */
export const outputMemory = (transport: Duplex): OutputMemory =>
  transport instanceof Socket ? slabs : { sent: () => undefined };

const slabs: OutputMemory = {
  lend(least) {
    if (least > LOT_BYTES) return new Uint8Array(least);
    return free.pop() ?? new Uint8Array(LOT_BYTES);
  },
  sent({ buffer }) {
    if (buffer.byteLength === LOT_BYTES && free.length < KEPT) free.push(new Uint8Array(buffer));
  },
};
