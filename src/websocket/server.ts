import { type ServerOptions as WsServerOptions, WebSocketServer } from "ws";
import { ServerSide, upgradeServer } from "../node/server.ts";
import type { ServerOptions } from "../node/options.ts";
import type { QkdTlsSocket } from "../node/socket.ts";
import { WebSocketTransport } from "./transport.ts";

/** Four times what we ever send at once; this bounds what a peer can make us keep before it is authenticated. */
export const MAX_MESSAGE_BYTES = 2 ** 20;

/** Where to listen: `{ port, host }`, or `{ server }` for an http.Server that is there, or `{ noServer: true }`. */
export type WebSocketListenOptions = Pick<
  WsServerOptions,
  "host" | "port" | "server" | "noServer" | "path" | "backlog" | "verifyClient"
>;

/**
 * Accepts WebSockets and runs a server's channel in each. `listener` gets each socket whose handshake is done;
 * `tlsClientError` on the result brings each that failed, `degraded` what one is about to do without. Throws a UsageError as `createServer` does.
 */
export function createWebSocketServer(
  listen: WebSocketListenOptions,
  options: ServerOptions,
  listener: (socket: QkdTlsSocket) => void,
): WebSocketServer {
  const side = new ServerSide(options, "createWebSocketServer");
  const server = new WebSocketServer({ ...listen, perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES });
  server.on("connection", (websocket) => {
    const socket = upgradeServer(new WebSocketTransport(websocket), side);
    const failed = (error: Error): void => void server.emit("tlsClientError", error, socket);
    socket.once("error", failed);
    socket.on("degraded", (degraded: unknown) => server.emit("degraded", degraded, socket));
    socket.once("secure", () => {
      socket.removeListener("error", failed);
      listener(socket);
    });
  });
  server.once("close", () => side.close());
  return server;
}
