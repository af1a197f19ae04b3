import type { QkdTlsSocket } from "../../node/socket.ts";

/** Connections that wait for their turn; more are closed at once. */
const MAX_WAITING = 16;

/** Serves one connection after the other with this process's standard input and output. */
export function terminal(): (socket: QkdTlsSocket) => void {
  const waiting: QkdTlsSocket[] = [];
  let current: QkdTlsSocket | undefined;

  const next = (): void => {
    current = waiting.shift();
    if (current !== undefined) attach(current, next);
  };
  return (socket) => {
    if (waiting.length >= MAX_WAITING) {
      socket.end();
      return;
    }
    waiting.push(socket);
    socket.once("close", () => {
      const index = waiting.indexOf(socket);
      if (index >= 0) waiting.splice(index, 1);
    });
    if (current === undefined) next();
  };
}

function attach(socket: QkdTlsSocket, done: () => void): void {
  const { stdin, stdout } = process;
  // An input that ended before says nothing about this peer: it may speak until it ends itself.
  if (stdin.readableEnded) socket.once("end", () => socket.end());
  else {
    stdin.pipe(socket);
    socket.once("end", () => {
      if (stdin.isTTY) socket.end();
    });
  }
  socket.pipe(stdout, { end: false });
  socket.once("close", () => {
    stdin.unpipe(socket);
    stdin.pause();
    done();
  });
}
