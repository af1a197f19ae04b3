import { userInfo } from "node:os";
import { duplexPair } from "node:stream";
import type { Command } from "commander";
import {
  addEitherOptions,
  type ClientFlags,
  clientOptions,
  parseEndpoint,
  type ServerFlags,
} from "../channel-options.ts";
import { ChatError } from "../chat/error.ts";
import { MAX_PEOPLE } from "../chat/lines.ts";
import { protection } from "../chat/protection.ts";
import { Room } from "../chat/room.ts";
import { talk } from "../chat/terminal.ts";
import { checkName } from "../chat/text.ts";
import { dial, parseTarget } from "../dial.ts";
import { evidenceLine, evidenceTable } from "../evidence.ts";
import { interruption } from "../interrupt.ts";
import { keyLogFile } from "../keylog.ts";
import { listen } from "../listen.ts";
import { say } from "../output.ts";
import { bad, needed } from "../value.ts";

interface ChatFlags extends ClientFlags, ServerFlags {
  readonly listen?: string;
  readonly websocket?: string;
  readonly name?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Adds `qkd-tls chat`: a room for several people, each shown with what protects them. */
export function registerChat(program: Command): void {
  const command = program
    .command("chat")
    .summary("a chat room in the terminal: open one with --listen, or join one")
    .description(
      "Opens a room (--listen) or joins one. Everybody is shown with what protects their connection, as the room's " +
        "server sees it; the server itself reads what is said. /who lists the people, /quit leaves. From a pipe every " +
        "line is said, and the end of the input leaves.",
    )
    .argument("[host:port]", "the room to join, as in localhost:4433 or ws://localhost:4434")
    .option("--listen <host:port>", "open a room there")
    .option("--websocket <host:port>", "let people in by WebSocket there as well")
    .option("--name <name>", "how the others see us (default: the user's name)")
    .option("--quiet", "open a room without taking part; so does a server without a terminal");
  addEitherOptions(command)
    .addHelpText("after", `\n${EXAMPLES}`)
    .action((address: string | undefined, flags: ChatFlags, self: Command) =>
      run(address, { ...flags, ...self.optsWithGlobals<{ verbose?: boolean }>() }),
    );
}

const EXAMPLES = `Examples:
  $ qkd-tls chat --listen localhost:4433 --name anna --cert certs/server.crt --key certs/server.key
  $ qkd-tls chat localhost:4433 --name ben --ca certs/ca.crt
  $ qkd-tls chat --listen localhost:4433 --websocket localhost:4434 --quiet --psk-file keys.txt
  $ qkd-tls chat ws://localhost:4434 --name carl --psk-file keys.txt`;

async function run(address: string | undefined, flags: ChatFlags): Promise<void> {
  if (flags.listen !== undefined && address !== undefined) {
    throw bad("--listen", "open a room or join one, not both");
  }
  if (flags.listen !== undefined) return open(flags.listen, flags);
  if (address === undefined)
    throw needed("host:port", "which room? localhost:4433 joins one, --listen opens one");
  const [stray] = [
    flags.quiet === true ? "--quiet" : undefined,
    flags.websocket === undefined ? undefined : "--websocket",
  ].filter((each) => each !== undefined);
  if (stray !== undefined) throw needed("--listen", `${stray} is for who opens a room`);
  return join(address, flags);
}

async function open(address: string, flags: ChatFlags): Promise<void> {
  const endpoint = parseEndpoint(address, "--listen");
  const websocket = flags.websocket === undefined ? undefined : parseEndpoint(flags.websocket, "--websocket");
  const takesPart = flags.quiet !== true && process.stdin.isTTY;
  const name = takesPart ? nameFrom(flags) : "";
  const stop = interruption();
  const room = new Room();
  const json = flags.json === true;
  try {
    await listen({
      endpoint,
      websocket,
      flags,
      signal: stop.signal,
      maxConnections: 2 * MAX_PEOPLE,
      tell: (event, text) => say(json, event, text),
      serve: (socket) => room.enter(socket, protection(socket.security)),
      ...(takesPart ? { until: host(room, name, json, stop.signal) } : {}),
      closing: () => room.close(),
    });
  } finally {
    stop.release();
  }
}

/** The person at the server's own terminal. */
async function host(room: Room, name: string, json: boolean, signal: AbortSignal): Promise<void> {
  const [inside, outside] = duplexPair();
  const stay = room.enter(inside, "at the server itself");
  await talk(outside, { name, json, signal });
  await stay;
}

async function join(address: string, flags: ChatFlags): Promise<void> {
  const target = parseTarget(address);
  const name = nameFrom(flags);
  const options = clientOptions(flags);
  const json = flags.json === true;
  const keyLog = flags.keylog === undefined ? undefined : keyLogFile(flags.keylog);
  const stop = interruption();
  try {
    const socket = await dial(target, { ...options, signal: stop.signal }, (made) => keyLog?.watch(made));
    const { security } = socket;
    if (security !== undefined) {
      const text = flags.verbose === true ? evidenceTable(security) : evidenceLine(security);
      say(json, { event: "connected", security }, text);
    }
    await talk(socket, { name, json, signal: stop.signal });
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    stop.release();
    keyLog?.close();
    options.qkd?.source.close();
  }
}

function nameFrom({ name }: ChatFlags): string {
  try {
    return checkName(name ?? userInfo().username);
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    throw name === undefined ? needed("--name", error.message) : bad("--name", error.message);
  }
}
