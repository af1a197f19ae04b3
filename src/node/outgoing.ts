import type { Duplex } from "node:stream";
import type { Channel } from "../channel/channel.ts";
import { LOT_CONTENT_BYTES } from "../record/output.ts";

type Done = (error?: Error | null) => void;

/**
 * Writes to the transport: the first write of a turn at once, further ones of that turn together, each lot in one
 * gathered write. A write is done when the transport is done with it, so no more than one waits there.
 */
export class Outgoing {
  readonly #channel: Channel;
  readonly #transport: Duplex;
  readonly #sent: (piece: Uint8Array) => void;
  /** The write that is under way; the stream gives us no second one before it is done. */
  #waiting: Done | undefined;
  /** Bytes handed to the transport. */
  bytes = 0;

  /** `sent` is told of each piece of output that the transport has no more need of. */
  constructor(channel: Channel, transport: Duplex, sent: (piece: Uint8Array) => void) {
    this.#channel = channel;
    this.#transport = transport;
    this.#sent = sent;
  }

  write(chunk: Uint8Array, done: Done): void {
    if (chunk.length > LOT_CONTENT_BYTES) this.#seal([chunk], done);
    else {
      this.#channel.send(chunk);
      this.#flush(done);
    }
  }

  writeAll(chunks: readonly { readonly chunk: Uint8Array }[], done: Done): void {
    this.#seal(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  /** Lot by lot, so that the transport carries the first while the next is sealed. */
  #seal(chunks: readonly Uint8Array[], done: Done): void {
    const lots = inLots(chunks);
    const last = lots.pop() ?? [];
    for (const lot of lots) {
      this.#channel.sendAll(lot);
      this.#flush();
    }
    this.#channel.sendAll(last);
    this.#flush(done);
  }

  /** Sends what the channel has ready. */
  flush(): void {
    this.#flush();
  }

  #flush(done?: Done): void {
    const transport = this.#transport;
    const pieces = this.#channel.takeOutput();
    const last = pieces.length - 1;
    if (last < 0) {
      if (done !== undefined) process.nextTick(done);
      return;
    }
    if (done !== undefined) this.#waiting = done;
    if (transport.destroyed || transport.writableEnded) return;
    if (last === 0) {
      this.#hand(pieces[0] as Uint8Array, done);
      return;
    }
    transport.cork();
    pieces.forEach((piece, index) => this.#hand(piece, index === last ? done : undefined));
    transport.uncork();
  }

  /**
   * A write that fails is not done: the transport's own error, or its close, ends the stream and with it the wait.
   * A socket that was destroyed calls back without an error for what it dropped.
   */
  #hand(piece: Uint8Array, done: Done | undefined): void {
    this.bytes += piece.length;
    this.#transport.write(piece, (error) => {
      if ((error !== null && error !== undefined) || this.#transport.destroyed) return;
      this.#sent(piece);
      if (done === undefined || this.#waiting !== done) return;
      this.#waiting = undefined;
      done();
    });
  }

  /** Whether a write is under way. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** The stream has ended: a write that is still under way never will be done. */
  fail(error: Error): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.(error);
  }

  /** Drops what is ready to be sent. */
  discard(): void {
    this.#channel.takeOutput();
  }
}

/** The same bytes in lists of at most as many as one loan of memory takes in full records. */
function inLots(chunks: readonly Uint8Array[]): (readonly Uint8Array[])[] {
  const lots: Uint8Array[][] = [];
  let room = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      if (room === 0) {
        lots.push([]);
        room = LOT_CONTENT_BYTES;
      }
      const part = chunk.subarray(at, at + room);
      lots.at(-1)?.push(part);
      at += part.length;
      room -= part.length;
    }
  }
  return lots;
}
