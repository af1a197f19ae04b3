/** A person at a terminal, or a program at a pipe, as a guest of a room. */
import { createInterface, cursorTo, clearLine } from "node:readline";
import type { Duplex, Readable, Writable } from "node:stream";
import { Guest } from "./guest.ts";
import { render } from "./render.ts";

export interface TerminalOptions {
  readonly name: string;
  /** Lines of the room as JSON, for programs. */
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly input?: Readable & { readonly isTTY?: boolean };
  readonly output?: Writable & { readonly isTTY?: boolean };
}

/** Talks until the person leaves, the input ends, the room closes or the signal is aborted. Throws as `Guest.ended`. */
export async function talk(socket: Duplex, options: TerminalOptions): Promise<void> {
  const { input = process.stdin, output = process.stdout, signal, json } = options;
  const watched = input.isTTY === true && output.isTTY === true;
  const keyboard = createInterface({
    input,
    terminal: watched,
    prompt: "> ",
    ...(watched ? { output } : {}),
  });
  const print = (text: string): void => {
    if (watched) {
      clearLine(output, 0);
      cursorTo(output, 0);
    }
    output.write(`${text}\n`);
    if (watched) keyboard.prompt(true);
  };
  const guest = new Guest(socket, {
    name: options.name,
    onLine: (line, people) => print(json ? JSON.stringify(line) : render(line, people)),
    onHint: (text) => print(json ? JSON.stringify({ kind: "hint", text }) : `* ${text}`),
  });
  const leave = (): void => guest.leave();
  keyboard.on("line", (line) => {
    if (!guest.type(line)) keyboard.pause();
    else if (watched) keyboard.prompt();
  });
  socket.on("drain", () => keyboard.resume());
  keyboard.once("close", leave);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  try {
    await guest.ended;
  } finally {
    signal.removeEventListener("abort", leave);
    keyboard.close();
    if (watched) output.write("\n");
  }
}
