import { EMPTY } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";

/** How many bytes a length prefix has. */
export type Prefix = 1 | 2 | 3;

/** Reads bytes front to back; whatever does not fit is `decode_error`. RFC 9846 §6.2. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;
  /** The field being read, for the error's sake. */
  field = "message";

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  uint(size: 1 | 2 | 3 | 4): number {
    let value = 0;
    for (let end = this.#advance(size), i = end - size; i < end; i++) {
      value = value * 256 + (this.#bytes[i] as number);
    }
    return value;
  }

  /** A view of the next bytes, not a copy. */
  take(length: number): Uint8Array {
    const end = this.#advance(length);
    return this.#bytes.subarray(end - length, end);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** Reads a length-prefixed body to its very end. */
  within<T>(prefix: Prefix, min: number, max: number, body: (from: Reader) => T): T {
    const length = this.uint(prefix);
    if (length < min || length > max) throw this.fault(`length ${length} is outside ${min}..${max}`);
    const outer = this.#end;
    this.#end = this.#at;
    if (outer - this.#at < length) throw this.fault(`${length} bytes announced, ${outer - this.#at} there`);
    this.#end = this.#at + length;
    const value = body(this);
    this.finish();
    this.#end = outer;
    return value;
  }

  finish(): void {
    if (this.left > 0) throw this.fault(`${this.left} bytes too many`);
  }

  fault(what: string): ProtocolError {
    return new ProtocolError("ERR_TLS_DECODE", "decode_error", `${this.field}: ${what}`);
  }

  #advance(length: number): number {
    if (length > this.left) throw this.fault(`${length} bytes needed, ${this.left} there`);
    this.#at += length;
    return this.#at;
  }
}

const BLOCK_BYTES = 4096;
/** The block that the next message is written into, so that each costs only the memory it ends with. */
let spare: Uint8Array | undefined;

/** Appends bytes; a value that does not fit its field is the caller's mistake (RangeError). */
export class Writer {
  #bytes: Uint8Array;
  #at = 0;

  /** `capacity` bytes are there from the start; more are found when needed. */
  constructor(capacity = BLOCK_BYTES) {
    if (capacity > BLOCK_BYTES) {
      this.#bytes = new Uint8Array(capacity);
      return;
    }
    this.#bytes = spare ?? new Uint8Array(BLOCK_BYTES);
    spare = undefined;
  }

  uint(size: 1 | 2 | 3 | 4, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** size) {
      throw new RangeError(`${value} does not fit ${size} bytes`);
    }
    this.#grow(size);
    for (let shift = size - 1; shift >= 0; shift--) {
      this.#bytes[this.#at++] = Math.floor(value / 256 ** shift) & 0xff;
    }
  }

  put(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Writes a body and then its length in front of it. */
  within(prefix: Prefix, min: number, max: number, body: () => void): void {
    const start = this.#at;
    this.#grow(prefix);
    this.#at += prefix;
    body();
    const length = this.#at - start - prefix;
    if (length < min || length > max) throw new RangeError(`length ${length} is outside ${min}..${max}`);
    for (let i = 0; i < prefix; i++) {
      this.#bytes[start + i] = Math.floor(length / 256 ** (prefix - 1 - i)) & 0xff;
    }
  }

  /** What was written, in memory of its own; the writer is spent. */
  done(): Uint8Array {
    const block = this.#bytes;
    this.#bytes = EMPTY;
    if (block.length > BLOCK_BYTES) return block.subarray(0, this.#at);
    const out = block.slice(0, this.#at);
    block.fill(0, 0, this.#at); // It may have held a secret.
    spare = block;
    return out;
  }

  #grow(by: number): void {
    if (this.#at + by <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#at + by, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes.fill(0, 0, this.#at);
    this.#bytes = larger;
  }
}
