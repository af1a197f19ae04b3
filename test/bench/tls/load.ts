/** What is measured, one function a row. Each runs in the client's process for about `seconds`. */
import type { Duplex } from "node:stream";
import type { Identity, Stack } from "./stacks.ts";

const now = (): number => performance.now() / 1000;

/** Full handshakes a second, `inFlight` at a time. */
export async function handshakes(
  stack: Stack,
  identity: Identity,
  port: number,
  seconds: number,
  inFlight: number,
): Promise<number> {
  let done = 0;
  let until = now() + Math.min(0.5, seconds / 4);
  const worker = async (): Promise<void> => {
    while (now() < until) {
      const socket = await stack.connect(identity, port);
      socket.destroy();
      done++;
    }
  };
  const all = (): Promise<unknown> => Promise.all(Array.from({ length: inFlight }, worker));
  await all();
  done = 0;
  const start = now();
  until = start + seconds;
  await all();
  return done / (now() - start);
}

/** Resumed handshakes a second, one at a time. Throws when one was not resumed. */
export async function resumptions(
  stack: Stack,
  identity: Identity,
  port: number,
  seconds: number,
): Promise<number> {
  const first = await stack.connect(identity, port);
  const session = await stack.session(first);
  first.destroy();
  let done = 0;
  const start = now();
  while (now() < start + seconds) {
    const socket = await stack.connect(identity, port, session);
    const reused = (socket as Duplex & { isSessionReused(): boolean }).isSessionReused();
    if (!reused) throw new Error(`${stack.name} did not resume`);
    socket.destroy();
    done++;
  }
  return done / (now() - start);
}

/** Bytes a second from server to client. */
export async function download(
  stack: Stack,
  identity: Identity,
  port: number,
  seconds: number,
): Promise<number> {
  const socket = await stack.connect(identity, port);
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await sleep(Math.min(0.3, seconds / 4));
  bytes = 0;
  const start = now();
  await sleep(seconds);
  const rate = bytes / (now() - start);
  socket.destroy();
  return rate;
}

/** Bytes a second from client to server, as the server counts them. */
export async function upload(
  stack: Stack,
  identity: Identity,
  port: number,
  seconds: number,
  chunkBytes: number,
): Promise<void> {
  const socket = await stack.connect(identity, port);
  const chunk = Buffer.alloc(chunkBytes, 7);
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  more();
  await sleep(seconds);
  socket.destroy();
}

/** 64-byte round trips a second. */
export async function roundTrips(
  stack: Stack,
  identity: Identity,
  port: number,
  seconds: number,
): Promise<number> {
  const socket = await stack.connect(identity, port);
  const message = Buffer.alloc(64, 7);
  let done = 0;
  let missing = 0;
  const finished = new Promise<number>((resolve) => {
    let start = 0;
    const next = (): void => {
      if (start === 0 && done > 200) [start, done] = [now(), 0];
      if (start > 0 && now() > start + seconds) return resolve(done / (now() - start));
      missing = 64;
      socket.write(message);
    };
    socket.on("data", (chunk: Buffer) => {
      missing -= chunk.length;
      if (missing > 0) return;
      done++;
      next();
    });
    next();
  });
  const rate = await finished;
  socket.destroy();
  return rate;
}

/** Opens idle connections and keeps them. */
export async function hold(
  stack: Stack,
  identity: Identity,
  port: number,
  count: number,
): Promise<readonly Duplex[]> {
  const sockets: Duplex[] = [];
  for (let i = 0; i < count; i += 10) {
    sockets.push(...(await Promise.all(Array.from({ length: 10 }, () => stack.connect(identity, port)))));
  }
  return sockets;
}

export const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, seconds * 1000));
