/** The command `qkd-tls`: its subcommands, its help and how its failures are told. */
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { UsageError } from "../protocol/errors.ts";
import { registerChat } from "./commands/chat.ts";
import { registerConnect } from "./commands/connect.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerFibre } from "./commands/fibre.ts";
import { registerKme } from "./commands/kme.ts";
import { registerPki } from "./commands/pki.ts";
import { registerReceive } from "./commands/receive.ts";
import { registerSend } from "./commands/send.ts";
import { registerServe } from "./commands/serve.ts";
import {
  errorRecord,
  errorText,
  EXIT_CODES,
  ExitCode,
  exitCodeOf,
  Interrupted,
  printable,
  Reported,
} from "./output.ts";

/** The whole command line, ready to parse. Parsing throws a CommanderError instead of ending the process. */
export function program(): Command {
  const command = new Command("qkd-tls")
    .summary("TLS 1.3 channels that depend on ECDH, ML-KEM and QKD keys at once")
    .description(
      "Secure channels over TLS 1.3 (RFC 9846) that mix three secrets: ECDH, ML-KEM and a key that a QKD system " +
        "delivered by ETSI GS QKD 014. Recorded traffic stays secret unless all of them fall.",
    )
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help; `qkd-tls help COMMAND` explains a command")
    .option("-v, --verbose", "tell more: tables for lines, stacks and causes of errors")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", `\n${EXAMPLES}\n\n${EXIT_CODES}`);
  registerDemo(command);
  registerServe(command);
  registerConnect(command);
  registerSend(command);
  registerReceive(command);
  registerChat(command);
  registerKme(command);
  registerFibre(command);
  registerDoctor(command);
  registerPki(command);
  return command;
}

const EXAMPLES = `Examples:
  See it work: two KMEs, a server and a client carry a file, then lose one secret after the other:
    $ qkd-tls demo

  A server and a client by hand, with certificates for a test bed:
    $ qkd-tls pki --out certs
    $ qkd-tls serve --listen localhost:4433 --cert certs/server.crt --key certs/server.key --echo
    $ echo hello | qkd-tls connect localhost:4433 --ca certs/ca.crt

  The same with a QKD key from a pair of KMEs:
    $ qkd-tls kme --pki certs
    $ qkd-tls serve --listen localhost:4433 --cert certs/server.crt --key certs/server.key --ca certs/ca.crt \\
        --kme https://localhost:8444 --sae sae-b --kme-cert certs/sae-b.crt --kme-key certs/sae-b.key --echo
    $ echo hello | qkd-tls connect localhost:4433 --ca certs/ca.crt \\
        --kme https://localhost:8443 --sae sae-a --peer-sae sae-b --kme-cert certs/sae-a.crt --kme-key certs/sae-a.key`;

/** Runs the command line and reports its failure, if any, on standard error. Resolves with the exit code. */
export async function run(words: readonly string[]): Promise<number> {
  const command = program();
  try {
    await command.parseAsync([...words], { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    report(error, words);
    return exitCodeOf(error);
  }
}

function report(error: unknown, words: readonly string[]): void {
  if (error instanceof Reported || error instanceof Interrupted) return;
  if (error instanceof CommanderError) {
    process.stderr.write(commandLineText(error, words));
    return;
  }
  if (words.includes("--json"))
    process.stderr.write(`${JSON.stringify({ event: "error", ...errorRecord(error) })}\n`);
  else {
    process.stderr.write(
      errorText(
        error,
        words.some((word) => word === "-v" || word === "--verbose"),
      ),
    );
    if (error instanceof UsageError && error.option === undefined)
      process.stderr.write(`hint: ${seeHelp(words)}\n`);
  }
}

/** What commander found, in our form. Values may be secrets, so an unknown `--name=value` loses its value. */
function commandLineText(error: CommanderError, words: readonly string[]): string {
  if (error.exitCode === 0 || error.code === "commander.help") return "";
  const [first = "", ...more] = error.message.split("\n");
  const message = first.replace(/^error: /, "").replace(/^(unknown option '-[^=']*)=.*'$/, "$1'");
  const suggestion = more.map((line) => line.replace(/^\((.*)\)$/, "$1")).find((line) => line !== "");
  const short = /^unknown option '-(\w[\w-]+)'$/.exec(message)?.[1];
  const hint = suggestion ?? (short === undefined ? seeHelp(words) : `options have two hyphens: --${short}`);
  return printable(`qkd-tls: ${message}\nhint: ${hint}\n`);
}

function seeHelp(words: readonly string[]): string {
  const [first = ""] = words.filter((word) => !word.startsWith("-"));
  const known = program().commands.some((each) => each.name() === first);
  return `qkd-tls ${known ? `${first} ` : ""}--help explains ${known ? "the options" : "the commands"}`;
}

function version(): string {
  const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string };
  return version;
}
