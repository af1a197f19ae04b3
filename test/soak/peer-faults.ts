/** Peers that speak no TLS, or stop in the middle of it: one end is ours, the other a bare socket. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { QkdTlsSocket } from "../../src/index.ts";
import { closing, converse, portOf, reach, Served } from "./ends.ts";
import { type Bed, type Fault, spread } from "./fault.ts";

const HTTP = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** The header of a handshake record that says 512 bytes, and some of them. */
const HALF_A_HELLO = Uint8Array.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...new Uint8Array(90)]);
const noise = (turn: number): Uint8Array =>
  Uint8Array.from({ length: 100 + spread(turn, 3000) }, (_, at) => spread(turn + at, 256));

/** A handshake's time limit where nothing else ends it; elsewhere a loaded machine must not run into it. */
const limit = (expected: RegExp): { readonly handshakeTimeout: number } => ({
  handshakeTimeout: expected.test("ERR_TLS_TIMEOUT") ? 400 : 30_000,
});

/** A bare client of a server of ours. */
const bareClient = (name: string, server: RegExp, speak: (socket: Socket, turn: number) => void): Fault => ({
  name: `a client ${name}`,
  server,
  async run({ asServer }, turn) {
    const served = await Served.start({ ...asServer, ...limit(server) });
    const socket = connect({ port: served.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.resume();
    const port = await portOf(socket);
    speak(socket, turn);
    const how = await served.ending(port);
    socket.destroy();
    await served.close();
    return { server: how };
  },
});

/** A bare server for a client of ours. */
const bareServer = (name: string, client: RegExp, speak: (socket: Socket, turn: number) => void): Fault => ({
  name: `a server ${name}`,
  client,
  async run({ asClient }, turn) {
    const accepted: Socket[] = [];
    const server = createServer((socket) => {
      accepted.push(socket);
      socket.on("error", () => undefined);
      speak(socket, turn);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const how = await converse(reach(port, { ...asClient, ...limit(client) }));
    for (const socket of accepted) socket.destroy();
    server.close();
    return { client: how };
  },
});

const NOT_TLS =
  /^ERR_TLS_(UNEXPECTED_MESSAGE|DECODE|RECORD_OVERFLOW|VERSION|ILLEGAL_PARAMETER|TIMEOUT|LIMIT)$/;
const LEFT = /^(ERR_TLS_TRUNCATED|ECONNRESET|EPIPE)$/;

const bare: readonly Fault[] = [
  bareClient("says nothing", /^ERR_TLS_TIMEOUT$/, () => undefined),
  bareClient("connects and leaves", LEFT, (socket) => void socket.destroy()),
  bareClient("speaks HTTP", NOT_TLS, (socket) => void socket.write(HTTP)),
  bareClient("sends noise", NOT_TLS, (socket, turn) => void socket.write(noise(turn))),
  bareClient("stops in mid-ClientHello", /^ERR_TLS_TIMEOUT$/, (socket) => void socket.write(HALF_A_HELLO)),
  bareClient("leaves in mid-ClientHello", LEFT, (socket) => void socket.end(HALF_A_HELLO)),
  bareServer("says nothing", /^ERR_TLS_TIMEOUT$/, (socket) => void socket.resume()),
  bareServer("closes at once", LEFT, (socket) => void socket.destroy()),
  bareServer("resets at once", LEFT, (socket) => void socket.resetAndDestroy()),
  bareServer("speaks HTTP", NOT_TLS, (socket) => void socket.write(HTTP)),
  bareServer("sends noise", NOT_TLS, (socket, turn) => void socket.write(noise(turn))),
  bareServer("says what we said", NOT_TLS, (socket) => void socket.pipe(socket)),
  {
    name: "nobody listens",
    client: /^ECONNREFUSED$/,
    async run({ asClient }) {
      const gone = createServer();
      gone.listen(0, "127.0.0.1");
      await once(gone, "listening");
      const { port } = gone.address() as AddressInfo;
      gone.close();
      await once(gone, "close");
      return { client: await converse(reach(port, asClient)) };
    },
  },
];

const MUCH = Buffer.alloc(256 * 1024);

/** Writes without end, as far as the other end reads. */
function pour(socket: QkdTlsSocket): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(MUCH)) continue;
  };
  socket.on("drain", more);
  more();
}

/** Both ends are ours; the connection stands and data flows when one of them fails the other. */
const standing: readonly Fault[] = [
  {
    name: "a client stops reading for good",
    client: /^closed$/,
    server: /^ERR_IDLE$/,
    async run({ asClient, asServer }) {
      const served = await Served.start(asServer, (socket) => {
        socket.setTimeout(400, () => socket.destroy(Object.assign(new Error("idle"), { code: "ERR_IDLE" })));
        pour(socket);
      });
      const client = reach(served.port, asClient);
      client.pause();
      const port = await portOf(client);
      const server = await served.ending(port);
      client.destroy();
      const how = await closing(client);
      await served.close();
      return { client: how, server };
    },
  },
  leavesWhilePouring("client"),
  leavesWhilePouring("server"),
];

function leavesWhilePouring(side: "client" | "server"): Fault {
  const gone = /^(ERR_TLS_TRUNCATED|ECONNRESET|EPIPE)$/;
  // A write was under way when it destroyed itself.
  const left = /^(closed|ERR_STREAM_DESTROYED)$/;
  const [client, server] = side === "client" ? [left, gone] : [gone, left];
  return {
    name: `a ${side} disappears while data flows both ways`,
    client,
    server,
    async run({ asClient, asServer }: Bed, turn) {
      const enough = 1 + spread(turn, 3_000_000);
      const leave = (socket: QkdTlsSocket): void => {
        let bytes = 0;
        socket.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes >= enough) socket.destroy();
        });
      };
      const served = await Served.start(asServer, (socket) => {
        if (side === "server") leave(socket);
        else socket.resume();
        pour(socket);
      });
      const socket = reach(served.port, asClient);
      if (side === "client") leave(socket);
      else socket.resume();
      socket.once("secureConnect", () => pour(socket));
      const port = await portOf(socket);
      const ending = { client: await closing(socket), server: await served.ending(port) };
      await served.close();
      return ending;
    },
  };
}

export const peerFaults: readonly Fault[] = [...bare, ...standing];
