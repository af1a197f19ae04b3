/** npx tsx examples/chat/main.ts: a room with ben, who came by WebSocket, and you as anna, by TCP. Ctrl-D leaves. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type QkdTlsSocket } from "qkd-tls";
import { connectWebSocket, createWebSocketServer } from "qkd-tls/websocket";
import { testBed } from "../test-bed.ts";
import { Room } from "./room.ts";

const bed = await testBed({ clients: ["anna", "ben"], server: "room" });
const keys = { room: bed.keys("room"), anna: bed.keys("anna"), ben: bed.keys("ben") };

// The room, with a door for TCP and one for WebSocket. A client certificate says who comes in.
const room = new Room();
const enter = (socket: QkdTlsSocket): void => void room.enter(socket);
const identity = { ...bed.identity("server"), ca: bed.ca, requestCert: true };
const serverOptions = {
  ...identity,
  qkd: { source: keys.room, allow: ["anna", "ben"] },
  allowHalfOpen: true,
};
const tcp = createServer(serverOptions, enter).listen(0, "localhost");
const web = createWebSocketServer({ host: "localhost", port: 0 }, serverOptions, enter);
await Promise.all([once(tcp, "listening"), once(web, "listening")]);
const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

// Two people. Each prints what is heard.
const clientOptions = (name: "anna" | "ben") => {
  return {
    ...bed.identity(name),
    ca: bed.ca,
    qkd: { source: keys[name], peer: "room" },
    allowHalfOpen: true,
  };
};
const ben = connectWebSocket(`ws://localhost:${port(web)}`, clientOptions("ben"));
ben
  .setEncoding("utf8")
  .on("data", (text: string) => process.stdout.write(text.replace(/^(?=.)/gm, "\t(ben reads) ")));
await once(ben, "data");
const anna = connect({ ...clientOptions("anna"), host: "localhost", port: port(tcp) });
anna.pipe(process.stdout);
await once(anna, "data");
ben.write("hello anna\n");
await once(anna, "data");
process.stdin.pipe(anna);

await once(anna, "end");
ben.end();
await once(ben, "close");
for (const each of [tcp, web, ...Object.values(keys), bed]) each.close();
