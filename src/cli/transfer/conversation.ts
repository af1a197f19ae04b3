import type { Duplex } from "node:stream";
import { QkdTlsError } from "../../protocol/errors.ts";
import { codeOf } from "../cause.ts";
import { printable } from "../output.ts";
import { TransferError, type TransferErrorCode, TransferFault, faultCode } from "./error.ts";
import {
  type Body,
  encodeMessage,
  Frames,
  type Message,
  type MessageName,
  type MessageOf,
} from "./messages.ts";

/** Content that waits to be written to disk; above it the channel is paused. */
const INBOX_BYTES = 1024 * 1024;
/** How often a side that works on its disk says so. */
const BUSY_EVERY_MS = 5000;
/** How long a closed conversation waits for the other side to read our last words. */
const LINGER_MS = 3000;

export interface ConversationOptions {
  /** The longest silence, in milliseconds; default 60000. */
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Messages both ways over one Duplex, with back-pressure; it fails once, and everything under way with it. */
export class Conversation {
  readonly #socket: Duplex;
  readonly #idleTimeoutMs: number;
  readonly #frames = new Frames();
  readonly #inbox: Message[] = [];
  #inboxBytes = 0;
  #failure: Error | undefined;
  #ended = false;
  #over = false;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, { idleTimeoutMs = 60_000, signal }: ConversationOptions = {}) {
    this.#socket = socket;
    this.#idleTimeoutMs = idleTimeoutMs;
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    socket.on("drain", () => this.#wake());
    socket.on("end", () => this.#end());
    socket.on("error", (error: Error) => this.#fail(connectionFault(error)));
    socket.on("close", () => this.#end());
    const abort = (): void =>
      this.#fail(
        new TransferError("ERR_TRANSFER_ABORTED", "the transfer was called off", { cause: signal?.reason }),
      );
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("close", () => signal?.removeEventListener("abort", abort));
    if (socket.destroyed) this.#end();
  }

  /** Sends a message; fulfilled once there is room for the next. */
  async send<N extends MessageName>(is: N, body: Body<N>): Promise<void> {
    this.#checkWritable();
    if (this.#socket.write(encodeMessage(is, body))) return;
    while (this.#socket.writableNeedDrain) {
      await this.#change();
      this.#checkWritable();
    }
  }

  /** The next message, which must be one of these. Throws a TransferError otherwise. */
  async expect<N extends MessageName>(...names: readonly N[]): Promise<MessageOf<N>> {
    const message = await this.#next();
    if ((names as readonly MessageName[]).includes(message.is)) return message as MessageOf<N>; // its name is in N
    throw new TransferError(
      "ERR_TRANSFER_UNEXPECTED",
      `${message.is} came where ${names.join(" or ")} belongs`,
    );
  }

  /** Tells the other side from time to time that this work goes on. */
  async during<T>(work: Promise<T>): Promise<T> {
    const timer = setInterval(() => {
      if (this.#failure === undefined && !this.#socket.writableNeedDrain) {
        this.#socket.write(encodeMessage("busy", {}));
      }
    }, BUSY_EVERY_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  /** Throws what ended the conversation, if anything did. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended && this.#inbox.length === 0) throw cut();
  }

  /** Ends our side; what the other side still says no longer matters. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (!socket.writableEnded) socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  /** Ends the conversation because of a failure, and tells the other side when it is ours. */
  giveUp(error: unknown): void {
    const ours = error instanceof TransferError ? !error.fromPeer && error.code !== "ERR_TRANSFER_CUT" : true;
    if (ours && !this.#socket.destroyed && !this.#socket.writableEnded) {
      this.#socket.write(encodeMessage("abort", faultBody(error)));
    }
    this.close();
  }

  /** Whoever has ended its own direction may still listen. */
  #checkWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#socket.writable) throw cut();
  }

  async #next(): Promise<Message> {
    for (;;) {
      const message = this.#inbox.shift();
      if (message !== undefined) {
        this.#inboxBytes -= weight(message);
        if (this.#inboxBytes < INBOX_BYTES && this.#socket.isPaused()) this.#socket.resume();
        return message;
      }
      this.check();
      await this.#change();
    }
  }

  #take(chunk: Uint8Array): void {
    if (this.#over) return;
    try {
      for (const message of this.#frames.take(chunk)) this.#accept(message);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#inboxBytes >= INBOX_BYTES) this.#socket.pause();
    this.#wake();
  }

  #accept(message: Message): void {
    if (message.is === "busy") return;
    if (message.is === "abort") {
      this.#fail(faultFrom(message.body));
      return;
    }
    this.#inbox.push(message);
    this.#inboxBytes += weight(message);
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#failure ??= error;
    this.#wake();
  }

  /** Fulfilled when anything happens: bytes, room to write, an end, a failure, or too long a silence. */
  #change(): Promise<void> {
    this.#timer ??= setTimeout(() => this.#onSilence(), this.#idleTimeoutMs);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #onSilence(): void {
    const seconds = this.#idleTimeoutMs / 1000;
    this.#fail(new TransferError("ERR_TRANSFER_TIMEOUT", `nothing moved for ${seconds} s`));
  }

  #wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** What tells the other side of a fault. */
export function faultBody(error: unknown): Body<"refused"> {
  const known = error instanceof TransferError;
  const message = known ? error.message : "the other side failed";
  return { fault: TransferFault[known ? error.code : "ERR_TRANSFER_PEER"], message: message.slice(0, 256) };
}

/** What the other side told us, safe to print. */
export function faultFrom({ fault, message }: Body<"refused">, path?: string): TransferError {
  const code: TransferErrorCode = faultCode(fault);
  const said = printable(message);
  return new TransferError(code, `the other side says: ${said}`, {
    fromPeer: true,
    ...(path === undefined ? {} : { path }),
  });
}

const weight = (message: Message): number => (message.is === "data" ? message.body.content.length : 64);

function cut(cause?: unknown): TransferError {
  return new TransferError("ERR_TRANSFER_CUT", "the connection ended before the transfer was complete", {
    cause,
  });
}

/** A broken connection is a cut, which can be mended; a verdict of the channel stays what it is. */
function connectionFault(error: Error): Error {
  if (error instanceof QkdTlsError) return error.code === "ERR_TLS_TRUNCATED" ? cut(error) : error;
  return codeOf(error) === undefined ? error : cut(error);
}
