/** The chat's protocol: JSON objects, one a line, each kind declared once. What is read is clean to print. */
import { fromUtf8, utf8 } from "../../protocol/bytes.ts";
import { ChatError } from "./error.ts";
import { clean, SAY_LENGTH } from "./text.ts";

/** The most people in a room. */
export const MAX_PEOPLE = 256;
/** The longest line to the room and from it, in bytes. */
export const LINE_BYTES = { toRoom: 8192, fromRoom: 512 * 1024 } as const;

/** Somebody in the room, and what protects the connection, as the room's server sees it. */
export interface Person {
  readonly name: string;
  readonly protection: string;
}

type Field<T> = (value: unknown) => T;

const text =
  (maxLength: number): Field<string> =>
  (value) => {
    if (typeof value !== "string") throw new Error("is no text");
    if (value.length > maxLength) throw new Error(`is longer than ${maxLength}`);
    return clean(value);
  };

const person: Field<Person> = (value) => {
  if (typeof value !== "object" || value === null) throw new Error("is no person");
  const { name, protection } = value as Record<string, unknown>; // any object may be asked for these
  return { name: text(64)(name), protection: text(400)(protection) };
};

const people: Field<readonly Person[]> = (value) => {
  if (!Array.isArray(value)) throw new Error("is no list");
  if (value.length > MAX_PEOPLE) throw new Error(`has more than ${MAX_PEOPLE} people`);
  return value.map(person);
};

type Fields = Readonly<Record<string, Field<unknown>>>;
type LineOf<T extends Readonly<Record<string, Fields>>> = {
  [K in keyof T]: { readonly kind: K } & {
    readonly [F in keyof T[K]]: T[K][F] extends Field<infer V> ? V : never;
  };
}[keyof T];

/** What a person sends. */
const TO_ROOM = {
  /** First of all. */
  join: { name: text(256) },
  say: { text: text(SAY_LENGTH) },
  who: {},
  leave: {},
} as const satisfies Readonly<Record<string, Fields>>;
export type LineToRoom = LineOf<typeof TO_ROOM>;

/** What the room sends. */
const FROM_ROOM = {
  /** You are in, under this name, with these people (you among them). */
  welcome: { name: text(64), people },
  joined: { person },
  left: { name: text(64) },
  said: { name: text(64), text: text(SAY_LENGTH) },
  people: { people },
  /** From the room itself. */
  notice: { text: text(400) },
  /** You cannot be here; the connection ends. */
  refused: { text: text(400) },
  /** The room ends. */
  closed: {},
} as const satisfies Readonly<Record<string, Fields>>;
export type LineFromRoom = LineOf<typeof FROM_ROOM>;

export const encodeLine = (line: LineToRoom | LineFromRoom): Uint8Array => utf8(`${JSON.stringify(line)}\n`);

/** Throws a ChatError (ERR_CHAT_LINE). */
export const readLineToRoom = (line: Uint8Array): LineToRoom => read(TO_ROOM, line) as LineToRoom; // by that table
/** Throws a ChatError (ERR_CHAT_LINE). */
export const readLineFromRoom = (line: Uint8Array): LineFromRoom => read(FROM_ROOM, line) as LineFromRoom; // by that table

/** Reads what the table declares and nothing else; fields that it does not know are left out. */
function read(table: Readonly<Record<string, Fields>>, line: Uint8Array): unknown {
  const given = parse(line);
  const { kind } = given;
  const fields = typeof kind === "string" && Object.hasOwn(table, kind) ? table[kind] : undefined;
  if (fields === undefined) throw bad(`there is no line of the kind ${clean(String(kind)).slice(0, 32)}`);
  const found: Record<string, unknown> = { kind };
  for (const [name, field] of Object.entries(fields)) {
    try {
      found[name] = field(given[name]);
    } catch (error) {
      throw bad(`${String(kind)}: ${name} ${error instanceof Error ? error.message : "is wrong"}`);
    }
  }
  return found;
}

function parse(line: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(line));
  } catch (cause) {
    throw bad("a line is no JSON", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad("a line is no JSON object");
  return value as Record<string, unknown>; // any object may be asked for its fields
}

const bad = (what: string, cause?: unknown): ChatError => new ChatError("ERR_CHAT_LINE", what, { cause });

const NEWLINE = 0x0a;

/** Cuts bytes into lines, holding one unfinished line at most. */
export class LineReader {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that these bytes complete, without their ends. Throws a ChatError for one that is too long. */
  *take(chunk: Uint8Array): Generator<Uint8Array> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      const line = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#bytes = 0;
      from = end + 1;
      yield line;
    }
    // A copy, because whoever gave the chunk may reuse it.
    if (from < chunk.length) this.#keep(chunk.slice(from));
  }

  #keep(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw bad(`a line is longer than ${this.#maxBytes} bytes`);
    this.#parts.push(part);
  }
}
