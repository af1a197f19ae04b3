/**
 * Reads of every connection into one buffer. `onread` does that for sockets that we open; node:net has no such option
 * for sockets that a server accepts, where each read makes a buffer of 64 KiB of its own.
 */
import { Socket } from "node:net";

/** Takes bytes that are only lent; false asks the socket to stop reading. */
export type Reader = (bytes: Uint8Array) => boolean;

/** One for all: bytes are read out of it before the next read, whoever's that is. */
const shared = Buffer.allocUnsafeSlow(65_536);

/** Bytes for an `onread` option of node:net. */
export const onread = (
  reader: Reader,
): { readonly buffer: Uint8Array; readonly callback: (count: number) => boolean } => ({
  buffer: shared,
  callback: (count) => reader(shared.subarray(0, count)),
});

interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}
type Slots = Record<symbol, unknown>;

/** Where a socket keeps its buffer and callback, found by looking at one that was made with `onread`. */
function findSlots(): { readonly buffer: symbol; readonly callback: symbol } | undefined {
  const probe = onread(() => true);
  // A socket without a handle opens nothing; it is only looked at.
  const socket = new Socket({ onread: probe } as object) as unknown as Slots;
  const holding = (value: unknown): symbol | undefined =>
    Object.getOwnPropertySymbols(socket).find((slot) => socket[slot] === value);
  const [buffer, callback] = [holding(probe.buffer), holding(probe.callback)];
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
}
const slots = findSlots();

/**
 * Makes an accepted socket, before it has read anything, give its bytes to `reader`. False where this runtime keeps
 * its sockets otherwise; they are read by `data` events then.
 */
export function borrowReads(socket: Socket, reader: Reader): boolean {
  const inner = socket as unknown as Slots & { readonly _handle?: Partial<Handle> };
  const handle = inner._handle;
  if (slots === undefined || typeof handle?.useUserBuffer !== "function") return false;
  if (socket.bytesRead > 0 || socket.readableLength > 0) return false;
  const { buffer, callback } = onread(reader);
  inner[slots.buffer] = buffer;
  inner[slots.callback] = callback;
  handle.useUserBuffer(buffer);
  socket.resume();
  return true;
}
