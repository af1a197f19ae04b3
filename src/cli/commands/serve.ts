import type { AddressInfo, Socket } from "node:net";
import { once } from "node:events";
import { type Command, Option } from "commander";
import { createServer, type QkdTlsServer } from "../../node/server.ts";
import type { QkdTlsSocket } from "../../node/socket.ts";
import {
  addServerOptions,
  formatEndpoint,
  parseEndpoint,
  serverOptions,
  type ServerFlags,
} from "../channel-options.ts";
import { evidenceLine, evidenceTable } from "../evidence.ts";
import { hintFor } from "../hint.ts";
import { interruption } from "../interrupt.ts";
import { keyLogFile } from "../keylog.ts";
import { errorRecord, messageOf, say } from "../output.ts";
import { terminal } from "../serve/terminal.ts";
import { echo } from "../serve/echo.ts";
import { exec } from "../serve/exec.ts";
import { www } from "../serve/www.ts";
import { needed, wholeNumber } from "../value.ts";

interface ServeFlags extends ServerFlags {
  readonly listen?: string;
  readonly www?: boolean;
  readonly echo?: boolean;
  readonly exec?: string;
  readonly once?: boolean;
  readonly maxConnections?: string;
  readonly verbose?: boolean;
}

/** Serves one connection; what it throws or emits ends that connection alone. */
export type Mode = (socket: QkdTlsSocket) => void;

/** Adds `qkd-tls serve`: a server for people, tests and other programs. */
export function registerServe(program: Command): void {
  const command = program
    .command("serve")
    .summary("serve connections: a page about the connection, an echo, a command, or this terminal")
    .description(
      "Listens, and tells on standard error what protects each connection. Without --www, --echo or --exec the " +
        "connections are served one after the other with this terminal's input and output.",
    )
    .option(
      "--listen <host:port>",
      "where to listen, as in localhost:4433 or [::]:4433; port 0 takes a free one",
    )
    .addOption(
      new Option("--www", "answer HTTP requests with a page that describes the connection").conflicts([
        "echo",
        "exec",
      ]),
    )
    .addOption(new Option("--echo", "send back every byte").conflicts(["www", "exec"]))
    .option(
      "--exec <command>",
      "run this for each connection, with the channel as its standard input and output",
    )
    .option("--once", "end after the first connection, with its outcome as exit code")
    .option("--max-connections <n>", `serve at most this many at a time (default: ${MAX_CONNECTIONS})`);
  addServerOptions(command)
    .addHelpText("after", `\n${EXAMPLES}`)
    .action((flags: ServeFlags, self: Command) => run({ ...flags, ...verbosity(self) }));
}

const MAX_CONNECTIONS = 1024;
const verbosity = (command: Command): { verbose?: boolean } =>
  command.optsWithGlobals<{ verbose?: boolean }>();

const EXAMPLES = `Examples:
  $ qkd-tls serve --listen localhost:4433 --cert certs/server.crt --key certs/server.key --www
  $ qkd-tls serve --listen localhost:4433 --psk-file keys.txt --echo
  $ qkd-tls serve --listen '[::]:4433' --cert certs/server.crt --key certs/server.key --ca certs/ca.crt --require-cert \\
      --kme https://localhost:8444 --sae sae-b --kme-cert certs/sae-b.crt --kme-key certs/sae-b.key --exec 'sort -u'`;

