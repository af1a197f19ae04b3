/** Whole messages over a stream: each behind its length in four bytes. */

import type { Duplex } from "node:stream";
import { plain, wipe } from "../../protocol/bytes.ts";
import { LinkError } from "../../protocol/errors.ts";

const LENGTH_BYTES = 4;
/** Written and not sent yet: whoever reads so slowly is given up. Never less than two of the longest messages. */
const MOST_UNSENT_BYTES = 2 ** 25;

export interface FramesOptions {
  /** Longer messages end the connection; may be changed by `limit`. */
  readonly maxBytes: number;
  /** Told of each message, one in each turn of the event loop; what it throws ends the connection. */
  readonly onFrame: (frame: Uint8Array) => void;
  /** Told once, after the last message, with the reason unless the peer or `close` ended it. */
  readonly onClose: (error?: Error) => void;
}

/** Messages both ways over one stream, which is destroyed with it. */
export class Frames {
  readonly #stream: Duplex;
  readonly #options: FramesOptions;
  #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #turn: NodeJS.Immediate | undefined;
  #isHeld = false;
  #hasEnded = false;
  #isClosed = false;
  #error: Error | undefined;

  constructor(stream: Duplex, options: FramesOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#maxBytes = options.maxBytes;
    stream.on("data", (chunk: Uint8Array) => this.#take(chunk));
    stream.on("error", (error) => (this.#error ??= error));
    for (const event of ["end", "close"]) stream.on(event, () => this.#end());
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Another bound from now on: what is known of a peer has changed. */
  limit(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  /** Delivers nothing until `goOn`: whoever is told of messages is busy. */
  hold(): void {
    this.#isHeld = true;
    this.#stream.pause();
  }

  goOn(): void {
    if (!this.#isHeld || this.#isClosed) return;
    this.#isHeld = false;
    this.#turn ??= setImmediate(() => this.#deliver());
  }

  /** Sends a message; our copy of it is wiped once it is on its way, where it is secret. */
  send(frame: Uint8Array, { secret = false } = {}): void {
    if (this.#isClosed || this.#stream.destroyed) return;
    const message = new Uint8Array(LENGTH_BYTES + frame.length);
    new DataView(message.buffer).setUint32(0, frame.length);
    message.set(frame, LENGTH_BYTES);
    if (secret) wipe(frame);
    this.#stream.write(message, () => secret && wipe(message));
    if (this.#stream.writableLength > Math.max(MOST_UNSENT_BYTES, 2 * this.#maxBytes)) {
      this.close(new LinkError("ERR_LINK_LIMIT", "the peer does not read what it is sent"));
    }
  }

  /** Ends it at once; nothing more is delivered. */
  close(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearImmediate(this.#turn);
    wipe(...this.#chunks);
    this.#chunks = [];
    this.#stream.destroy();
    this.#options.onClose(error ?? this.#error);
  }

  #take(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    this.#chunks.push(plain(chunk));
    this.#held += chunk.length;
    if (this.#turn === undefined && !this.#isHeld) this.#deliver();
  }

  #end(): void {
    this.#hasEnded = true;
    if (this.#turn === undefined && !this.#isHeld) this.close();
  }

  /** One message, and the next one in the next turn, so that others get theirs. */
  #deliver(): void {
    this.#turn = undefined;
    try {
      const frame = this.#next();
      if (frame !== undefined) this.#options.onFrame(frame);
    } catch (error) {
      return this.close(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#isClosed || this.#isHeld) return;
    if (this.#hasNext()) {
      this.#stream.pause();
      this.#turn = setImmediate(() => this.#deliver());
    } else if (this.#hasEnded) this.close();
    else this.#stream.resume();
  }

  #hasNext(): boolean {
    return this.#held >= LENGTH_BYTES && this.#held >= LENGTH_BYTES + this.#length();
  }

  #next(): Uint8Array | undefined {
    if (this.#held < LENGTH_BYTES) return undefined;
    const length = this.#length();
    if (length > this.#maxBytes) {
      throw new LinkError(
        "ERR_LINK_LIMIT",
        `a message of ${length} bytes, where ${this.#maxBytes} are allowed`,
      );
    }
    if (this.#held < LENGTH_BYTES + length) return undefined;
    wipe(this.#pull(LENGTH_BYTES));
    return this.#pull(length);
  }

  #length(): number {
    let length = 0;
    let at = 0;
    for (const chunk of this.#chunks) {
      for (const byte of chunk.subarray(0, LENGTH_BYTES - at)) {
        length = length * 256 + byte;
        at++;
      }
      if (at === LENGTH_BYTES) break;
    }
    return length;
  }

  /** The first bytes that are held, as a copy. */
  #pull(count: number): Uint8Array {
    const out = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      const chunk = this.#chunks[0] as Uint8Array;
      const part = chunk.subarray(0, count - at);
      out.set(part, at);
      at += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#held -= count;
    return out;
  }
}
