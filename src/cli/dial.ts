/** A client's connection, over TCP or in a WebSocket. */
import { connect } from "../node/connect.ts";
import type { ConnectOptions } from "../node/options.ts";
import type { QkdTlsSocket } from "../node/socket.ts";
import { connectWebSocket } from "../websocket/connect.ts";
import { type Endpoint, parseEndpoint } from "./channel-options.ts";
import { bad } from "./value.ts";

export type Target = Endpoint | URL;

/** `host:port`, or a ws: or wss: URL. Throws a UsageError. */
export function parseTarget(text: string): Target {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseEndpoint(text, "host:port", false);
  if (!/^wss?:/i.test(text) || !URL.canParse(text)) {
    throw bad("host:port", `${JSON.stringify(text)} is neither host:port nor a ws: or wss: URL`);
  }
  return new URL(text);
}

/**
 * Connects; fulfilled when the channel stands. `onSocket` meets the socket before its handshake.
 * Throws what the handshake ended with.
 */
export async function dial(
  target: Target,
  options: ConnectOptions,
  onSocket: (socket: QkdTlsSocket) => void = () => undefined,
): Promise<QkdTlsSocket> {
  const socket =
    target instanceof URL ? connectWebSocket(target, options) : connect({ ...options, ...target });
  onSocket(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    // It stays, so that a late error of a connection that is done with ends nothing.
    socket.on("error", reject);
    socket.once("close", () =>
      reject(Object.assign(new Error("the connection was closed early"), { code: "ECONNRESET" })),
    );
  });
  return socket;
}
