/** The channel as a stream: a Duplex over any Duplex that carries bytes. */
import { Duplex } from "node:stream";
import type { Channel } from "../channel/channel.ts";
import type { ChannelEvent } from "../channel/events.ts";
import { ProtocolError, TrustError } from "../protocol/errors.ts";
import { encodeSession } from "../handshake/session.ts";
import { evidence, type SecurityRecord } from "../observe/evidence.ts";
import type { Host } from "./host.ts";
import type { Reader } from "./borrowed-reads.ts";
import { Outgoing } from "./outgoing.ts";
import type { CryptoProvider } from "../crypto/provider.ts";

export interface StreamParts {
  readonly channel: Channel;
  readonly host: Host;
  readonly transport: Duplex;
  readonly provider: CryptoProvider;
  readonly handshakeTimeoutMs: number;
  readonly allowHalfOpen?: boolean | undefined;
  readonly highWaterMark?: number | undefined;
  /** Whether an OCSP answer was asked for, which an event then tells of. */
  readonly requestOCSP?: boolean;
  /** What to do with output that the transport has no more need of. */
  readonly sent: (piece: Uint8Array) => void;
  /** Makes the transport give its bytes to `reader`, which borrows them; false leaves it to `data` events. */
  readonly feed?: (reader: Reader) => boolean;
}

/** How long a failed connection waits for the peer to read its alert. */
const LINGER_MS = 1000;

export class SecureStream extends Duplex {
  protected readonly channel: Channel;
  readonly #host: Host;
  protected readonly transport: Duplex;
  readonly #provider: CryptoProvider;
  readonly #outgoing: Outgoing;
  readonly #requestOCSP: boolean;
  #epochs = { sent: 0, received: 0 };
  #handshakeTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #idleMs = 0;
  #heldError: Error | undefined;
  /** It holds a secret, which a printed socket must not show. */
  #session: Uint8Array | undefined;
  /** A write that came before the handshake was done. */
  #waitingWrite: { readonly run: () => void; readonly failed: (error: Error) => void } | undefined;
  #transportEnded = false;
  #crowded = false;

  constructor(parts: StreamParts) {
    super({
      allowHalfOpen: parts.allowHalfOpen ?? false,
      ...(parts.highWaterMark === undefined ? {} : { highWaterMark: parts.highWaterMark }),
    });
    this.channel = parts.channel;
    this.#host = parts.host;
    this.transport = parts.transport;
    this.#provider = parts.provider;
    this.#requestOCSP = parts.requestOCSP ?? false;
    this.#outgoing = new Outgoing(parts.channel, parts.transport, parts.sent);
    this.#listen(parts.feed);
    this.#handshakeTimer = setTimeout(() => this.#onHandshakeTimeout(), parts.handshakeTimeoutMs).unref();
  }

  /** Begins a client's handshake; the transport is connected. */
  startHandshake(): void {
    // A listener of `connect` may have ended it already, and then no key is drawn any more.
    if (!this.destroyed) this.handle(this.channel.start());
  }

