import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { ConnectOptions } from "../../node/options.ts";
import type { QkdTlsSocket } from "../../node/socket.ts";
import type { SecurityRecord } from "../../observe/evidence.ts";
import { codeOf } from "../cause.ts";
import { addClientOptions, type ClientFlags, clientOptions } from "../channel-options.ts";
import { dial, parseTarget, type Target } from "../dial.ts";
import { evidenceLine, evidenceTable } from "../evidence.ts";
import { interruption } from "../interrupt.ts";
import { keyLogFile } from "../keylog.ts";
import type { Tell } from "../listen.ts";
import { messageOf } from "../output.ts";
import { TransferError } from "../transfer/error.ts";
import { ProgressBars } from "../transfer/progress.ts";
import type { Report } from "../transfer/report.ts";
import { sendPath } from "../transfer/send.ts";
import { checksums, eventOf, summary } from "../transfer/summary.ts";
import { seconds, wholeNumber } from "../value.ts";

interface SendFlags extends ClientFlags {
  readonly retry?: string;
  readonly idleTimeout?: string;
  readonly verbose?: boolean;
}

/** Adds `qkd-tls send`: a file or a directory to a `qkd-tls receive`. */
export function registerSend(program: Command): void {
  const command = program
    .command("send")
    .summary("send a file or a directory to `qkd-tls receive`")
    .description(
      "Sends a file, or a directory with all below it. Both sides compute the SHA-256 of every file and must agree. " +
        "After a cut the same command goes on where it stopped. Prints a line `sha256  path` for each file. " +
        "Symbolic links are not followed.",
    )
    .argument("<path>", "the file or directory")
    .argument("<host:port>", "the receiver, as in localhost:4433 or ws://localhost:4434")
    .option("--retry <n>", "after a cut connect again and go on, up to this many times (default: 0)")
    .option("--idle-timeout <seconds>", "give up when nothing moves for so long (default: 60)");
  addClientOptions(command)
    .addHelpText("after", `\n${EXAMPLES}`)
    .action((path: string, address: string, flags: SendFlags, self: Command) =>
      run(path, address, { ...flags, ...self.optsWithGlobals<{ verbose?: boolean }>() }),
    );
}

const EXAMPLES = `Examples:
  $ qkd-tls send film.mkv localhost:4433 --ca certs/ca.crt --retry 10
  $ qkd-tls send photos/ 192.0.2.7:4433 --psk-file keys.txt
  $ qkd-tls send secret.pdf localhost:4433 --ca certs/ca.crt --kme https://localhost:8443 --sae sae-a --peer-sae sae-b \\
      --kme-cert certs/sae-a.crt --kme-key certs/sae-a.key`;

async function run(path: string, address: string, flags: SendFlags): Promise<void> {
  const target = parseTarget(address);
  const retries = wholeNumber(flags.retry ?? "0", "--retry", 0, 10_000);
  const idleTimeoutMs = seconds(flags.idleTimeout ?? "60", "--idle-timeout");
  const options = clientOptions(flags);
  const keyLog = flags.keylog === undefined ? undefined : keyLogFile(flags.keylog);
  const stop = interruption();
  const bars = new ProgressBars();
  const tell = eventOf(flags.json === true, bars);
  const sending = new Sending(target, { ...options, signal: stop.signal }, path, idleTimeoutMs, bars);
  sending.onSocket = (socket) => keyLog?.watch(socket);
  sending.onSecure = (security) => tellConnected(security, flags, tell);
  try {
    printReport(await persist(sending, retries, stop.signal, tell), sending, flags, tell);
  } catch (error) {
    if (error instanceof TransferError && error.report !== undefined && error.report.files.length > 0) {
      printReport(error.report, sending, flags, tell);
    }
    throw error;
  } finally {
    bars.stop();
    stop.release();
    keyLog?.close();
    options.qkd?.source.close();
  }
}

function printReport(report: Report, { security }: Sending, { json = false }: SendFlags, tell: Tell): void {
  process.stdout.write(
    json ? `${JSON.stringify({ event: "sent", ...report, security })}\n` : checksums(report),
  );
  if (!json) tell({}, summary("sent", report));
}

/** Tries again after what may pass; throws what stays, and the signal's reason. */
async function persist(sending: Sending, retries: number, signal: AbortSignal, tell: Tell): Promise<Report> {
  for (let left = retries; ; left--) {
    try {
      return await sending.attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (left === 0 || !mayRetry(error)) throw error;
      const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (retries - left));
      const message = messageOf(error);
      const tries = left === 1 ? "1 try" : `${left} tries`;
      tell(
        { event: "retry", message, waitMs, left },
        `${message}; again in ${waitMs / 1000} s (${tries} left)`,
      );
      await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

function tellConnected(security: SecurityRecord, { verbose = false }: SendFlags, tell: Tell): void {
  tell({ event: "connected", security }, verbose ? evidenceTable(security) : evidenceLine(security));
}

const PASSING = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ETIMEDOUT",
  "ERR_TLS_TIMEOUT",
  "ERR_TLS_TRUNCATED",
]);

/** What the network did may pass; a verdict or a wrong file stays. */
const mayRetry = (error: unknown): boolean =>
  error instanceof TransferError ? error.resumable : PASSING.has(codeOf(error) ?? "");

/** What is to be sent and where to; each attempt is a connection of its own. */
class Sending {
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #path: string;
  readonly #idleTimeoutMs: number;
  readonly #bars: ProgressBars;
  onSocket: (socket: QkdTlsSocket) => void = () => undefined;
  onSecure: (security: SecurityRecord) => void = () => undefined;
  /** What protected the last connection. */
  security: SecurityRecord | undefined;

  constructor(
    target: Target,
    options: ConnectOptions,
    path: string,
    idleTimeoutMs: number,
    bars: ProgressBars,
  ) {
    this.#target = target;
    this.#options = options;
    this.#path = path;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#bars = bars;
  }

  async attempt(): Promise<Report> {
    const socket = await dial(this.#target, this.#options, this.onSocket);
    this.security = socket.security;
    if (this.security !== undefined) this.onSecure(this.security);
    const bar = this.#bars.start("");
    try {
      return await sendPath(socket, this.#path, {
        idleTimeoutMs: this.#idleTimeoutMs,
        signal: this.#options.signal,
        onProgress: (progress) => bar.update(progress),
      });
    } finally {
      bar.end();
    }
  }
}