async function run(flags: ServeFlags): Promise<void> {
  if (flags.listen === undefined)
    throw needed("--listen", "where shall the server listen? --listen localhost:4433");
  const endpoint = parseEndpoint(flags.listen, "--listen");
  const options = serverOptions(flags);
  const server = createServer(options);
  server.maxConnections =
    flags.maxConnections === undefined
      ? MAX_CONNECTIONS
      : wholeNumber(flags.maxConnections, "--max-connections", 1, 65_535);
  const keyLog = flags.keylog === undefined ? undefined : keyLogFile(flags.keylog);
  keyLog?.watch(server);
  const stop = interruption();
  const connections = new Connections(server, modeOf(flags), flags);
  try {
    server.listen(endpoint);
    await once(server, "listening", { signal: stop.signal });
    const { address, port } = server.address() as AddressInfo; // A server on a port has such an address.
    say(
      flags.json === true,
      { event: "listening", host: address, port },
      `listening on ${formatEndpoint(address, port)}`,
    );
    await Promise.race([interrupted(stop.signal), ...(flags.once === true ? [connections.first] : [])]);
  } finally {
    stop.release();
    await connections.end();
    keyLog?.close();
    options.qkd?.source.close();
  }
}

function modeOf(flags: ServeFlags): Mode {
  if (flags.www === true) return www();
  if (flags.echo === true) return echo;
  if (flags.exec !== undefined) return exec(flags.exec);
  return terminal();
}

function interrupted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error); // `interruption` aborts with an Interrupted.
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** How long connections may take to end when the server stops. */
const GRACE_MS = 500;

/** The connections of a server: told about, served, and ended with it. */
class Connections {
  readonly #server: QkdTlsServer;
  readonly #flags: ServeFlags;
  readonly #transports = new Set<Socket>();
  readonly #sockets = new Set<QkdTlsSocket>();
  /** Settled by the outcome of the first connection. */
  readonly first: Promise<void>;

  constructor(server: QkdTlsServer, mode: Mode, flags: ServeFlags) {
    this.#server = server;
    this.#flags = flags;
    server.on("connection", (transport: Socket) => {
      // The address is read once while it is there; a socket forgets it when it is destroyed.
      if (transport.remoteAddress === undefined) transport.destroy();
      this.#transports.add(transport);
      transport.once("close", () => this.#transports.delete(transport));
    });
    this.first = new Promise((resolve, reject) => {
      server.on("tlsClientError", (error: Error, socket: QkdTlsSocket) => {
        this.#failed("refused", socket, error);
        reject(error);
      });
      server.on("secureConnection", (socket: QkdTlsSocket) => {
        let failure: Error | undefined;
        socket.on("error", (error) => {
          failure = error;
          this.#failed("failed", socket, error);
        });
        socket.once("close", () => {
          this.#sockets.delete(socket);
          if (failure === undefined) resolve();
          else reject(failure);
        });
        this.#sockets.add(socket);
        this.#connected(socket);
        mode(socket);
      });
    });
    // Without --once nobody waits for it.
    this.first.catch(() => undefined);
  }

  #connected(socket: QkdTlsSocket): void {
    const { security, remoteAddress, remotePort } = socket;
    if (security === undefined) return;
    const { json = false, verbose = false } = this.#flags;
    const from = formatEndpoint(remoteAddress, remotePort);
    const text = verbose
      ? `${from} connected\n${evidenceTable(security)}`
      : `${from} ${evidenceLine(security)}`;
    say(json, { event: "connection", remote: remoteAddress, port: remotePort, security }, text);
  }

  #failed(event: "refused" | "failed", { remoteAddress, remotePort }: QkdTlsSocket, error: Error): void {
    const hint = hintFor(error);
    const text = `${formatEndpoint(remoteAddress, remotePort)} ${event}: ${messageOf(error)}${hint === undefined ? "" : ` (${hint})`}`;
    say(
      this.#flags.json === true,
      { event, remote: remoteAddress, port: remotePort, ...errorRecord(error) },
      text,
    );
  }

  /** Ends all connections, those that do not end in time by force. */
  async end(): Promise<void> {
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#sockets) socket.end();
    const timer = setTimeout(() => {
      for (const transport of this.#transports) transport.destroy();
    }, GRACE_MS);
    await Promise.all(
      [...this.#transports].map((transport) => once(transport, "close").catch(() => undefined)),
    );
    clearTimeout(timer);
  }
}
