import type { Command } from "commander";
import type { QkdTlsSocket } from "../../node/socket.ts";
import { addServerOptions, parseEndpoint, type ServerFlags } from "../channel-options.ts";
import { interruption } from "../interrupt.ts";
import { listen, type Tell } from "../listen.ts";
import { exitCodeOf, Reported } from "../output.ts";
import { TransferError } from "../transfer/error.ts";
import { type Amount, type Parts, sweepParts } from "../transfer/parts.ts";
import { ProgressBars, sizeText } from "../transfer/progress.ts";
import { receiveInto, type ReceiveOptions } from "../transfer/receive.ts";
import type { Progress, Report } from "../transfer/report.ts";
import { checksums, eventOf, summary } from "../transfer/summary.ts";
import { byteCount, needed, seconds, wholeNumber } from "../value.ts";

interface ReceiveFlags extends ServerFlags {
  readonly listen?: string;
  readonly websocket?: string;
  readonly once?: boolean;
  readonly overwrite?: boolean;
  readonly maxSize?: string;
  readonly maxConnections?: string;
  readonly idleTimeout?: string;
  readonly keepParts?: string;
  readonly verbose?: boolean;
}

const MAX_CONNECTIONS = 64;
const KEEP_PARTS_DAYS = 7;
const DAY_MS = 86_400_000;

/** Adds `qkd-tls receive`: a directory that takes files from `qkd-tls send`. */
export function registerReceive(program: Command): void {
  const command = program
    .command("receive")
    .summary("receive files and directories from `qkd-tls send`")
    .description(
      "Receives into a directory, which is made if missing, from several senders at once. A file gets its name " +
        "when it is whole and its SHA-256 is the sender's; until then it is `.NAME.ID.part`, and after a cut it goes on " +
        "from there. Paths that leave the directory are refused. Without --require-cert, --psk or --qkd-authenticates " +
        "anybody who reaches the port may send.",
    )
    .argument("<directory>", "where the files go")
    .option("--listen <host:port>", "where to listen, as in localhost:4433; port 0 takes a free one")
    .option("--websocket <host:port>", "accept senders in WebSockets there as well")
    .option(
      "--once",
      "end after the first transfer, with its outcome as exit code; one that was cut may go on",
    )
    .option("--overwrite", "replace files that exist with other content")
    .option("--max-size <bytes>", "the most content in one transfer, as in 500M or 20G (default: no limit)")
    .option("--max-connections <n>", `serve at most this many at a time (default: ${MAX_CONNECTIONS})`)
    .option(
      "--keep-parts <days>",
      `remove unfinished files at the start that nobody went on with for so long (default: ${KEEP_PARTS_DAYS})`,
    )
    .option("--idle-timeout <seconds>", "end a transfer when nothing moves for so long (default: 60)");
  addServerOptions(command)
    .addHelpText("after", `\n${EXAMPLES}`)
    .action((directory: string, flags: ReceiveFlags, self: Command) =>
      run(directory, { ...flags, ...self.optsWithGlobals<{ verbose?: boolean }>() }),
    );
}

const EXAMPLES = `Examples:
  $ qkd-tls receive inbox --listen localhost:4433 --cert certs/server.crt --key certs/server.key
  $ qkd-tls receive inbox --listen '[::]:4433' --cert certs/server.crt --key certs/server.key --ca certs/ca.crt \\
      --require-cert --max-size 20G
  $ qkd-tls receive inbox --listen localhost:4433 --once --psk-file keys.txt`;

async function run(directory: string, flags: ReceiveFlags): Promise<void> {
  if (flags.listen === undefined) {
    throw needed("--listen", "where shall we listen? --listen localhost:4433");
  }
  const endpoint = parseEndpoint(flags.listen, "--listen");
  const maxConnections =
    flags.maxConnections === undefined
      ? MAX_CONNECTIONS
      : wholeNumber(flags.maxConnections, "--max-connections", 1, 65_535);
  const limits = receiveOptions(flags);
  const keepDays = wholeNumber(flags.keepParts ?? `${KEEP_PARTS_DAYS}`, "--keep-parts", 0, 36_500);
  const stop = interruption();
  const bars = new ProgressBars();
  const tell = eventOf(flags.json === true, bars);
  const first = outcome();
  try {
    // Before anybody may go on with one of them.
    tellParts(await sweepParts(directory, Date.now() - keepDays * DAY_MS), keepDays, tell);
    await listen({
      endpoint,
      websocket: flags.websocket === undefined ? undefined : parseEndpoint(flags.websocket, "--websocket"),
      flags,
      maxConnections,
      tell,
      signal: stop.signal,
      async serve(socket, from) {
        const bar = bars.start(from);
        try {
          const onProgress = (progress: Progress): void => bar.update(progress);
          const report = await receiveInto(socket, directory, { ...limits, signal: stop.signal, onProgress });
          bar.end();
          told(report, socket, from, flags, tell);
          first.settle();
        } catch (error) {
          bar.end();
          failed(error, from, tell);
          // The error itself is told with the connection's.
          if (!(error instanceof TransferError && error.resumable))
            first.settle(new Reported(exitCodeOf(error)));
          throw error;
        }
      },
      ...(flags.once === true ? { until: first.settled } : {}),
    });
  } finally {
    bars.stop();
    stop.release();
  }
}

function tellParts({ kept, removed }: Parts, keepDays: number, tell: Tell): void {
  const text = ({ files, bytes }: Amount): string =>
    `${files} unfinished ${files === 1 ? "file" : "files"} (${sizeText(bytes)})`;
  const lines = [
    ...(removed.files > 0 ? [`removed ${text(removed)}, not gone on with for ${keepDays} days`] : []),
    ...(kept.files > 0 ? [`${text(kept)} may be gone on with`] : []),
  ];
  if (lines.length > 0) tell({ event: "parts", kept, removed }, lines.join("\n"));
}

function receiveOptions(flags: ReceiveFlags): ReceiveOptions {
  return {
    overwrite: flags.overwrite,
    idleTimeoutMs: seconds(flags.idleTimeout ?? "60", "--idle-timeout"),
    maxBytes:
      flags.maxSize === undefined
        ? undefined
        : byteCount(flags.maxSize, "--max-size", Number.MAX_SAFE_INTEGER),
  };
}

function told(
  report: Report,
  { security }: QkdTlsSocket,
  from: string,
  flags: ReceiveFlags,
  tell: Tell,
): void {
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ event: "received", from, ...report, security })}\n`);
  else process.stdout.write(checksums(report));
  tell({ event: "done", from }, `${from} ${summary("received", report)}`);
}

/** What arrived before a failure is there, and named. */
function failed(error: unknown, from: string, tell: Tell): void {
  if (!(error instanceof TransferError) || error.report === undefined) return;
  if (error.report.files.length === 0) return;
  tell({ event: "incomplete", from, ...error.report }, `${from} ${summary("received", error.report)}`);
}

function outcome(): { readonly settled: Promise<void>; settle(error?: unknown): void } {
  let settle: (error?: unknown) => void = () => undefined;
  const settled = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  // Without --once nobody waits for it.
  settled.catch(() => undefined);
  return { settled, settle };
}
