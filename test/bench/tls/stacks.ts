/** The TLS stacks that are measured, each behind the same few calls. */
import { createHmac, randomUUID } from "node:crypto";
import type { AddressInfo, Server } from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { connect, createServer } from "../../../src/index.ts";
import type { KeySource } from "../../../src/qkd/source.ts";

export type StackName = "qkd-tls" | "qkd-tls+qkd" | "node:tls" | "lemon-tls";

export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Stack {
  readonly name: StackName;
  listen(
    identity: Identity,
    onConnection: (socket: Duplex) => void,
  ): Promise<{ port: number; server: Server }>;
  /** Resolves once the handshake is done. */
  connect(identity: Identity, port: number, session?: Buffer): Promise<Duplex>;
  /** The newest session of a connection, once it has come. */
  session(socket: Duplex): Promise<Buffer>;
}

const nativeMlKem =
  Number(process.versions.openssl.split(".")[0]) > 3 || /^3\.([5-9]|\d\d)/.test(process.versions.openssl);
/** What node:tls of this Node can agree on; ours is X25519MLKEM768 everywhere. */
export const nodeGroup = nativeMlKem ? "X25519MLKEM768" : "X25519";
const SUITE = "TLS_AES_256_GCM_SHA384";

export function stack(name: StackName): Stack {
  if (name === "node:tls") return nodeTls;
  if (name === "lemon-tls") return lemonTls;
  return ours(name, name === "qkd-tls+qkd");
}

function listening(server: Server): Promise<{ port: number; server: Server }> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port, server }));
  });
}

const nodeTls: Stack = {
  name: "node:tls",
  listen({ cert, key }, onConnection) {
    const server = tls.createServer(
      { cert, key, ecdhCurve: nodeGroup, ciphers: SUITE, noDelay: true },
      onConnection,
    );
    return listening(server);
  },
  connect({ ca }, port, session) {
    context ??= tls.createSecureContext({ ca, ecdhCurve: nodeGroup, ciphers: SUITE });
    const options = {
      host: "127.0.0.1",
      port,
      servername: "localhost",
      secureContext: context,
      noDelay: true,
    };
    return connected((done) =>
      tls.connect({ ...options, ...(session === undefined ? {} : { session }) }, done),
    );
  },
  session: newSession,
};
let context: tls.SecureContext | undefined;

function ours(name: StackName, withQkd: boolean): Stack {
  const shared = { suites: [SUITE], groups: ["X25519MLKEM768"] } as const;
  return {
    name,
    listen({ cert, key }, onConnection) {
      const qkd = withQkd ? { qkd: { source: seededSource("sae-b"), maxPerPeerPerMinute: 10_000_000 } } : {};
      return listening(createServer({ ...shared, cert, key, ...qkd }, onConnection));
    },
    connect({ ca }, port, session) {
      const options = {
        ...shared,
        host: "127.0.0.1",
        port,
        servername: "localhost",
        ca,
        ...(withQkd ? { qkd: clientQkd } : {}),
        ...(session === undefined ? {} : { session }),
      };
      return connected((done) => connect(options, done));
    },
    session: newSession,
  };
}

/** lemon-tls is classical only: X25519 on its side of the table. */
const lemonTls: Stack = {
  name: "lemon-tls",
  async listen({ cert, key }, onConnection) {
    const lemon = (await import("lemon-tls")) as unknown as typeof tls;
    return listening(lemon.createServer({ cert, key, ciphers: SUITE, minVersion: "TLSv1.3" }, onConnection));
  },
  async connect({ ca }, port, session) {
    const lemon = (await import("lemon-tls")) as unknown as typeof tls;
    const options = { host: "127.0.0.1", port, servername: "localhost", ca, minVersion: "TLSv1.3" as const };
    return connected((done) =>
      lemon.connect({ ...options, ...(session === undefined ? {} : { session }) }, done),
    );
  },
  session: newSession,
};

function connected(open: (done: () => void) => Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = open(() => {
      socket.removeListener("error", reject);
      socket.on("error", () => undefined);
      resolve(socket);
    });
    socket.once("error", reject);
    // A ticket may come in the same turn as the end of the handshake.
    socket.on("session", (session: Buffer) => sessions.set(socket, session));
  });
}
const sessions = new WeakMap<Duplex, Buffer>();

function newSession(socket: Duplex): Promise<Buffer> {
  const known = sessions.get(socket);
  if (known !== undefined) return Promise.resolve(known);
  return new Promise((resolve, reject) => {
    socket.resume();
    socket.once("session", (session: Buffer) => resolve(session));
    socket.once("close", () => reject(new Error("closed before a session came")));
    setTimeout(() => reject(new Error("no session came within two seconds")), 2000).unref();
  });
}

/**
 * A source in both processes at once: each key follows from its id and a seed, so that no third process
 * has a share in what is measured.
 */
function seededSource(sae: string): KeySource {
  const counters = { drawn: 0, redeemed: 0, lost: 0, expired: 0, failures: 0 };
  const make = (id: string) => ({
    id,
    key: new Uint8Array(createHmac("sha256", "benchmark").update(id).digest()),
    simulated: true,
    kind: "in-process",
  });
  return {
    kind: "in-process",
    sae,
    simulated: true,
    counters,
    draw: () => Promise.resolve(make(randomUUID())),
    redeem: (_, id) => Promise.resolve(make(id)),
    status: (peer) => Promise.resolve({ peer, keyBits: 256, simulated: true }),
    close: () => undefined,
  };
}
const clientQkd = { source: seededSource("sae-a"), peer: "sae-b" };
