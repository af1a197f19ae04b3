/**
 * The product without I/O: bytes in, bytes and events out. It opens no socket, keeps no time and never waits;
 * what is slow or remote is a question to the host, answered by `answer` or `refuse`.
 */
import { AlertDescription, AlertLevel, alertName } from "../protocol/alert.ts";
import { alertFor, PeerAlert, ProtocolError, UsageError } from "../protocol/errors.ts";
import { plain, wipe } from "../protocol/bytes.ts";
import { HandshakeType, nameOf } from "../protocol/iana.ts";
import { MAX_PLAINTEXT_BYTES } from "../record/framer.ts";
import type { Lend } from "../record/output.ts";
import { Source } from "../record/source.ts";
import { exportKeyingMaterial } from "../schedule/traffic.ts";
import type { Established } from "../handshake/established.ts";
import type { Effect } from "../handshake/machine.ts";
import type { DeliveredKey, Question } from "../handshake/question.ts";
import { maxSendFragmentOf } from "./choices.ts";
import type { ClientConfig, ServerConfig } from "./config.ts";
import { clientEngine, serverEngine, type Engine } from "./engine.ts";
import { eventOf, type ChannelEvent } from "./events.ts";
import { ANSWERS, isForKey, refusalOf } from "./inputs.ts";
import { KeyLog } from "./key-log.ts";
import { Records } from "./records.ts";

export type ChannelState = "new" | "handshaking" | "connected" | "failed";

export class Channel {
  readonly role: "client" | "server";
  readonly #config: ClientConfig | ServerConfig;
  readonly #engine: Engine;
  readonly #records: Records;
  #state: ChannelState = "new";
  #question: Question | undefined;
  /** The channel failed while a QKD key was on its way; it is wiped when it comes. */
  #awaitedKey = false;
  #wiped = false;
  #established: Established | undefined;
  readonly #keyLog: KeyLog | undefined;
  #handshakeBytes = 0;
  #keyUpdates = { since: 0, count: 0 };
  #cancellations = 0;
  /** The peer asked for a key update. However often it asks while we are silent, one answers. RFC 9846 §4.7.3. */
  #owesUpdate = false;
  #writeEnded = false;
  #readEnded = false;
  #events: ChannelEvent[] = [];

  private constructor(
    role: "client" | "server",
    config: ClientConfig | ServerConfig,
    engine: Engine,
    lend: Lend | undefined,
  ) {
    this.role = role;
    this.#config = config;
    this.#engine = engine;
    this.#keyLog = config.settings.keyLog ? new KeyLog() : undefined;
    this.#records = new Records(config.limits, config.padding, lend);
    this.#records.limitFragments(config.maxSendFragment);
  }

  /** A client's end; `lend` gives the memory that its output is written into. */
  static client(config: ClientConfig, lend?: Lend): Channel {
    return new Channel("client", config, clientEngine(config.settings), lend);
  }

  /** A server's end; `lend` gives the memory that its output is written into. */
  static server(config: ServerConfig, lend?: Lend): Channel {
    const channel = new Channel("server", config, serverEngine(config.settings), lend);
    channel.#state = "handshaking";
    return channel;
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** The open question; while there is one, incoming bytes are only kept. */
  get question(): Question | undefined {
    return this.#question;
  }

  /** What the handshake agreed on; undefined until then. */
  get established(): Established | undefined {
    return this.#established;
  }

  /** The peer's close_notify has come. */
  get readEnded(): boolean {
    return this.#readEnded;
  }

  /** Begins the handshake of a client. */
  start(): readonly ChannelEvent[] {
    if (this.role !== "client" || this.#state !== "new") {
      throw new UsageError("ERR_STATE", "start: only a new client channel can be started");
    }
    this.#state = "handshaking";
    this.#records.expectInitialHello();
    this.#guard(() => this.#apply(this.#engine.step("start", true)));
    return this.#takeEvents();
  }

  /** Takes bytes from the transport. They are only borrowed: the caller may reuse them afterwards. */
  receive(bytes: Uint8Array): readonly ChannelEvent[] {
    if (this.#state === "failed" || this.#readEnded || bytes.length === 0) return NOTHING;
    this.#guard(() => {
      this.#records.feed(plain(bytes));
      this.#pump();
    });
    return this.#takeEvents();
  }

