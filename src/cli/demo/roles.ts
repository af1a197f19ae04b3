/** What the processes of the demo do. */
import { readFileSync } from "node:fs";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type KmePair, startPair } from "../../kme/pair.ts";
import type { Degradation } from "../../handshake/policy.ts";
import type { BlockRecord } from "../../link/block.ts";
import { connect } from "../../node/connect.ts";
import { createServer } from "../../node/server.ts";
import type { QkdTlsSocket } from "../../node/socket.ts";
import { clientOptions, serverOptions, type ClientFlags } from "../channel-options.ts";
import { errorRecord } from "../output.ts";
import { echo } from "../serve/echo.ts";
import { receiveInto } from "../transfer/receive.ts";
import type { Report } from "../transfer/report.ts";
import { sendPath } from "../transfer/send.ts";
import type { Account, Handlers, Role } from "./orders.ts";

const HOST = "127.0.0.1";
const ACCOUNT_MS = 5000;
/** Progress is told at most so often. */
const TELL_EVERY_MS = 50;

/** The handlers of a role. */
export function handlersOf(role: Role): Handlers {
  switch (role) {
    case "kmes":
      return kmesHandlers();
    case "server":
      return serverHandlers();
    case "client":
      return clientHandlers;
  }
  throw new RangeError("no such role");
}

function kmesHandlers(): Handlers {
  let pair: KmePair | undefined;
  const blocks: BlockRecord[] = [];
  const running = (): KmePair => {
    if (pair === undefined) throw new Error("the KMEs have not been started");
    return pair;
  };
  return {
    async pair({ directory, stock }) {
      const pem = (name: string): Buffer => readFileSync(join(directory, name));
      const member = (id: string, sae: string) => ({
        id,
        listen: { host: HOST, port: 0 },
        cert: pem(`${id}.crt`),
        key: pem(`${id}.key`),
        saes: [sae],
      });
      pair = await startPair({
        ca: pem("ca.crt"),
        a: member("kme-a", "sae-a"),
        b: member("kme-b", "sae-b"),
        link: { maxStored: stock, onBlock: (record) => void blocks.push(record) },
      });
      return { a: pair.a.url, b: pair.b.url };
    },
    async eavesdrop({ adversary }) {
      running().stores.link?.lay({ adversary });
      return null;
    },
    async figures() {
      return { blocks, stock: running().stores.a.stored };
    },
  };
}

function serverHandlers(): Handlers {
  const accounts = new Map<number, Account>();
  const waiting = new Map<number, (account: Account) => void>();
  const tell = (port: number | undefined, account: Account): void => {
    if (port === undefined) return;
    accounts.set(port, account);
    waiting.get(port)?.(account);
  };
  const failed = (socket: QkdTlsSocket, error: Error): void =>
    tell(socket.remotePort, { error: errorRecord(error) });
  return {
    async listen({ flags, directory }) {
      const server = createServer(serverOptions(flags));
      // Read once while it is there, the port is still known when the connection has gone.
      server.on("connection", (transport) => void transport.remotePort);
      server.on("tlsClientError", (error: Error, socket: QkdTlsSocket) => failed(socket, error));
      server.on("secureConnection", (socket: QkdTlsSocket) => {
        socket.on("error", (error) => failed(socket, error));
        serve(socket, directory).then(
          (report) => tell(socket.remotePort, accountOf(socket, report)),
          (error: Error) => failed(socket, error),
        );
      });
      server.listen(0, HOST);
      await once(server, "listening");
      return { port: (server.address() as AddressInfo).port }; // A server on a port has such an address.
    },
    account({ port }) {
      return new Promise((resolve) => {
        const known = accounts.get(port);
        if (known !== undefined) resolve(known);
        else {
          const timer = setTimeout(() => resolve(null), ACCOUNT_MS);
          waiting.set(port, (account) => {
            clearTimeout(timer);
            resolve(account);
          });
        }
      });
    },
  };
}

async function serve(socket: QkdTlsSocket, directory: string | undefined): Promise<Report | undefined> {
  if (directory !== undefined) return receiveInto(socket, directory);
  echo(socket);
  return undefined;
}

function accountOf(socket: QkdTlsSocket, report?: Report, event?: readonly Degradation[]): Account {
  const { security } = socket;
  if (security === undefined) throw new Error("the channel says nothing about itself");
  return { security, ...(report && { report }), ...(event && { event }) };
}

const clientHandlers: Handlers = {
  send({ flags, port, path }, progress) {
    let told = 0;
    return withSocket(flags, port, async (socket) =>
      sendPath(socket, path, {
        onProgress(now) {
          if (performance.now() - told < TELL_EVERY_MS && now.bytes < now.totalBytes) return;
          told = performance.now();
          progress(now);
        },
      }),
    );
  },
  attempt({ flags, port }) {
    return withSocket(flags, port, async (socket) => {
      const sent = Buffer.from("a few bytes to and fro");
      socket.end(sent);
      const received: Buffer[] = [];
      for await (const chunk of socket) received.push(chunk as Buffer); // The socket has no encoding set.
      if (!Buffer.concat(received).equals(sent)) throw new Error("the echo is not what was sent");
      return undefined;
    });
  },
};

/** Connects, does something over the channel, and gives our account of it. */
async function withSocket(
  flags: ClientFlags,
  port: number,
  use: (socket: QkdTlsSocket) => Promise<Report | undefined>,
): Promise<{ readonly port: number; readonly account: Account }> {
  const options = clientOptions(flags);
  let localPort = 0;
  let event: readonly Degradation[] | undefined;
  try {
    const socket = connect({ ...options, host: HOST, port });
    // The same error also fails whoever waits for something else of this socket.
    socket.on("error", () => undefined);
    socket.once("connect", () => (localPort = socket.localPort ?? 0));
    socket.once("degraded", (degraded: readonly Degradation[]) => (event = degraded));
    await once(socket, "secureConnect");
    const report = await use(socket);
    return { port: localPort, account: accountOf(socket, report, event) };
  } catch (error) {
    return { port: localPort, account: { error: errorRecord(error) } };
  } finally {
    options.qkd?.source.close();
  }
}
