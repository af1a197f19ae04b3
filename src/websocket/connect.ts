import { type ClientOptions as WsOptions, WebSocket } from "ws";
import { UsageError } from "../protocol/errors.ts";
import { connect } from "../node/connect.ts";
import type { ConnectOptions } from "../node/options.ts";
import type { QkdTlsSocket } from "../node/socket.ts";
import { MAX_MESSAGE_BYTES } from "./server.ts";
import { WebSocketTransport } from "./transport.ts";

export interface WebSocketConnectOptions extends Omit<ConnectOptions, "host" | "port" | "path" | "socket"> {
  /** Of the WebSocket itself: headers, protocols of TLS for wss:, agent. As in ws. */
  readonly websocket?: WsOptions;
}

/**
 * Opens a WebSocket (ws: or wss:) and a channel inside it. The name to verify is the URL's host unless `servername`
 * says another. Throws a UsageError for a URL that is none.
 */
export function connectWebSocket(
  url: string | URL,
  { websocket, ...options }: WebSocketConnectOptions,
  listener?: () => void,
): QkdTlsSocket {
  const target = readUrl(url);
  const socket = new WebSocket(target, {
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    ...websocket,
  });
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const transport = new WebSocketTransport(socket);
  try {
    return connect({ ...options, host, socket: transport }, listener);
  } catch (error) {
    // A wrong option leaves nothing behind: neither a connection nor an error that nobody hears.
    transport.on("error", () => undefined);
    transport.destroy();
    throw error;
  }
}

function readUrl(url: string | URL): URL {
  const target = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (target?.protocol !== "ws:" && target?.protocol !== "wss:") {
    throw new UsageError("ERR_OPTION_INVALID", `url: ${String(url)} is no ws: or wss: URL`, {
      option: "url",
    });
  }
  return target;
}