  /** What protects this connection; undefined until the handshake is done. */
  get security(): SecurityRecord | undefined {
    const established = this.channel.established;
    return established === undefined ? undefined : evidence(established, this.#provider, this.#epochs);
  }

  #listen(feed: StreamParts["feed"]): void {
    const transport = this.transport;
    const reader: Reader = (bytes) => this.#received(bytes);
    if (feed?.(reader) !== true) transport.on("data", reader);
    transport.on("end", () => this.#onTransportEnd());
    transport.on("error", (error: Error) => this.#fail(error));
    transport.on("close", () => this.#onTransportClose());
  }

  /** Takes bytes that the transport received, which it may reuse afterwards. False asks it to pause. */
  #received(bytes: Uint8Array): boolean {
    if (this.destroyed) return true;
    this.#touch();
    this.handle(this.channel.receive(bytes));
    return !this.transport.isPaused();
  }

  /** Acts on events of the channel and sends what they left to send. */
  protected handle(events: readonly ChannelEvent[]): void {
    for (const event of events) this.#on(event);
    this.#outgoing.flush();
  }

  #on(event: ChannelEvent): void {
    switch (event.event) {
      case "data":
        if (!this.push(asBuffer(event.bytes))) this.transport.pause();
        return;
      case "question":
        this.#ask(event.question);
        return;
      case "connected":
        this.#onConnected();
        return;
      case "session":
        this.#session = encodeSession(event.session);
        this.emit("session", Buffer.from(this.#session));
        return;
      case "store_ticket":
        this.#host.storeTicket(event.ticket, event.state);
        return;
      case "qkd_key_used":
        this.#keyUsed(event.initiator, event.keyId);
        return;
      case "key_update":
        this.#epochs[event.by === "us" ? "sent" : "received"]++;
        this.emit("keyUpdate", event.by);
        return;
      case "key_log":
        this.emit("keylog", Buffer.from(`${event.line}\n`));
        return;
      case "end":
        this.push(null);
        return;
      case "error":
        this.#fail(event.error);
        return;
    }
  }

  /** The same key in two handshakes is a replay, whoever comes second. */
  #keyUsed(initiator: string, keyId: string): void {
    try {
      this.#host.keyUsed(initiator, keyId);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : "the key was used before";
      const error = new TrustError("ERR_PSK_REFUSED", "decrypt_error", reason, { cause });
      this.#outgoing.discard();
      this.handle(this.channel.abort(error));
    }
  }

  #ask(question: Parameters<Host["answer"]>[0]): void {
    let answered: unknown;
    try {
      answered = this.#host.answer(question, this);
    } catch (error) {
      this.handle(this.channel.refuse(asError(error)));
      return;
    }
    if (!(answered instanceof Promise)) {
      this.handle(this.channel.answer(answered));
      return;
    }
    answered.then(
      (value: unknown) => this.handle(this.destroyed ? [] : this.channel.answer(value)),
      (error: unknown) => this.handle(this.destroyed ? [] : this.channel.refuse(asError(error))),
    );
  }

  #onConnected(): void {
    clearTimeout(this.#handshakeTimer);
    this.#handshakeTimer = undefined;
    const { degraded } = this.channel.established ?? { degraded: [] };
    if (degraded.length > 0) this.emit("degraded", degraded);
    if (this.#requestOCSP) this.#tellOcsp();
    if (this.destroyed) return;
    // Listeners of the handshake may write at once; what they write follows the handshake's own bytes.
    this.#outgoing.flush();
    this.emit("secure");
    if (this.channel.role === "client") this.emit("secureConnect");
    // A channel that failed in the same bytes says why in the next event, and then to the write as well.
    if (this.channel.state !== "connected") return;
    const write = this.#waitingWrite;
    this.#waitingWrite = undefined;
    write?.run();
  }

  /** As in node:tls: also where no answer came, and on a resumed connection, which brings none. */
  #tellOcsp(): void {
    const response = this.channel.established?.peer.ocspResponse;
    if (!this.destroyed) this.emit("OCSPResponse", response === undefined ? null : Buffer.from(response));
  }

  #onHandshakeTimeout(): void {
    const error = new ProtocolError("ERR_TLS_TIMEOUT", "general_error", "the handshake took too long");
    this.handle(this.channel.abort(error));
  }

