/** A room of people, each at the other end of a Duplex: what one says, the others hear. */
import type { Duplex } from "node:stream";
import { Bucket } from "./bucket.ts";
import { ChatError } from "./error.ts";
import {
  encodeLine,
  LINE_BYTES,
  type LineFromRoom,
  LineReader,
  type LineToRoom,
  MAX_PEOPLE,
  type Person,
  readLineToRoom,
} from "./lines.ts";
import { checkName, nameKey } from "./text.ts";

export interface RoomOptions {
  /** People at most; default 256, which is the most. */
  readonly maxPeople?: number;
  /** What waits for a slow reader, in bytes; more is dropped. Default 65536. */
  readonly maxQueueBytes?: number;
  /** A reader who missed so many lines in a row has to go; default 1000. */
  readonly maxMissed?: number;
  /** How long somebody may take to say a name, in milliseconds; default 10000. */
  readonly joinTimeoutMs?: number;
  /** Lines somebody may send at once, and then a second; more wait. Default 10 and 4. */
  readonly burst?: number;
  readonly perSecond?: number;
}

const DEFAULTS = {
  maxPeople: MAX_PEOPLE,
  maxQueueBytes: 64 * 1024,
  maxMissed: 1000,
  joinTimeoutMs: 10_000,
  burst: 10,
  perSecond: 4,
} as const;
/** How long somebody who must go may take to read why. */
const LINGER_MS = 1000;

type Limits = Required<RoomOptions>;

export class Room {
  readonly #limits: Limits;
  readonly #visitors = new Set<Visitor>();
  /** By `nameKey`. */
  readonly #people = new Map<string, Visitor>();
  #open = true;

  constructor(options: RoomOptions = {}) {
    const limits: Limits = { ...DEFAULTS, ...options };
    this.#limits = { ...limits, maxPeople: Math.min(limits.maxPeople, MAX_PEOPLE) };
  }

