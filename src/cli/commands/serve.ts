import { type Command, Option } from "commander";
import type { QkdTlsSocket } from "../../node/socket.ts";
import { addServerOptions, parseEndpoint, type ServerFlags } from "../channel-options.ts";
import { interruption } from "../interrupt.ts";
import { listen } from "../listen.ts";
import { exitCodeOf, Reported, say } from "../output.ts";
import { echo } from "../serve/echo.ts";
import { exec } from "../serve/exec.ts";
import { terminal } from "../serve/terminal.ts";
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
  if (flags.listen === undefined) {
    throw needed("--listen", "where shall the server listen? --listen localhost:4433");
  }
  const endpoint = parseEndpoint(flags.listen, "--listen");
  const maxConnections = wholeNumber(
    flags.maxConnections ?? `${MAX_CONNECTIONS}`,
    "--max-connections",
    1,
    65_535,
  );
  const mode = modeOf(flags);
  const stop = interruption();
  const first = outcome();
  try {
    await listen({
      endpoint,
      flags,
      signal: stop.signal,
      tell: (event, text) => say(flags.json === true, event, text),
      maxConnections,
      async serve(socket) {
        mode(socket);
        await closed(socket).then(first.resolve, (error: Error) => {
          first.reject(error);
          throw error;
        });
      },
      refused: first.reject,
      ...(flags.once === true ? { until: first.promise } : {}),
    });
  } finally {
    stop.release();
  }
}

function modeOf(flags: ServeFlags): Mode {
  if (flags.www === true) return www();
  if (flags.echo === true) return echo;
  if (flags.exec !== undefined) return exec(flags.exec);
  return terminal();
}

/** Settled by the first connection; its failure has been told by then. */
function outcome(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
} {
  let settle: { resolve(): void; reject(reason: Reported): void } | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Without --once nobody waits for it.
  promise.catch(() => undefined);
  return {
    promise,
    resolve: () => settle?.resolve(),
    reject: (error) => settle?.reject(new Reported(exitCodeOf(error))),
  };
}

/** Fulfilled when the connection has ended, rejected when it failed. */
function closed(socket: QkdTlsSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => resolve());
  });
}
