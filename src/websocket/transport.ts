import { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { ProtocolError } from "../protocol/errors.ts";

/** Close codes of RFC 6455 §7.4.1. */
const NORMAL = 1000;
const PROTOCOL_ERROR = 1002;
/** How long a closing handshake may take before the connection is cut. */
const CLOSE_MS = 2000;
/** Up to this size, what waits is joined to one message. */
const JOINED_BYTES = 2 ** 18;

/**
 * A WebSocket as a stream of bytes: TLS records travel in binary messages, whose borders mean nothing.
 * A WebSocket cannot be half-closed, so ending this stream only stops its writing: close_notify inside says the rest,
 * and the WebSocket closes when the stream is destroyed.
 */
export class WebSocketTransport extends Duplex {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on("close", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.once("open", () => this.emit("connect"));
  }

  /** True until the WebSocket is open; `connect` is emitted then. */
  get connecting(): boolean {
    return this.#socket.readyState === this.#socket.CONNECTING;
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (!isBinary) {
      const error = new ProtocolError(
        "ERR_TLS_DECODE",
        "decode_error",
        "WebSocket: a text message where records belong",
      );
      this.destroy(error);
      return;
    }
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    if (!this.push(bytes)) this.#socket.pause();
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.connecting) this.#socket.once("open", () => this.#socket.send(chunk, done));
    else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(chunk, done);
    else this.#refuse(done);
  }

  /** The WebSocket is closing. What it still brings comes first, for it tells a truncation from a clean end. */
  #refuse(done: (error: Error) => void): void {
    const refuse = (): void => done(Object.assign(new Error("the WebSocket is closed"), { code: "EPIPE" }));
    if (this.readableEnded) refuse();
    else this.once("end", refuse);
  }

  /** What waits goes out in few messages, none of them too large for the other end. */
  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    const messages = joined(chunks.map(({ chunk }) => chunk));
    // A message that cannot be sent leaves the last one unsent as well, which tells it once.
    for (const [at, message] of messages.entries()) {
      this._write(message, "binary", at === messages.length - 1 ? done : () => undefined);
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const socket = this.#socket;
    if (socket.readyState === socket.OPEN) {
      socket.close(error === null ? NORMAL : PROTOCOL_ERROR);
      const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
      timer.unref();
      socket.once("close", () => clearTimeout(timer));
    } else if (socket.readyState === socket.CONNECTING) {
      socket.terminate();
    }
    done(error);
  }
}

/** The chunks in their order, small ones together. */
function joined(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  const messages: Uint8Array[] = [];
  let part: Uint8Array[] = [];
  let bytes = 0;
  const finish = (): void => {
    if (part.length > 0) messages.push(Buffer.concat(part, bytes));
    part = [];
    bytes = 0;
  };
  for (const chunk of chunks) {
    if (bytes + chunk.length > JOINED_BYTES) finish();
    part.push(chunk);
    bytes += chunk.length;
  }
  finish();
  return messages;
}
