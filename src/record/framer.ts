/**
 * Bytes in, whole records and whole handshake messages out. RFC 9846 §5.1.
 * This room is handed keys and never derives them.
 */
import { EMPTY } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { ContentType } from "../protocol/iana.ts";

export const HEADER_BYTES = 5;
export const TAG_BYTES = 16;
/** What a protected record has beside its content and padding: header, content type and tag. RFC 9846 §5.2. */
export const PROTECTION_BYTES = HEADER_BYTES + 1 + TAG_BYTES;
/** RFC 9846 §5.1 and §5.2. */
export const MAX_PLAINTEXT_BYTES = 2 ** 14;
const MAX_CIPHERTEXT_BYTES = 2 ** 14 + 256;

/** One record as it arrived; both views are valid only until the next call. */
export interface RawRecord {
  readonly type: number;
  readonly header: Uint8Array;
  readonly fragment: Uint8Array;
}

/** Cuts a byte stream into records, in place where a record lies whole in what was fed. */
export class RecordFramer {
  #input: Uint8Array | undefined;
  #at = 0;
  readonly #backlog = new Backlog();
  /** Where a record is put together that began in earlier input; there only while records come in parts. */
  #assembly: Uint8Array | undefined;
  #filled = 0;

  /** Lends `bytes` to the framer until the next `feed` or `keep`. What was fed before must have been taken. */
  feed(bytes: Uint8Array): void {
    this.#input = bytes;
    this.#at = 0;
  }

  /** The next whole record, or undefined when more bytes are needed. Throws a ProtocolError. */
  next(): RawRecord | undefined {
    if (this.#filled > 0) return this.#complete();
    const input = this.#input;
    if (input === undefined) {
      this.#assembly = undefined;
      return undefined;
    }
    const left = input.length - this.#at;
    if (left >= HEADER_BYTES) {
      const end = this.#at + HEADER_BYTES + checkedLength(input, this.#at);
      if (end <= input.length) return this.#cut(input, end);
    }
    if (left > 0) this.#begin();
    else this.#assembly = undefined;
    this.#input = undefined;
    return undefined;
  }

  /** Copies what is left of the borrowed input, because its owner wants it back before all was read. */
  keep(): void {
    if (this.#input === undefined) return;
    this.#backlog.adopt(this.#input.slice(this.#at));
    this.#readBacklog();
  }

  /** Bytes fed and not yet given out as records. */
  get buffered(): number {
    return this.#filled + (this.#input === undefined ? 0 : this.#input.length - this.#at);
  }

  /** Copies input behind what was kept and is still unread. */
  append(bytes: Uint8Array): void {
    if (this.#input === undefined) this.#backlog.adopt(bytes.slice());
    else {
      this.#backlog.drop(this.#at);
      this.#backlog.append(bytes);
    }
    this.#readBacklog();
  }

  #readBacklog(): void {
    this.#input = this.#backlog.bytes;
    this.#at = 0;
  }

  #cut(input: Uint8Array, end: number): RawRecord {
    const at = this.#at;
    this.#at = end;
    return recordIn(input, at, end);
  }

  #begin(): void {
    this.#assembly ??= new Uint8Array(HEADER_BYTES + MAX_CIPHERTEXT_BYTES);
    this.#fill(this.#assembly, this.#assembly.length);
  }

  #complete(): RawRecord | undefined {
    const assembly = this.#assembly as Uint8Array;
    if (!this.#fill(assembly, HEADER_BYTES)) return undefined;
    const end = HEADER_BYTES + checkedLength(assembly, 0);
    if (!this.#fill(assembly, end)) return undefined;
    this.#filled = 0;
    return recordIn(assembly, 0, end);
  }

  /** Moves input into the assembly until that holds `target` bytes; false when the input ends before. */
  #fill(assembly: Uint8Array, target: number): boolean {
    const input = this.#input;
    if (input === undefined || this.#filled >= target) return this.#filled >= target;
    const count = Math.min(target - this.#filled, input.length - this.#at);
    assembly.set(input.subarray(this.#at, this.#at + count), this.#filled);
    this.#filled += count;
    this.#at += count;
    if (this.#at === input.length) this.#input = undefined;
    return this.#filled >= target;
  }
}

const recordIn = (bytes: Uint8Array, at: number, end: number): RawRecord => ({
  type: bytes[at] as number,
  header: bytes.subarray(at, at + HEADER_BYTES),
  fragment: bytes.subarray(at + HEADER_BYTES, end),
});

/** The length field, after the type and length were found possible. RFC 9846 §5.1 and §5.2. */
function checkedLength(bytes: Uint8Array, at: number): number {
  const type = bytes[at] as number;
  if (bytes[at + 1] !== 3) {
    throw new ProtocolError("ERR_TLS_DECODE", "decode_error", "record: this is not a TLS record");
  }
  if (type < ContentType.change_cipher_spec || type > ContentType.application_data) {
    throw new ProtocolError("ERR_TLS_UNEXPECTED_MESSAGE", "unexpected_message", `record of type ${type}`);
  }
  const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number);
  const limit = type === ContentType.application_data ? MAX_CIPHERTEXT_BYTES : MAX_PLAINTEXT_BYTES;
  if (length > limit) {
    throw new ProtocolError("ERR_TLS_RECORD_OVERFLOW", "record_overflow", `record of ${length} bytes`);
  }
  return length;
}

/** One handshake message; `bytes` is the whole of it, `body` the part behind its header. */
export interface HandshakeMessage {
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

/** Joins handshake fragments into messages. RFC 9846 §5.1. */
export class HandshakeJoiner {
  readonly #pending = new Backlog();

  /** Takes a fragment that will not change any more. */
  push(fragment: Uint8Array): void {
    if (this.#pending.length === 0) this.#pending.adopt(fragment);
    else this.#pending.append(fragment);
  }

  /** The next whole message. Throws a ProtocolError when one announces more than `maxBytes`. */
  next(maxBytes: number): HandshakeMessage | undefined {
    if (this.#pending.length < 4) return undefined;
    const pending = this.#pending.bytes;
    const length = ((pending[1] as number) << 16) | ((pending[2] as number) << 8) | (pending[3] as number);
    if (length > maxBytes) {
      throw new ProtocolError("ERR_TLS_LIMIT", "illegal_parameter", `handshake message of ${length} bytes`);
    }
    if (pending.length < 4 + length) return undefined;
    const bytes = pending.subarray(0, 4 + length);
    this.#pending.drop(bytes.length);
    return { type: pending[0] as number, bytes, body: bytes.subarray(4) };
  }

  /** True between messages; a key change may happen only here. */
  get idle(): boolean {
    return this.#pending.length === 0;
  }
}

/** Bytes that wait for more, in a block that doubles, so that many small parts cost no more than their sum. */
class Backlog {
  #block: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** A view of what waits; it stays as it is, whatever is added or dropped. */
  get bytes(): Uint8Array {
    return this.#block.subarray(this.#start, this.#end);
  }

  /** Takes bytes that will not change any more, in place of all that was there. */
  adopt(bytes: Uint8Array): void {
    this.#block = bytes;
    this.#start = 0;
    this.#end = bytes.length;
  }

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#block.length) {
      const waiting = this.bytes;
      this.#block = new Uint8Array(2 * (waiting.length + bytes.length));
      this.#block.set(waiting);
      this.#start = 0;
      this.#end = waiting.length;
    }
    this.#block.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  drop(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.adopt(EMPTY);
  }
}
