/**
 * How two sites find each other: one listens on a port, the other connects, and each connection is one of two kinds.
 * The first byte says which: 22 begins a TLS record (RFC 9846 §5.1), 81 the classical channel.
 */

import { createServer, type Server, type Socket } from "node:net";
import { Dialler } from "./dialler.ts";
import { type Endpoint, listenAt } from "./endpoint.ts";

export type Meet = { readonly listen: Endpoint } | { readonly connect: Endpoint };

export interface MeetingOptions {
  readonly meet: Meet;
  /** A connection of either kind; whoever is given it destroys it. */
  readonly onChannel: (socket: Socket) => void;
  readonly onPeer: (socket: Socket) => void;
}

const TLS_HANDSHAKE = 22;
const CHANNEL = 0x51;
const FIRST_BYTE_MS = 5000;
const MOST_CONNECTIONS = 32;
const KEEP_ALIVE_MS = 10_000;

export interface Meeting {
  /** Where it listens, if it does. */
  readonly endpoint: Endpoint | undefined;
  /** The connections are of use; a later one is not waited for long. */
  isGood(kind: "channel" | "peer"): void;
  /** A connection for the channel is wanted now. */
  hurry(): void;
  close(): Promise<void>;
}

/** Fulfilled once it listens; connections are made later, and again whenever one is gone. Throws UsageError. */
export async function startMeeting(options: MeetingOptions): Promise<Meeting> {
  const { meet } = options;
  return "listen" in meet ? await listening(meet.listen, options) : dialling(meet.connect, options);
}

async function listening(at: Endpoint, options: MeetingOptions): Promise<Meeting> {
  const sockets = new Set<Socket>();
  const server: Server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
    (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      // Why it failed is told by its being closed.
      socket.on("error", () => undefined);
      sort(socket, options);
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  const endpoint = await listenAt(server, at);
  return {
    endpoint,
    isGood: () => undefined,
    hurry: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function dialling(to: Endpoint, { onChannel, onPeer }: MeetingOptions): Meeting {
  const channel = new Dialler(to, (socket) => {
    socket.write(Uint8Array.of(CHANNEL));
    onChannel(socket);
  });
  const peer = new Dialler(to, onPeer);
  return {
    endpoint: undefined,
    isGood: (kind) => (kind === "channel" ? channel : peer).isGood(),
    hurry: () => channel.hurry(),
    async close() {
      channel.close();
      peer.close();
    },
  };
}

function sort(socket: Socket, { onChannel, onPeer }: MeetingOptions): void {
  const late = setTimeout(() => socket.destroy(), FIRST_BYTE_MS);
  socket.once("close", () => clearTimeout(late));
  socket.once("readable", () => {
    clearTimeout(late);
    const first = socket.read(1) as Uint8Array | null; // a byte, or the end
    const kind = first?.[0];
    if (first === null || (kind !== TLS_HANDSHAKE && kind !== CHANNEL)) return void socket.destroy();
    if (kind === TLS_HANDSHAKE) socket.unshift(first);
    // In a turn of its own: the stream only then flows again for whoever listens next.
    setImmediate(() => {
      if (!socket.destroyed) (kind === CHANNEL ? onChannel : onPeer)(socket);
    });
  });
}
