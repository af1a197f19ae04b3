/** The same channel in WebSocket messages: the same stream, options, events and evidence. */
export { connectWebSocket, type WebSocketConnectOptions } from "./connect.ts";
export { createWebSocketServer, type WebSocketListenOptions } from "./server.ts";
