/** A stock http.Server: it is fed our sockets by its `connection` event and does not know the difference. */
import http from "node:http";
import { createServer, type QkdTlsServer, QkdTlsSocket, type ServerOptions } from "qkd-tls";

export function createHttpsServer(options: ServerOptions): QkdTlsServer {
  const web = http.createServer((request, response) => {
    const socket: unknown = request.socket;
    const security = socket instanceof QkdTlsSocket ? socket.security : undefined;
    response.setHeader("content-type", "text/plain");
    response.end(`${request.url} came over ${security?.group} and the QKD key ${security?.qkd?.keyId}\n`);
  });
  return createServer(options, (socket) => web.emit("connection", socket));
}
