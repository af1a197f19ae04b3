/** Faults of the line between two honest ends: a relay that lets so many bytes through, and then does something. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { converse, reach, type Served } from "./ends.ts";
import { type Fault, spread } from "./fault.ts";

type Way = "up" | "down";

/** Acts on what comes after the bytes that were let through; `first` says that it is the first of it. */
type Spoil = (bytes: Buffer, from: Socket, to: Socket, first: boolean) => void;

const SPOILS: Readonly<Record<string, Spoil>> = {
  "goes away": (_, from, to) => {
    to.end(() => to.destroy());
    from.destroy();
  },
  "is reset": (_, from, to) => {
    from.resetAndDestroy();
    to.resetAndDestroy();
  },
  "stops reading": (_, from) => void from.pause(),
  "changes a bit": (bytes, _, to, first) => {
    if (first) bytes[0]! ^= 1 << (bytes.length % 8);
    to.write(bytes);
  },
  "says it twice": (bytes, _, to, first) => {
    to.write(bytes);
    if (first) to.write(bytes);
  },
  "sends one byte at a time": (bytes, _, to) => {
    for (const byte of bytes) to.write(Uint8Array.of(byte));
  },
};

interface Relay {
  readonly port: number;
  /** The port that it has at the server. */
  readonly upstream: Promise<number>;
  readonly stop: () => void;
}

/** A relay of one connection, which the server has accepted before anything goes wrong. */
async function relay(served: Served, spoiled: Way, at: number, spoil: Spoil): Promise<Relay> {
  let arrived: (port: number) => void = () => undefined;
  const upstream = new Promise<number>((resolve) => {
    arrived = resolve;
  });
  const ends: Socket[] = [];
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    server.close();
    const to = { port: served.port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true };
    const target = connect(to, () => {
      const own = target.localPort ?? 0;
      arrived(own);
      const begin = (): void => {
        forward(client, target, spoiled === "up" ? at : Infinity, spoil);
        forward(target, client, spoiled === "down" ? at : Infinity, spoil);
      };
      void served.seen(own).then(begin);
    });
    ends.push(client, target);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = (): void => {
    server.close();
    for (const end of ends) end.destroy();
  };
  return { port: (server.address() as AddressInfo).port, upstream, stop };
}

function forward(from: Socket, to: Socket, at: number, spoil: Spoil): void {
  let seen = 0;
  let first = true;
  from.on("data", (bytes) => {
    const before = bytes.subarray(0, Math.max(0, at - seen));
    seen += bytes.length;
    if (before.length > 0) to.write(before);
    if (before.length === bytes.length) return;
    spoil(bytes.subarray(before.length), from, to, first);
    first = false;
  });
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroySoon());
}

/** The bytes that go each way in such a connection, about. */
const BYTES: Readonly<Record<Way, number>> = { up: 4200, down: 5500 };

/** Nobody may take less than everything for everything, so a client never just closes. */
const TYPED = /^(done|ERR_(TLS|CERT|PSK)_\w+|ERR_POLICY_\w+( < \w+)?|ERR_IDLE|ECONNRESET|EPIPE)$/;
const TYPED_OR_CLOSED = new RegExp(`closed|${TYPED.source}`);

const fault = (name: string, spoil: Spoil, way: Way): Fault => ({
  name: `the line ${name}, ${way === "up" ? "client to server" : "server to client"}`,
  client: name === "sends one byte at a time" ? /^done$/ : TYPED,
  server: TYPED_OR_CLOSED,
  async run({ shared, asClient }, turn) {
    const line = await relay(shared, way, spread(turn, BYTES[way]), spoil);
    const patience =
      name === "sends one byte at a time" ? {} : ({ handshakeTimeout: 1000, timeout: 1000 } as const);
    const client = await converse(reach(line.port, { ...asClient, ...patience }));
    const server = await withStop(shared.ending(await line.upstream), line.stop);
    line.stop();
    return { client, server };
  },
});

/** The client has ended: what still hangs in the relay is let go, as the kernel does with a dead peer. */
async function withStop(ending: Promise<string>, stop: () => void): Promise<string> {
  const grace = setTimeout(stop, 500);
  const how = await ending;
  clearTimeout(grace);
  return how;
}

export const wireFaults: readonly Fault[] = Object.entries(SPOILS).flatMap(([name, spoil]) =>
  (["up", "down"] as const).map((way) => fault(name, spoil, way)),
);