  get people(): readonly Person[] {
    return [...this.#people.values()].map((visitor) => visitor.person);
  }

  /**
   * Lets somebody in; fulfilled when they have left. Throws a ChatError when they broke a rule.
   * `protection` is what the others see behind the name.
   */
  async enter(socket: Duplex, protection: string): Promise<void> {
    const visitor = new Visitor(socket, protection, this.#limits, (line) => this.#hear(visitor, line));
    this.#visitors.add(visitor);
    if (!this.#open) visitor.go({ kind: "closed" });
    try {
      await visitor.gone;
    } finally {
      this.#visitors.delete(visitor);
      this.#leave(visitor);
    }
  }

  /** Sends everybody home. */
  close(): void {
    this.#open = false;
    for (const visitor of this.#visitors) visitor.go({ kind: "closed" });
  }

  #hear(visitor: Visitor, line: LineToRoom): void {
    if (!visitor.joined) {
      if (line.kind !== "join") throw new ChatError("ERR_CHAT_LINE", `${line.kind} came before join`);
      this.#join(visitor, line.name);
      return;
    }
    switch (line.kind) {
      case "join":
        throw new ChatError("ERR_CHAT_LINE", "join came twice");
      case "say":
        if (line.text !== "")
          this.#tell({ kind: "said", name: visitor.person.name, text: line.text }, visitor);
        return;
      case "who":
        visitor.tell({ kind: "people", people: this.people });
        return;
      case "leave":
        this.#leave(visitor);
        visitor.go();
        return;
    }
  }

  #join(visitor: Visitor, wanted: string): void {
    if (this.#people.size >= this.#limits.maxPeople) {
      throw new ChatError("ERR_CHAT_REFUSED", `the room is full: ${this.#limits.maxPeople} people are here`);
    }
    const name = this.#freeName(checkName(wanted));
    visitor.join(name);
    this.#people.set(nameKey(name), visitor);
    visitor.tell({ kind: "welcome", name, people: this.people });
    this.#tell({ kind: "joined", person: visitor.person }, visitor);
  }

  /** `anna`, or `anna-2` when there is an Anna already. */
  #freeName(wanted: string): string {
    let name = wanted;
    for (let nth = 2; this.#people.has(nameKey(name)); nth++) name = `${wanted}-${nth}`;
    return name;
  }

  #leave(visitor: Visitor): void {
    const key = nameKey(visitor.person.name);
    if (this.#people.get(key) !== visitor) return;
    this.#people.delete(key);
    this.#tell({ kind: "left", name: visitor.person.name }, visitor);
  }

  #tell(line: LineFromRoom, butNot: Visitor): void {
    for (const visitor of this.#people.values()) if (visitor !== butNot) visitor.tell(line);
  }
}

/** One connection: its lines in, at a bounded rate, and its lines out, in a bounded queue. */
class Visitor {
  readonly #socket: Duplex;
  readonly #limits: Limits;
  readonly #reader = new LineReader(LINE_BYTES.toRoom);
  readonly #bucket: Bucket;
  readonly #hear: (line: LineToRoom) => void;
  #waiting: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;
  #missed = 0;
  #warned = false;
  #going = false;
  #settle: (error?: Error) => void = () => undefined;
  joined = false;
  person: Person;
  /** Settled when the connection is over. */
  readonly gone: Promise<void>;

  constructor(socket: Duplex, protection: string, limits: Limits, hear: (line: LineToRoom) => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#hear = hear;
    this.#bucket = new Bucket(limits.burst, limits.perSecond, performance.now());
    this.person = { name: "", protection };
    this.gone = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    const late = new ChatError("ERR_CHAT_REFUSED", "nobody said a name in time");
    this.#timer = setTimeout(() => this.#expel(late), limits.joinTimeoutMs);
    socket.on("data", (chunk: Uint8Array) => this.#guard(() => this.#take(chunk)));
    socket.on("end", () => this.#ended());
    // A broken connection is a way to leave.
    socket.on("error", () => this.#over());
    socket.on("close", () => this.#over());
    if (socket.destroyed) this.#over();
  }

  join(name: string): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.joined = true;
    this.person = { ...this.person, name };
  }

  tell(line: LineFromRoom): void {
    const socket = this.#socket;
    if (this.#going || !socket.writable) return;
    if (socket.writableLength > this.#limits.maxQueueBytes) {
      if (++this.#missed > this.#limits.maxMissed) {
        this.#settle(new ChatError("ERR_CHAT_REFUSED", `${this.person.name} reads too slowly`));
        socket.destroy();
      }
      return;
    }
    socket.write(encodeLine(line), () => this.#caughtUp());
  }

  /** Says a last line and ends the connection. */
  go(last?: LineFromRoom): void {
    if (this.#going) return;
    if (last !== undefined) this.tell(last);
    this.#going = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (!socket.writableEnded) socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  #take(chunk: Uint8Array): void {
    if (this.#going) return;
    for (const line of this.#reader.take(chunk)) this.#waiting.push(line);
    if (this.#timer === undefined || !this.joined) this.#work();
  }

  /** Hears what waits, as fast as is allowed; meanwhile nothing more is read. */
  #work(): void {
    while (!this.#going) {
      const line = this.#waiting[0];
      if (line === undefined) {
        if (this.#socket.readableEnded) this.go();
        else this.#socket.resume();
        return;
      }
      const waitMs = this.#bucket.take(performance.now());
      if (waitMs > 0) return this.#pause(waitMs);
      this.#waiting.shift();
      this.#hear(readLineToRoom(line));
    }
  }

  #pause(waitMs: number): void {
    this.#socket.pause();
    if (!this.#warned) this.tell({ kind: "notice", text: "not so fast: your lines wait for their turn" });
    this.#warned = true;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#guard(() => this.#work());
    }, waitMs);
  }

  #caughtUp(): void {
    if (this.#missed === 0 || this.#socket.writableLength > this.#limits.maxQueueBytes / 2) return;
    const text = `you missed ${this.#missed} lines, because you read too slowly`;
    this.#missed = 0;
    this.tell({ kind: "notice", text });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#expel(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #expel(error: Error): void {
    if (this.#going) return;
    this.#settle(error);
    this.go({ kind: "refused", text: error.message.slice(0, 400) });
  }

  #ended(): void {
    if (this.#waiting.length === 0) this.go();
  }

  #over(): void {
    this.#going = true;
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#settle();
  }
}
