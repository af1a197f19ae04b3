/** Somebody's side of the room: what the room says comes in as lines, what is typed goes out. */
import type { Duplex } from "node:stream";
import { ChatError } from "./error.ts";
import {
  encodeLine,
  LINE_BYTES,
  type LineFromRoom,
  LineReader,
  type LineToRoom,
  type Person,
  readLineFromRoom,
} from "./lines.ts";
import { clean, SAY_LENGTH } from "./text.ts";

const HELP =
  "/who lists the people and what protects them, /quit leaves; a line that begins with // says the rest of it";
/** How long the room may take to say good-bye. */
const LINGER_MS = 2000;

export interface GuestOptions {
  readonly name: string;
  /** Told of every line of the room, after it has taken effect. */
  readonly onLine: (line: LineFromRoom, people: ReadonlyMap<string, Person>) => void;
  /** Told of what the guest itself has to say to whom it serves. */
  readonly onHint: (text: string) => void;
}

export class Guest {
  readonly #socket: Duplex;
  readonly #options: GuestOptions;
  readonly #reader = new LineReader(LINE_BYTES.fromRoom);
  readonly #people = new Map<string, Person>();
  #leaving = false;
  #failure: Error | undefined;
  /** Fulfilled when we left or the room closed. Throws a ChatError when it was cut, or did not want us. */
  readonly ended: Promise<void>;

  constructor(socket: Duplex, options: GuestOptions) {
    this.#socket = socket;
    this.#options = options;
    this.ended = new Promise((resolve, reject) => {
      socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
      socket.on("error", (error: Error) => {
        if (!this.#leaving) this.#failure ??= error;
      });
      socket.on("end", () => this.#finish());
      socket.once("close", () => {
        if (this.#failure !== undefined) reject(this.#failure);
        else if (this.#leaving) resolve();
        else reject(new ChatError("ERR_CHAT_CUT", "the connection to the room was cut"));
      });
    });
    this.#send({ kind: "join", name: options.name });
  }

  /** What somebody typed; false when it is better to wait for `drain`. */
  type(input: string): boolean {
    const text = clean(input);
    if (text === "" || this.#leaving) return true;
    const [, command] = /^\/(?!\/)(\S*)/.exec(text) ?? [];
    if (command !== undefined) return this.#command(command);
    const said = text.startsWith("//") ? text.slice(1) : text;
    if (said.length <= SAY_LENGTH) return this.#send({ kind: "say", text: said });
    this.#options.onHint(`not sent: ${said.length} characters, and ${SAY_LENGTH} can be said at once`);
    return true;
  }

  leave(): void {
    if (this.#leaving) return;
    this.#send({ kind: "leave" });
    this.#finish();
  }

  #command(command: string): boolean {
    if (command === "who") return this.#send({ kind: "who" });
    if (command === "quit") this.leave();
    else this.#options.onHint(command === "help" ? HELP : `there is no /${command}: ${HELP}`);
    return true;
  }

  #take(chunk: Uint8Array): void {
    try {
      for (const line of this.#reader.take(chunk)) this.#on(readLineFromRoom(line));
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #on(line: LineFromRoom): void {
    switch (line.kind) {
      case "welcome":
      case "people":
        this.#people.clear();
        for (const person of line.people) this.#people.set(person.name, person);
        break;
      case "joined":
        // The room bounds itself; a hostile one shall not fill our memory.
        if (this.#people.size < 4096) this.#people.set(line.person.name, line.person);
        break;
      case "refused":
        this.#failure ??= new ChatError("ERR_CHAT_REFUSED", `the room does not want us: ${line.text}`);
        this.#finish();
        break;
      case "closed":
        this.#finish();
        break;
      case "said":
      case "notice":
      case "left":
        break;
    }
    this.#options.onLine(line, this.#people);
    if (line.kind === "left") this.#people.delete(line.name);
  }

  #finish(): void {
    const socket = this.#socket;
    if (socket.readableEnded && !this.#leaving && this.#failure === undefined) {
      this.#failure = new ChatError("ERR_CHAT_CUT", "the room ended without a word");
    }
    this.#leaving = true;
    if (socket.destroyed || socket.writableEnded) return;
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  #send(line: LineToRoom): boolean {
    return this.#socket.writable ? this.#socket.write(encodeLine(line)) : true;
  }
}
