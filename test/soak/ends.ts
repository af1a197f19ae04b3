/** Both ends of a connection under test, and how each of them ends. */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import {
  connect,
  type ConnectOptions,
  createServer,
  type QkdTlsServer,
  type QkdTlsSocket,
  type ServerOptions,
} from "../../src/index.ts";
import { credentials } from "../support/credentials.ts";
import { watch } from "./census.ts";

const own = credentials();

/** What a client sends and wants back. */
const PAYLOAD = Buffer.alloc(2048, "all is well. ");

/** A code, with that of its cause; `closed` without an error. */
export function codeOf(error: (Error & { code?: unknown }) | null | undefined): string {
  if (error === null || error === undefined) return "closed";
  const code = typeof error.code === "string" ? error.code : `untyped: ${error.message}`;
  return error.cause instanceof Error && code.startsWith("ERR_POLICY")
    ? `${code} < ${codeOf(error.cause)}`
    : code;
}

export const closing = (socket: QkdTlsSocket): Promise<string> =>
  new Promise((resolve) => {
    const done = (): void => resolve(codeOf(socket.errored));
    if (socket.closed) done();
    else socket.once("close", done);
  });

interface Arrival {
  readonly seen: Promise<void>;
  readonly come: () => void;
  readonly ended: Promise<string>;
  readonly end: (how: string) => void;
}

/** A server on loopback that tells how its connections ended, by the port that the client had. */
export class Served {
  readonly server: QkdTlsServer;
  readonly #arrivals = new Map<number, Arrival>();

  private constructor(server: QkdTlsServer) {
    this.server = server;
    server.on("connection", ({ remotePort }: Socket) => this.#arrival(remotePort ?? 0).come());
    server.on("tlsClientError", (error: Error, socket: QkdTlsSocket) => {
      watch(socket);
      this.#arrival(socket.remotePort ?? 0).end(codeOf(error));
    });
    server.on("secureConnection", (socket: QkdTlsSocket) => {
      const { end } = this.#arrival(watch(socket).remotePort ?? 0);
      socket.on("error", () => undefined);
      void closing(socket).then(end);
    });
  }

  /** The first listener serves; by default it says everything again. */
  static async start(
    options: ServerOptions = {},
    serve: (socket: QkdTlsSocket) => void = (socket) => void socket.pipe(socket),
  ): Promise<Served> {
    const served = new Served(createServer({ cert: own.certPem, key: own.keyPem, ...options }, serve));
    served.server.listen(0, "127.0.0.1");
    await once(served.server, "listening");
    return served;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The connection from this port was accepted. */
  seen(port: number): Promise<void> {
    return this.#arrival(port).seen;
  }

  /** How the connection from this port ended. To be asked once; 0 is a client that gave up before it had a port. */
  async ending(port: number): Promise<string> {
    if (port === 0) return "never came";
    const how = await this.#arrival(port).ended;
    this.#arrivals.delete(port);
    return how;
  }

  /** Resolves when every connection is gone. */
  async close(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    await closed;
  }

  #arrival(port: number): Arrival {
    const known = this.#arrivals.get(port);
    if (known !== undefined) return known;
    let come: Arrival["come"] = () => undefined;
    let end: Arrival["end"] = () => undefined;
    const seen = new Promise<void>((resolve) => {
      come = resolve;
    });
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const arrival = { seen, come, ended, end };
    this.#arrivals.set(port, arrival);
    return arrival;
  }
}

/** A client of ours, watched, whose errors are looked at when it closes. */
export function reach(port: number, options: ConnectOptions = {}): QkdTlsSocket {
  const socket = watch(
    connect({ port, host: "127.0.0.1", servername: "localhost", ca: own.caPem, ...options }),
  );
  socket.on("error", () => undefined);
  return socket;
}

/** Sends the payload and wants it back: `done`, `corrupted`, or how the connection ended without that. */
export async function converse(socket: QkdTlsSocket): Promise<string> {
  const received: Buffer[] = [];
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    received.push(chunk);
    bytes += chunk.length;
    if (bytes >= PAYLOAD.length) socket.end();
  });
  socket.on("secureConnect", () => void socket.write(PAYLOAD));
  socket.on("timeout", () => socket.destroy(Object.assign(new Error("idle"), { code: "ERR_IDLE" })));
  const how = await closing(socket);
  const got = Buffer.concat(received);
  if (!got.equals(PAYLOAD.subarray(0, got.length))) return "corrupted";
  return got.length === PAYLOAD.length ? "done" : how;
}

/** The client's own port, once it has one; 0 when it never got that far. */
export async function portOf(socket: Socket | QkdTlsSocket): Promise<number> {
  if (socket.localPort === undefined) {
    await Promise.race([
      new Promise((resolve) => void socket.once("connect", resolve)),
      new Promise((resolve) => void socket.once("close", resolve)),
    ]);
  }
  return socket.localPort ?? 0;
}
