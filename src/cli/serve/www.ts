import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { QkdTlsSocket } from "../../node/socket.ts";
import { evidenceTable } from "../evidence.ts";

/** A connection that says nothing for so long is closed. */
const IDLE_MS = 30_000;

/** Answers any request of HTTP/1.x with a page that describes its connection, and closes. */
export function www(): (socket: QkdTlsSocket) => void {
  const server = createServer({ requireHostHeader: false, keepAlive: false }, answer);
  server.timeout = IDLE_MS;
  server.on("clientError", (error: Error & { readonly rawPacket?: Buffer }, socket) => {
    if (!socket.writable) return;
    const [, method] = TYPED.exec(error.rawPacket?.toString("latin1") ?? "") ?? [];
    if (method === undefined) socket.end(head("400 Bad Request", { "Content-Length": 0 }));
    else {
      const { fields, body } = described(socket);
      socket.end(`${head("200 OK", fields)}${method === "HEAD" ? "" : body.toString()}`);
    }
  });
  return (socket) => void server.emit("connection", socket);
}

/** A request typed by hand: its lines end in a bare line feed, which Node refuses. RFC 9112 §2.2 allows it. */
const TYPED = /^(GET|HEAD) \S+ HTTP\/1\.[01]\n/;

function head(status: string, fields: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries({ ...fields, Connection: "close" }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [`HTTP/1.1 ${status}`, ...lines, "", ""].join("\r\n");
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { fields, body } = described(request.socket);
  response.writeHead(200, { ...fields, Connection: "close" });
  response.end(body);
  request.resume();
}

function described(socket: Duplex) {
  const security = socket instanceof QkdTlsSocket ? socket.security : undefined;
  const body = Buffer.from(page(security === undefined ? "" : evidenceTable(security)));
  const fields = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": body.length,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
  };
  return { fields, body };
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
