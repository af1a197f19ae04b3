import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { QkdTlsSocket } from "../../node/socket.ts";
import { evidenceTable } from "../evidence.ts";

/** A connection that says nothing for so long is closed. */
const IDLE_MS = 30_000;

/** Answers any request of HTTP/1.x with a page that describes its connection, and closes. */
export function www(): (socket: QkdTlsSocket) => void {
  const server = createServer({ requireHostHeader: false, keepAlive: false }, answer);
  server.timeout = IDLE_MS;
  server.on("clientError", (_: Error, socket) => {
    if (socket.writable)
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  return (socket) => void server.emit("connection", socket);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const security = socket instanceof QkdTlsSocket ? socket.security : undefined;
  const body = Buffer.from(page(security === undefined ? "" : evidenceTable(security)));
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": body.length,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    Connection: "close",
  });
  response.end(body);
  request.resume();
}

const page = (table: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>qkd-tls</title></head>
<body>
<h1>What protects this connection</h1>
<pre>${escaped(table)}</pre>
</body>
</html>
`;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (found) => ENTITIES[found] ?? found);
