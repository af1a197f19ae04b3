/** What the command tells people and programs besides its data: on standard error, one line at a time. */
import { CommanderError } from "commander";
import { KeySourceError, PeerAlert, ProtocolError, TrustError, UsageError } from "../protocol/errors.ts";
import { causesOf, codeOf } from "./cause.ts";
import { hintFor } from "./hint.ts";

/** What the process ends with; `--help` lists them. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  keySource: 4,
  protocol: 5,
  interrupted: 130,
} as const;

/** The exit codes in words, for `--help`. */
export const EXIT_CODES = `Exit codes:
  0    it worked
  1    it failed while running (network, file, time limit)
  2    the command line or a file it names is wrong
  3    the peer is not trusted, or the policy refused the connection
  4    a key source (KME) failed, also when the policy then refused to go on without it
  5    the peer broke the protocol or ended the connection with an alert
  130  interrupted (143 by SIGTERM)`;

/** Ended by a signal; not a failure to explain. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`interrupted by ${signal}`);
    this.name = "Interrupted";
    this.exitCode = signal === "SIGINT" ? ExitCode.interrupted : 143;
  }
}

/** What has been reported already and shall only set the exit code. */
export class Reported extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("reported");
    this.name = "Reported";
    this.exitCode = exitCode;
  }
}

/** The exit code of an error. A policy that refuses because its key source failed points at the source. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted || error instanceof Reported) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  if (error instanceof UsageError) return ExitCode.usage;
  if (causesOf(error).some((each) => each instanceof KeySourceError)) return ExitCode.keySource;
  if (error instanceof TrustError) return ExitCode.refused;
  if (error instanceof ProtocolError || error instanceof PeerAlert) return ExitCode.protocol;
  return ExitCode.failed;
}

/** An error as text: `qkd-tls: …`, a hint where there is one, and with `verbose` stacks and causes. */
export function errorText(error: unknown, verbose = false): string {
  const lines = [`qkd-tls: ${messageOf(error)}`];
  const hint = hintFor(error);
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  if (verbose) {
    for (const [index, each] of causesOf(error).entries()) {
      if (!(each instanceof Error)) continue;
      const code = codeOf(each);
      lines.push(
        `${index === 0 ? "error" : "caused by"}${code === undefined ? "" : ` ${code}`}: ${each.stack ?? each.message}`,
      );
    }
  }
  return `${lines.map(printable).join("\n")}\n`;
}

/** An error for programs. */
export interface ErrorRecord {
  /** The class. */
  readonly error: string;
  readonly code?: string;
  readonly message: string;
  readonly alert?: string;
  /** The secret that policy asked for. */
  readonly missing?: "ecdh" | "mlkem" | "qkd";
  readonly hint?: string;
  readonly exitCode: number;
}

/** An error for programs: its class, stable code and message, and the alert and the missing source where it has them. */
export function errorRecord(error: unknown): ErrorRecord {
  const hint = hintFor(error);
  const code = codeOf(error);
  return {
    error: error instanceof Error ? error.name : "Error",
    ...(code === undefined ? {} : { code }),
    message: messageOf(error),
    ...(error instanceof TrustError || error instanceof ProtocolError || error instanceof PeerAlert
      ? { alert: error.alert }
      : {}),
    ...(error instanceof TrustError && error.missing !== undefined ? { missing: error.missing } : {}),
    ...(hint === undefined ? {} : { hint }),
    exitCode: exitCodeOf(error),
  };
}

/** One line: the message, or that of the first of several tries that failed together. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return messageOf(error.errors[0]);
  const message = error instanceof Error ? error.message : String(error);
  return printable(message.replace(/\s*\n\s*/g, " ")).trim() || "it failed without a word";
}

/** Text that a terminal only shows: control and direction characters are replaced, line ends and tabs kept. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) =>
    found === "\n" || found === "\t" ? found : "\uFFFD",
  );
}

/** A line about the running command, on standard error; as a JSON object for programs. */
export function say(json: boolean, event: Readonly<Record<string, unknown>>, text: string): void {
  process.stderr.write(json ? `${JSON.stringify(event)}\n` : `${printable(text)}\n`);
}