  /** The transport ended. Without close_notify before it the data is truncated, which is an error. RFC 9846 §6.1. */
  endOfInput(): readonly ChannelEvent[] {
    if (this.#state === "failed" || this.#readEnded) return NOTHING;
    const when = this.#state === "connected" ? "without close_notify" : "during the handshake";
    const error = new ProtocolError("ERR_TLS_TRUNCATED", "decode_error", `the transport ended ${when}`);
    this.#fail(error, false);
    return this.#takeEvents();
  }

  /** Answers the open question; a QKD key that comes too late is wiped. */
  answer(value: unknown): readonly ChannelEvent[] {
    const question = this.#takeQuestion();
    if (question === undefined) {
      if (this.#awaitedKey) wipe((value as DeliveredKey | undefined)?.key);
      this.#awaitedKey = false;
      return NOTHING;
    }
    this.#guard(() => {
      this.#records.resume();
      this.#apply(this.#engine.step(ANSWERS[question.ask], value));
      this.#pump();
    });
    return this.#takeEvents();
  }

  /**
   * The open question has no answer. A missing QKD key is the policy's to judge, and a session that cannot be resumed is
   * done without; anything else ends the connection.
   */
  refuse(error: Error): readonly ChannelEvent[] {
    const question = this.#takeQuestion();
    if (question === undefined) return NOTHING;
    this.#guard(() => {
      this.#records.resume();
      const input = refusalOf(question);
      if (input === undefined) throw error;
      this.#apply(this.#engine.step(input, error));
      this.#pump();
    });
    return this.#takeEvents();
  }

  /** Ends the connection with this error, and with the alert that goes with it. */
  abort(error: Error): readonly ChannelEvent[] {
    if (this.#state !== "failed") this.#fail(error, true);
    return this.#takeEvents();
  }

  /** Seals application data into the output. Throws a UsageError before the handshake is done or after `close`. */
  send(data: Uint8Array): void {
    this.sendAll([data]);
  }

  /** As `send`, for chunks that go one after the other and share records. */
  sendAll(chunks: readonly Uint8Array[]): void {
    if (this.#state !== "connected" || this.#writeEnded) {
      throw new UsageError("ERR_STATE", `send: the channel is ${this.#writeEnded ? "closed" : this.#state}`);
    }
    if (this.#owesUpdate) this.#updateKeys(false);
    const data = new Source(chunks);
    this.#records.expectData(data.left);
    while (data.left > 0) {
      if (this.#records.sealed >= this.#config.limits.recordsPerKey) this.#updateKeys(false);
      this.#records.writeData(data);
    }
  }

  /** Moves our sending direction to the next traffic secret, and asks the peer to do the same. RFC 9846 §4.7.3. */
  updateKeys(options: { readonly requestPeer?: boolean } = {}): readonly ChannelEvent[] {
    if (this.#state !== "connected" || this.#writeEnded) {
      throw new UsageError("ERR_STATE", "updateKeys: the channel is not open for sending");
    }
    this.#updateKeys(options.requestPeer ?? false);
    return this.#takeEvents();
  }

  /** The most content that a record of ours has from here on, 512 to 16384 bytes. Throws a UsageError. */
  setMaxSendFragment(bytes: number): void {
    this.#records.limitFragments(maxSendFragmentOf({ maxSendFragment: bytes }));
  }

  /** Says that nothing more will be sent; what the peer still sends is received. RFC 9846 §6.1. */
  close(): void {
    if (this.#writeEnded || this.#state === "failed" || this.#state === "new") return;
    this.#writeEnded = true;
    this.#records.writeAlert(AlertLevel.warning, AlertDescription.close_notify);
  }

  /** Ends the channel without a word and overwrites its secrets; what was ready to be sent can still be taken. */
  wipe(): void {
    if (this.#state !== "failed") this.#awaitedKey = isForKey(this.#question);
    this.#state = "failed";
    this.#question = undefined;
    this.#writeEnded = true;
    this.#wiped = true;
    this.#engine.wipe();
  }

  /** The bytes to send, in order, in pieces meant for one gathered write; each is all that one loan holds. */
  takeOutput(): readonly Uint8Array[] {
    return this.#records.takeOutput();
  }

  /** TLS-Exporter; `length` in bytes. Throws a UsageError before the handshake is done. RFC 9846 §7.5. */
  exportKeyingMaterial(label: string, context: Uint8Array, length: number): Uint8Array {
    const established = this.#established;
    if (established === undefined || this.#wiped) {
      const when = this.#wiped ? "the channel is over" : "not connected yet";
      throw new UsageError("ERR_STATE", `exportKeyingMaterial: ${when}`);
    }
    const hash = this.#config.settings.provider.hash(established.suite.hash);
    return exportKeyingMaterial(hash, established.secrets.exporter, label, context, length);
  }

  #pump(): void {
    while (this.#question === undefined && !this.#readEnded) {
      const incoming = this.#records.next();
      if (incoming === undefined) return;
      if (incoming.kind === "data") this.#events.push({ event: "data", bytes: incoming.bytes });
      else if (incoming.kind === "alert") this.#onAlert(incoming.level, incoming.description);
      else this.#onMessage(incoming.message.type, incoming.message.bytes, incoming.message.body);
      if (this.#state === "failed") return;
    }
    if (this.#question !== undefined) this.#records.keep();
  }

  #onMessage(type: number, bytes: Uint8Array, body: Uint8Array): void {
    const name = nameOf(HandshakeType, type);
    if (this.#established === undefined) {
      this.#handshakeBytes += bytes.length;
      if (this.#handshakeBytes > this.#config.limits.handshakeBytes) {
        throw new ProtocolError("ERR_TLS_LIMIT", "illegal_parameter", "the handshake has too many bytes");
      }
    } else {
      this.#countPostHandshake();
    }
    if (BEFORE_KEY_CHANGES.has(type) && !this.#records.aligned) {
      const what = `${name}: its record holds the beginning of another message`;
      throw new ProtocolError("ERR_TLS_UNEXPECTED_MESSAGE", "unexpected_message", what);
    }
    if (type === HandshakeType.client_hello) this.#records.stopSkipping();
    if (type === HandshakeType.client_hello) this.#keyLog?.begin(bytes);
    this.#apply(this.#engine.step(name, { type, bytes, body }));
  }

  /** Key updates and tickets cost us work, so a peer may ask for only so many. */
  #countPostHandshake(): void {
    const now = this.#config.settings.now();
    if (now - this.#keyUpdates.since > 60_000) this.#keyUpdates = { since: now, count: 0 };
    if (++this.#keyUpdates.count > this.#config.limits.postHandshakeMessagesPerMinute) {
      throw new ProtocolError("ERR_TLS_LIMIT", "unexpected_message", "too many messages after the handshake");
    }
  }

  #onAlert(level: number, description: number): void {
    if (description === AlertDescription.close_notify) {
      if (this.#established === undefined) {
        this.#fail(new PeerAlert("close_notify"), false);
        return;
      }
      this.#readEnded = true;
      this.#events.push({ event: "end" });
      return;
    }
    if (description === AlertDescription.user_canceled && level === AlertLevel.warning) {
      if (++this.#cancellations <= MAX_CANCELLATIONS) return;
      throw new ProtocolError("ERR_TLS_LIMIT", "unexpected_message", "too many alerts that end nothing");
    }
    this.#fail(new PeerAlert(alertName(description) ?? `alert ${description}`), false);
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.do) {
      case "send":
        // A key update that the peer asks for after our close_notify is owed no answer. RFC 9846 §6.1.
        if (this.#writeEnded) return;
        if (this.role === "client") this.#keyLog?.begin(effect.message);
        this.#records.writeHandshake(effect.message);
        return;
      case "send_change_cipher_spec":
        if (!this.#writeEnded) this.#records.writeChangeCipherSpec();
        return;
      case "write_keys":
        if (this.#writeEnded) return;
        this.#records.useWriteKeys(effect.keys);
        if (this.#established !== undefined) this.#events.push({ event: "key_update", by: "us" });
        return;
      case "read_keys":
        this.#records.useReadKeys(effect.keys);
        return;
      case "limit_records":
        this.#records.limitRecords(
          effect.maxContentBytes,
          this.#config.settings.recordSizeLimit ?? MAX_PLAINTEXT_BYTES + 1,
        );
        return;
      case "skip_early_data":
        this.#records.skipEarlyData(effect.until);
        return;
      case "ask":
        this.#question = effect.question;
        this.#events.push({ event: "question", question: effect.question });
        return;
      case "connected":
        this.#established = effect.established;
        this.#state = "connected";
        this.#records.connected();
        this.#events.push({ event: "connected", established: effect.established });
        return;
      case "session":
      case "store_ticket":
      case "qkd_key_used":
      case "peer_key_update":
        this.#events.push(eventOf(effect));
        return;
      case "owe_key_update":
        this.#owesUpdate = true;
        return;
      case "log_secret":
        this.#log(effect.label, effect.secret);
        return;
    }
  }

  #log(label: string, secret: Uint8Array): void {
    const line = this.#keyLog?.line(label, secret);
    if (line !== undefined) this.#events.push({ event: "key_log", line });
  }

  #updateKeys(requestPeer: boolean): void {
    // The answer that is owed says update_not_requested, so one that asks is none. RFC 9846 §4.7.3.
    const answers = this.#owesUpdate && requestPeer;
    this.#owesUpdate = false;
    if (answers) this.#apply(this.#engine.step("update_keys", { requestPeer: false }));
    this.#apply(this.#engine.step("update_keys", { requestPeer }));
  }

  #takeQuestion(): Question | undefined {
    const question = this.#question;
    this.#question = undefined;
    return this.#state === "failed" ? undefined : question;
  }

  /** Runs a step; whatever it throws ends the connection, and its alert is sent from this one place. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)), true);
    }
  }

  #fail(error: Error, tellPeer: boolean): void {
    const spoken = this.role === "server" || this.#state !== "new";
    this.#state = "failed";
    this.#awaitedKey = isForKey(this.#question);
    this.#question = undefined;
    if (tellPeer && spoken && !this.#writeEnded) {
      this.#records.writeAlert(AlertLevel.fatal, AlertDescription[alertFor(error)]);
    }
    this.#writeEnded = true;
    // What was received before may still be bound to the exporter, which `wipe` ends.
    if (this.#established === undefined) this.#engine.wipe();
    this.#events.push({ event: "error", error });
  }

  #takeEvents(): readonly ChannelEvent[] {
    if (this.#events.length === 0) return NOTHING;
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** user_canceled as a warning; what is meant by it comes behind the first one. RFC 9846 §6.1. */
const MAX_CANCELLATIONS = 4;

/** They may stand before a change of keys, so their last record ends with them. RFC 9846 §5.1. */
const BEFORE_KEY_CHANGES: ReadonlySet<number> = new Set([
  HandshakeType.client_hello,
  HandshakeType.server_hello,
  HandshakeType.finished,
  HandshakeType.key_update,
]);

const NOTHING: readonly ChannelEvent[] = [];
