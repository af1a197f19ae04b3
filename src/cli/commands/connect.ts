import { rmSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { connect } from "../../node/connect.ts";
import type { ConnectOptions } from "../../node/options.ts";
import type { QkdTlsSocket } from "../../node/socket.ts";
import { codeOf } from "../cause.ts";
import { addClientOptions, clientOptions, parseEndpoint, type ClientFlags } from "../channel-options.ts";
import { evidenceTable } from "../evidence.ts";
import { interruption } from "../interrupt.ts";
import { keyLogFile } from "../keylog.ts";
import { say } from "../output.ts";
import { forgetSession, readSession, writeSession } from "../session-file.ts";
import { seconds, unreadable } from "../value.ts";

interface ConnectFlags extends ClientFlags {
  readonly resume?: string;
  readonly maxTime?: string;
  readonly ocspFile?: string;
}

/** Adds `qkd-tls connect`: standard input and output through a channel. */
export function registerConnect(program: Command): void {
  const command = program
    .command("connect")
    .summary("connect to a server; standard input and output go through the channel")
    .description(
      "Connects, tells on standard error what protects the connection, then sends standard input to the server " +
        "and writes what the server sends to standard output. The end of the input closes our direction only.",
    )
    .argument("<host:port>", "the server, as in localhost:4433 or [::1]:4433");
  addClientOptions(command)
    .option(
      "--resume <file>",
      "resume the session in this file, if there, and keep the newest one in it (mode 0600)",
    )
    .option("--ocsp-file <file>", "ask for an OCSP response and keep it (DER) here; to judge it is yours")
    .option("--max-time <seconds>", "end the connection after this time, however it stands")
    .addHelpText("after", `\n${EXAMPLES}`)
    .action((address: string, flags: ConnectFlags) => run(address, flags));
}

const EXAMPLES = `Examples:
  $ echo hello | qkd-tls connect localhost:4433 --ca certs/ca.crt
  $ qkd-tls connect 192.0.2.7:4433 --psk-file keys.txt
  $ qkd-tls connect localhost:4433 --ca certs/ca.crt --kme https://localhost:8443 --sae sae-a --peer-sae sae-b \\
      --kme-cert certs/sae-a.crt --kme-key certs/sae-a.key --policy hybrid`;

async function run(address: string, flags: ConnectFlags): Promise<void> {
  const endpoint = parseEndpoint(address, "host:port", false);
  const session = flags.resume === undefined ? undefined : readSession(flags.resume);
  const maxTimeMs = flags.maxTime === undefined ? undefined : seconds(flags.maxTime, "--max-time");
  const options = clientOptions(flags);
  const keyLog = flags.keylog === undefined ? undefined : keyLogFile(flags.keylog);
  const stop = interruption();
  const clock = limit(maxTimeMs);
  try {
    const signal = AbortSignal.any([stop.signal, clock.signal]);
    const socket = connect({
      ...options,
      ...endpoint,
      signal,
      ...(session === undefined ? {} : { session }),
      ...(flags.ocspFile === undefined ? {} : { requestOCSP: true }),
    });
    if (flags.ocspFile !== undefined) keepOcsp(socket, flags.ocspFile);
    keyLog?.watch(socket);
    if (flags.resume !== undefined) keepSessions(socket, flags.resume);
    await converse(socket, flags.json === true);
  } finally {
    clock.stop();
    stop.release();
    keyLog?.close();
    closeSource(options);
  }
}

const closeSource = ({ qkd }: ConnectOptions): void => qkd?.source.close();

function limit(milliseconds: number | undefined): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  if (milliseconds === undefined) return { signal: controller.signal, stop: () => undefined };
  const over = Object.assign(new Error(`not done after ${milliseconds / 1000} s`), { code: "ERR_MAX_TIME" });
  const timer = setTimeout(() => controller.abort(over), milliseconds);
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}

function keepSessions(socket: QkdTlsSocket, path: string): void {
  socket.once("secureConnect", () => {
    if (socket.isSessionReused()) forgetSession(path);
  });
  socket.on("session", (session: Buffer) => {
    try {
      writeSession(path, session);
    } catch (error) {
      socket.destroy(error as Error); // writeSession throws nothing but a UsageError.
    }
  });
}

/** The file is what this connection brought: without an answer there is none. */
function keepOcsp(socket: QkdTlsSocket, path: string): void {
  socket.once("OCSPResponse", (response: Buffer | null) => {
    try {
      if (response === null) rmSync(path, { force: true });
      else writeFileSync(path, response);
    } catch (cause) {
      socket.destroy(unreadable("--ocsp-file", path, cause));
    }
  });
}

/** Fulfilled when both directions have ended. */
function converse(socket: QkdTlsSocket, json: boolean): Promise<void> {
  const { stdin, stdout } = process;
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    let peerEnded = false;
    socket.once("secureConnect", () => {
      tell(socket, json);
      stdin.pipe(socket);
      socket.pipe(stdout, { end: false });
    });
    socket.once("end", () => {
      peerEnded = true;
      // Somebody at a keyboard has nobody left to talk to; a file is sent to its end.
      if (stdin.isTTY) socket.end();
    });
    socket.on("error", (error) => {
      const late = peerEnded && ["EPIPE", "ECONNRESET"].includes(codeOf(error) ?? "");
      failure ??= late
        ? new Error("the peer closed before it had read all of the input", { cause: error })
        : error;
    });
    stdout.once("error", (error) => socket.destroy(error));
    socket.once("close", () => {
      stdin.unpipe(socket);
      if (failure === undefined) resolve();
      else reject(failure);
    });
  });
}

function tell(socket: QkdTlsSocket, json: boolean): void {
  const security = socket.security;
  if (security === undefined) return;
  say(
    json,
    { event: "connected", remote: socket.remoteAddress, port: socket.remotePort, security },
    evidenceTable(security),
  );
}
