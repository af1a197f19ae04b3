import type { Duplex } from "node:stream";

/** Sends every byte back, no faster than the peer reads, and ends when the peer has. */
export function echo(socket: Duplex): void {
  socket.pipe(socket);
}
