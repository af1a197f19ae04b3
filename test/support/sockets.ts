/** Servers and sockets on loopback that a test file need not clean up one by one. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import { connect, createServer } from "../../src/index.ts";
import type { ConnectOptions, QkdTlsServer, QkdTlsSocket, ServerOptions } from "../../src/index.ts";
import { credentials } from "./credentials.ts";

const own = credentials();
const servers = new Set<QkdTlsServer>();
const sockets = new Set<QkdTlsSocket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  sockets.clear();
  servers.clear();
});

/** A server on loopback; its errors and those of its sockets are the test's to look at, and never thrown. */
export async function listen(
  options: ServerOptions = {},
  listener: (socket: QkdTlsSocket) => void = () => undefined,
): Promise<{ readonly server: QkdTlsServer; readonly port: number }> {
  const server = createServer({ cert: own.certPem, key: own.keyPem, ...options }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    listener(socket);
  });
  servers.add(server);
  server.on("tlsClientError", (_, socket: QkdTlsSocket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** A client of that server; an error is never thrown, and `failure` waits for it. */
export function reach(port: number, options: ConnectOptions = {}): QkdTlsSocket {
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: own.caPem, ...options });
  socket.on("error", () => undefined);
  sockets.add(socket);
  return socket;
}

export const connected = async (socket: QkdTlsSocket): Promise<QkdTlsSocket> => {
  await Promise.race([
    once(socket, "secureConnect"),
    once(socket, "close").then(() => {
      throw socket.errored ?? new Error("closed");
    }),
  ]);
  return socket;
};

/** The error that a socket ends with. */
export const failure = async (socket: QkdTlsSocket): Promise<Error & { code?: string }> => {
  if (!socket.closed) await new Promise((resolve) => void socket.once("close", resolve));
  if (socket.errored === null) throw new Error("it closed without an error");
  return socket.errored;
};

export async function read(socket: QkdTlsSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
