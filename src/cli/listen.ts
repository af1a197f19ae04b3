/** A server that hands each connection to one function until it is told to end. */
import type { AddressInfo, Socket } from "node:net";
import { type EventEmitter, once } from "node:events";
import { createServer } from "../node/server.ts";
import type { ServerOptions } from "../node/options.ts";
import type { QkdTlsSocket } from "../node/socket.ts";
import { createWebSocketServer } from "../websocket/server.ts";
import { formatEndpoint, serverOptions, type Endpoint, type ServerFlags } from "./channel-options.ts";
import { evidenceLine, evidenceTable } from "./evidence.ts";
import { hintFor } from "./hint.ts";
import { keyLogFile } from "./keylog.ts";
import { errorRecord, messageOf } from "./output.ts";

/** Tells people `text`, or programs `event`. */
export type Tell = (event: Readonly<Record<string, unknown>>, text: string) => void;

export interface ListenOptions {
  readonly endpoint: Endpoint;
  /** Where to accept WebSockets as well. */
  readonly websocket?: Endpoint | undefined;
  readonly flags: ServerFlags & { readonly verbose?: boolean };
  /** Aborted to end the server; its reason is thrown. */
  readonly signal: AbortSignal;
  readonly tell: Tell;
  readonly maxConnections: number;
  /** Serves one connection. What it throws is told, and ends that connection alone. */
  serve(socket: QkdTlsSocket, from: string): Promise<void>;
  /** Hears of each handshake that failed, after it has been told. */
  readonly refused?: (error: Error) => void;
  /** Called before the connections are ended, to say good-bye. */
  closing?(): void;
  /** Ends the server once fulfilled or rejected. */
  readonly until?: Promise<void>;
}

/** How long connections may take to end with the server. */
const GRACE_MS = 1000;

/** Listens until the signal or `until`, then ends all connections. Throws a UsageError for options that are wrong. */
export async function listen(options: ListenOptions): Promise<void> {
  const { flags, signal } = options;
  const channel = serverOptions(flags);
  const keyLog = flags.keylog === undefined ? undefined : keyLogFile(flags.keylog);
  const doors: Door[] = [];
  try {
    doors.push(await openTcp(options, channel, keyLog));
    if (options.websocket !== undefined)
      doors.push(await openWebSocket(options, options.websocket, channel, keyLog));
    await Promise.race([aborted(signal), ...(options.until === undefined ? [] : [options.until])]);
  } finally {
    options.closing?.();
    await Promise.all(doors.map((door) => door.close()));
    keyLog?.close();
    channel.qkd?.source.close();
  }
}

/** One way in. */
interface Door {
  close(): Promise<void>;
}
type KeyLog = ReturnType<typeof keyLogFile> | undefined;

async function openTcp(options: ListenOptions, channel: ServerOptions, keyLog: KeyLog): Promise<Door> {
  const { endpoint, signal, tell } = options;
  const server = createServer(channel);
  server.maxConnections = options.maxConnections;
  keyLog?.watch(server);
  const transports = new Set<Socket>();
  const sockets = new Set<QkdTlsSocket>();
  server.on("connection", (transport: Socket) => {
    transports.add(transport);
    transport.once("close", () => transports.delete(transport));
  });
  server.on("tlsClientError", (error: Error, { remoteAddress, remotePort }: QkdTlsSocket) => {
    tellFailure(tell, "refused", formatEndpoint(remoteAddress, remotePort), error);
  });
  server.on("secureConnection", (socket: QkdTlsSocket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    void serveOne(socket, options);
  });
  server.listen(endpoint);
  await once(server, "listening", { signal });
  const { address, port } = server.address() as AddressInfo; // A server on a port has such an address.
  tell({ event: "listening", host: address, port }, `listening on ${formatEndpoint(address, port)}`);
  return {
    async close() {
      server.close();
      for (const socket of sockets) socket.end();
      await gone([...transports], (transport) => transport.destroy());
    },
  };
}

async function openWebSocket(
  options: ListenOptions,
  endpoint: Endpoint,
  channel: ServerOptions,
  keyLog: KeyLog,
): Promise<Door> {
  const { signal, tell, maxConnections } = options;
  const sockets = new Set<QkdTlsSocket>();
  const verifyClient = (): boolean => server.clients.size < maxConnections;
  const server = createWebSocketServer({ ...endpoint, verifyClient }, channel, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    keyLog?.watch(socket);
    void serveOne(socket, options);
  });
  server.on("tlsClientError", (error: Error) => tellFailure(tell, "refused", WEBSOCKET, error));
  await once(server, "listening", { signal });
  const { address, port } = server.address() as AddressInfo; // A server on a port has such an address.
  const where = formatEndpoint(address, port);
  tell({ event: "listening", host: address, port, websocket: true }, `listening on ws://${where}`);
  return {
    async close() {
      server.close();
      for (const socket of sockets) socket.end();
      await gone([...server.clients], (client) => client.terminate());
    },
  };
}

const WEBSOCKET = "a WebSocket";

/** Fulfilled when all have closed, those that take too long by force. */
async function gone<T extends EventEmitter>(
  connections: readonly T[],
  end: (connection: T) => void,
): Promise<void> {
  const timer = setTimeout(() => connections.forEach(end), GRACE_MS);
  await Promise.all(connections.map((each) => once(each, "close").catch(() => undefined)));
  clearTimeout(timer);
}

async function serveOne(socket: QkdTlsSocket, options: ListenOptions): Promise<void> {
  const { tell, flags } = options;
  const { security, remoteAddress, remotePort } = socket;
  const from = remoteAddress === undefined ? WEBSOCKET : formatEndpoint(remoteAddress, remotePort);
  // Whoever serves it hears of its errors; nobody listening would end the process.
  socket.on("error", () => undefined);
  if (security !== undefined) {
    const text = flags.verbose === true ? `connected\n${evidenceTable(security)}` : evidenceLine(security);
    tell({ event: "connection", remote: remoteAddress, port: remotePort, security }, `${from} ${text}`);
  }
  try {
    await options.serve(socket, from);
  } catch (error) {
    tellFailure(tell, "failed", from, error);
  }
}

function tellFailure(tell: Tell, event: "refused" | "failed", from: string, error: unknown): void {
  const hint = hintFor(error);
  const text = `${from} ${event}: ${messageOf(error)}${hint === undefined ? "" : ` (${hint})`}`;
  tell({ event, from, ...errorRecord(error) }, text);
}

/** Rejected with the reason once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error); // Who aborts gives an Error.
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
