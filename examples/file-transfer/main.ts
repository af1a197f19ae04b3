/** npx tsx examples/file-transfer/main.ts [file [directory]]: carries a file over TCP, then in WebSocket messages. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { connect, createServer, type QkdTlsSocket } from "qkd-tls";
import { connectWebSocket, createWebSocketServer } from "qkd-tls/websocket";
import { testBed } from "../test-bed.ts";
import { receive, send } from "./transfer.ts";

const bed = await testBed();
const [file = "package-lock.json", directory = bed.directory] = process.argv.slice(2);

// The receiver. It chooses the name: one from the other side could lead anywhere.
const source = bed.keys("sae-b");
const serverOptions = { ...bed.identity("server"), qkd: { source, allow: ["sae-a"] }, allowHalfOpen: true };
const store = (way: string) => (socket: QkdTlsSocket) => {
  socket.on("error", (error) => console.error(error.message));
  void receive(socket, join(directory, `${way}-${basename(file)}`)).catch(() => socket.destroy());
};
const tcp = createServer(serverOptions, store("tcp")).listen(0, "localhost");
const web = createWebSocketServer({ host: "localhost", port: 0 }, serverOptions, store("websocket"));
await Promise.all([once(tcp, "listening"), once(web, "listening")]);
const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

// The sender.
const keys = bed.keys("sae-a");
const clientOptions = { ca: bed.ca, qkd: { source: keys, peer: "sae-b" }, allowHalfOpen: true };
for (const socket of [
  connect({ ...clientOptions, host: "localhost", port: port(tcp) }),
  connectWebSocket(`ws://localhost:${port(web)}`, clientOptions),
]) {
  const sha256 = await send(socket, file);
  console.log(
    `${sha256}  ${file}, by ${socket.security?.group} and the QKD key ${socket.security?.qkd?.keyId}`,
  );
}

for (const each of [tcp, web, source, keys, bed]) each.close();
