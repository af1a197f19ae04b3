/** What sender and receiver say to each other: each message is declared once, and framed by three bytes of length. */
import { fromUtf8, utf8 } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import {
  bytes,
  type Codec,
  decode,
  encode,
  type Of,
  opaque,
  struct,
  u8,
  u16,
  u32,
} from "../../wire/codec.ts";
import { Reader, Writer } from "../../wire/cursor.ts";
import { TransferError } from "./error.ts";

/** The most file content in one message. */
export const DATA_BYTES = 256 * 1024;
/** The longest path, in bytes of UTF-8. */
export const PATH_BYTES = 4096;
/** The most files and directories in one transfer. */
export const MAX_ENTRIES = 1_000_000;
export const VERSION = 1;
/** How every conversation begins. */
export const PROTOCOL = utf8("qkd-tls transfer");

const FRAME_BYTES = DATA_BYTES + 16;
const HEADER_BYTES = 3;

/** A count of bytes or milliseconds that JavaScript can hold exactly. */
const size: Codec<number> = {
  read(from) {
    const value = from.uint(4) * 2 ** 32 + from.uint(4);
    if (!Number.isSafeInteger(value)) throw from.fault("above 2^53 - 1");
    return value;
  },
  write(to, value) {
    to.uint(4, Math.floor(value / 2 ** 32));
    to.uint(4, value % 2 ** 32);
  },
};

const text = (min: number, max: number): Codec<string> => {
  const carrier = opaque(2, min, max);
  return {
    read(from) {
      const encoded = carrier.read(from);
      try {
        return fromUtf8(encoded);
      } catch {
        throw from.fault("not UTF-8");
      }
    },
    write: (to, value) => carrier.write(to, utf8(value)),
  };
};

const digest = bytes(32);
const fault = struct({ fault: u8, message: text(0, 1024) });

const MESSAGES = {
  /** The sender opens: so many entries and bytes are to come. */
  hello: struct({ protocol: bytes(PROTOCOL.length), version: u8, entries: u32, bytes: size }),
  welcome: struct({ version: u8 }),
  /** Answered by `made` or `refused`. */
  directory: struct({ path: text(1, PATH_BYTES), mode: u16 }),
  made: struct({}),
  /** Answered by `held` or `refused`. */
  file: struct({ path: text(1, PATH_BYTES), size, mtimeMs: size, mode: u16 }),
  /** The receiver has that many bytes already; unless none, the sender answers with their digest. */
  held: struct({ bytes: size }),
  prefix: struct({ digest }),
  /** The receiver wants the content from here on: 0, or all that it held. */
  from: struct({ offset: size }),
  data: struct({ content: opaque(3, 1, DATA_BYTES) }),
  /** The file is complete; the digest is that of all of it. Answered by `done` or `refused`. */
  end: struct({ digest }),
  done: struct({ skipped: u8, digest }),
  /** The receiver does not take this entry. */
  refused: fault,
  /** The sender gives this file up. */
  abandon: fault,
  finish: struct({}),
  finished: struct({}),
  /** I am still here, reading or writing a disk. */
  busy: struct({}),
  /** The transfer cannot go on. */
  abort: fault,
} as const;

/** In the order of the table above, which is therefore fixed. */
const NAMES = Object.keys(MESSAGES) as readonly MessageName[];

export type MessageName = keyof typeof MESSAGES;
export type Body<N extends MessageName> = Of<(typeof MESSAGES)[N]>;
export type Message = { [N in MessageName]: { readonly is: N; readonly body: Body<N> } }[MessageName];
export type MessageOf<N extends MessageName> = Extract<Message, { readonly is: N }>;

/** One message in its frame. Throws a RangeError for a value that does not fit its field. */
export function encodeMessage<N extends MessageName>(is: N, body: Body<N>): Uint8Array {
  const to = new Writer("content" in body ? body.content.length + 16 : 512);
  to.within(3, 1, FRAME_BYTES, () => {
    to.uint(1, NAMES.indexOf(is) + 1);
    // The table pairs each name with its own codec, which the compiler cannot see through an index.
    (MESSAGES[is] as unknown as Codec<Body<N>>).write(to, body);
  });
  return to.done();
}

/** Reads the content of a frame. Throws a TransferError (ERR_TRANSFER_MALFORMED). */
export function decodeMessage(frame: Uint8Array): Message {
  const is = NAMES[(frame[0] ?? 0) - 1];
  if (is === undefined) throw malformed(`there is no message of type ${frame[0] ?? "nothing"}`);
  try {
    const body = decode<unknown>(MESSAGES[is], frame.subarray(1));
    return { is, body } as Message; // the body was read by the codec of that name
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw malformed(`${is}: ${cause.message}`, cause);
  }
}

/** Cuts a stream of bytes into messages, holding one unfinished frame at most. */
export class Frames {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #wanted = HEADER_BYTES;
  #inBody = false;

  /** The messages that these bytes complete. Throws a TransferError (ERR_TRANSFER_MALFORMED). */
  *take(chunk: Uint8Array): Generator<Message> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) {
      const piece = this.#shift(this.#wanted);
      if (this.#inBody) yield decodeMessage(piece);
      this.#wanted = this.#inBody ? HEADER_BYTES : lengthOf(piece);
      this.#inBody = !this.#inBody;
    }
  }

  #shift(count: number): Uint8Array {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : Buffer.concat(this.#chunks);
    this.#chunks = count === all.length ? [] : [all.subarray(count)];
    this.#bytes -= count;
    return all.subarray(0, count);
  }
}

function lengthOf(header: Uint8Array): number {
  const length = new Reader(header).uint(3);
  if (length < 1 || length > FRAME_BYTES)
    throw malformed(`a frame of ${length} bytes, and 1 to ${FRAME_BYTES} are allowed`);
  return length;
}

function malformed(what: string, cause?: unknown): TransferError {
  return new TransferError("ERR_TRANSFER_MALFORMED", `this is not our transfer protocol: ${what}`, { cause });
}

/** The bytes of a value alone, for a digest over it. */
export const identityBytes = (path: string, sizeBytes: number, mtimeMs: number): Uint8Array =>
  encode(struct({ path: text(1, PATH_BYTES), size, mtimeMs: size }), { path, size: sizeBytes, mtimeMs });