  #onTransportEnd(): void {
    this.#transportEnded = true;
    if (!this.destroyed) this.handle(this.channel.endOfInput());
  }

  #onTransportClose(): void {
    if (this.destroyed) return;
    this.handle(this.channel.endOfInput());
    if (this.channel.readEnded && !this.readableEnded && this.readableLength > 0) return;
    if (this.#heldError === undefined) this.destroy();
  }

  /** What was received before the failure is read first; the transport does not wait for that. RFC 9846 §6.2. */
  #fail(error: Error): void {
    clearTimeout(this.#handshakeTimer);
    if (this.readableLength === 0 || this.destroyed) {
      this.destroy(error);
      return;
    }
    this.#heldError ??= error;
    this.#outgoing.flush();
    if (!this.transport.destroyed && !this.#transportEnded) linger(this.transport);
  }

  override read(size?: number): ReturnType<Duplex["read"]> {
    const chunk: ReturnType<Duplex["read"]> = super.read(size);
    if (this.#heldError !== undefined && this.readableLength === 0) {
      const error = this.#heldError;
      process.nextTick(() => this.destroy(error));
    }
    return chunk;
  }

  override _read(): void {
    if (this.transport.isPaused()) this.transport.resume();
  }

  /**
   * A stream that had several writes in its last turn waits with the first of the next for the others, which then
   * share records and a call of the system. A lone write goes at once.
   */
  override write(chunk: unknown, encoding?: BufferEncoding | Written, done?: Written): boolean {
    if (this.#crowded && this.writableCorked === 0) {
      this.cork();
      process.nextTick(uncork, this);
    }
    return typeof encoding === "function"
      ? super.write(chunk, encoding)
      : super.write(chunk, encoding as BufferEncoding, done);
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#crowded = false;
    this.#whenConnected(() => this.#outgoing.write(chunk, done), done);
  }

  override _writev(
    chunks: { chunk: Uint8Array; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#crowded = true;
    this.#whenConnected(() => this.#outgoing.writeAll(chunks, done), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#whenConnected(() => {
      this.channel.close();
      this.#outgoing.flush();
      if (!this.transport.writableEnded) this.transport.end();
      done();
    }, done);
  }

  #whenConnected(action: () => void, failed: (error: Error) => void): void {
    const guarded = (): void => {
      try {
        action();
      } catch (error) {
        failed(asError(error));
      }
    };
    this.#touch();
    if (this.channel.state === "connected") guarded();
    else if (this.#heldError !== undefined) failed(this.#heldError);
    else this.#waitingWrite = { run: guarded, failed };
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#idleTimer);
    this.#waitingWrite?.failed(error ?? destroyedError());
    this.#waitingWrite = undefined;
    this.#outgoing.flush();
    if (this.#outgoing.waiting) this.#outgoing.fail(error ?? destroyedError());
    const transport = this.transport;
    if (this.channel.state === "failed" && !transport.destroyed && !this.#transportEnded) linger(transport);
    else if (error === null && this.channel.readEnded && transport.writableEnded) finish(transport);
    else if (error !== null || !transport.writableEnded || this.#transportEnded) transport.destroy();
    else linger(transport);
    this.channel.wipe();
    done(error);
  }

  protected get session(): Uint8Array | undefined {
    return this.#session;
  }

  protected get bytesSent(): number {
    return this.#outgoing.bytes;
  }

  #touch(): void {
    this.#idleTimer?.refresh();
  }

  /** Emits `timeout` after so many idle milliseconds; 0 for never. As in node:net. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#idleMs = milliseconds;
    if (milliseconds > 0) {
      this.#idleTimer = setTimeout(() => this.emit("timeout"), milliseconds);
      this.#idleTimer.unref();
      if (listener !== undefined) this.once("timeout", listener);
    } else if (listener !== undefined) {
      this.removeListener("timeout", listener);
    }
    return this;
  }

  get timeout(): number | undefined {
    return this.#idleMs === 0 ? undefined : this.#idleMs;
  }
}

type Written = (error: Error | null | undefined) => void;

const uncork = (stream: Duplex): void => stream.uncork();

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length);

const destroyedError = (): Error =>
  Object.assign(new Error("the connection ended before this was written"), { code: "ERR_STREAM_DESTROYED" });

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** Both sides have said close_notify: nothing is left to wait for but our own bytes. */
function finish(transport: Duplex): void {
  transport.on("error", () => undefined);
  if (transport.writableFinished) transport.destroy();
  else transport.once("finish", () => transport.destroy());
}

/** Ends a transport and drops what still comes, so that the peer reads our last words before the reset. */
function linger(transport: Duplex): void {
  transport.removeAllListeners("data");
  transport.on("data", () => undefined);
  transport.on("error", () => undefined);
  if (!transport.writableEnded) transport.end();
  transport.resume();
  const timer = setTimeout(() => transport.destroy(), LINGER_MS);
  timer.unref();
  transport.once("close", () => clearTimeout(timer));
  transport.once("end", () => transport.destroy());
}
