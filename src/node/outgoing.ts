import type { Duplex } from "node:stream";
import type { Channel } from "../channel/channel.ts";

/** Small writes that wait together are joined into records of at most this size. RFC 9846 §5.1. */
const RECORD_BYTES = 16_384;
/** Larger chunks than this are sealed where they lie; copying them would cost more than a record. */
const JOIN_BELOW_BYTES = 4096;

type Done = (error?: Error | null) => void;

/**
 * Writes to the transport: the first write of a turn at once, further ones of that turn together,
 * each lot in one gathered write.
 */
export class Outgoing {
  readonly #channel: Channel;
  readonly #transport: Duplex;
  #blocked: Done | undefined;
  /** Bytes handed to the transport. */
  bytes = 0;

  constructor(channel: Channel, transport: Duplex) {
    this.#channel = channel;
    this.#transport = transport;
  }

  write(chunk: Uint8Array, done: Done): void {
    this.#channel.send(chunk);
    this.#finish(done);
  }

  writeAll(chunks: readonly { readonly chunk: Uint8Array }[], done: Done): void {
    let joined: Uint8Array[] = [];
    let joinedBytes = 0;
    const sendJoined = (): void => {
      if (joinedBytes > 0)
        this.#channel.send(
          joined.length === 1 ? (joined[0] as Uint8Array) : Buffer.concat(joined, joinedBytes),
        );
      joined = [];
      joinedBytes = 0;
    };
    for (const { chunk } of chunks) {
      const large = chunk.length >= JOIN_BELOW_BYTES;
      if (large || joinedBytes + chunk.length > RECORD_BYTES) sendJoined();
      if (large) this.#channel.send(chunk);
      else {
        joined.push(chunk);
        joinedBytes += chunk.length;
      }
    }
    sendJoined();
    this.#finish(done);
  }

  /** The callback waits for the end of the turn, so that what else is written in it goes out together. */
  #finish(done: Done): void {
    if (this.flush()) process.nextTick(done);
    else this.#blocked = done;
  }

  /** Sends what the channel has ready; false when the transport asks to wait for `drain`. */
  flush(): boolean {
    const transport = this.#transport;
    const pieces = this.#channel.takeOutput();
    if (pieces.length === 0 || transport.destroyed || transport.writableEnded) return true;
    for (const piece of pieces) this.bytes += piece.length;
    if (pieces.length === 1) return transport.write(pieces[0]);
    let room = true;
    transport.cork();
    for (const piece of pieces) room = transport.write(piece);
    transport.uncork();
    return room;
  }

  /** The transport has room again. */
  drained(): void {
    const done = this.#blocked;
    this.#blocked = undefined;
    done?.();
  }

  /** Drops what is ready to be sent. */
  discard(): void {
    this.#channel.takeOutput();
  }
}
