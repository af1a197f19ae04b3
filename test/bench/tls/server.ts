/** One measured server in a process of its own; told what to do by its parent, over the process channel. */
import { stack, type Identity, type StackName } from "./stacks.ts";
import type { Duplex } from "node:stream";

/** What a server does with each connection. */
export type Behaviour = "hold" | "sink" | "source" | "echo";

const [, , name, behaviour, chunkBytes] = process.argv;
const sockets = new Set<Duplex>();

process.on("message", (message: { readonly identity?: Identity; readonly measure?: true }) => {
  if (message.identity !== undefined) void start(message.identity);
  if (message.measure) void memory().then((sizes) => process.send?.({ ...sizes, sockets: sockets.size }));
});
process.on("disconnect", () => process.exit(0));

async function start(identity: Identity): Promise<void> {
  const { port } = await stack(name as StackName).listen(identity, onConnection);
  process.send?.({ port });
}

function onConnection(socket: Duplex): void {
  sockets.add(socket);
  socket.on("error", () => undefined);
  socket.on("close", () => sockets.delete(socket));
  switch (behaviour as Behaviour) {
    case "echo":
      socket.on("data", (chunk) => socket.write(chunk));
      return;
    case "source":
      socket.resume();
      pump(socket, Buffer.alloc(Number(chunkBytes), 7));
      return;
    case "sink":
      sink(socket);
      return;
    case "hold":
      socket.resume();
  }
}

/** Writes without end, as fast as the stream takes it. */
function pump(socket: Duplex, chunk: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  more();
}

/** Counts what comes and tells the parent, which knows the time. */
function sink(socket: Duplex): void {
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  const timer = setInterval(() => process.send?.({ received }), 50);
  socket.on("close", () => clearInterval(timer));
}
let received = 0;

/** After collections with pauses, in which V8 gives back what it keeps for busy times. */
async function memory(): Promise<{ rss: number; heap: number }> {
  const { gc } = globalThis as { gc?: () => void };
  for (let round = 0; round < 5; round++) {
    gc?.();
    await new Promise((resolve) => void setTimeout(resolve, 100));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
