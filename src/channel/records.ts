/** One connection's records in both directions: framing, protection, and the rules about what may come when. */
import { ProtocolError } from "../protocol/errors.ts";
import { ContentType, TLS10, TLS12 } from "../protocol/iana.ts";
import {
  HandshakeJoiner,
  MAX_PLAINTEXT_BYTES,
  PROTECTION_BYTES,
  RecordFramer,
  type HandshakeMessage,
  type RawRecord,
} from "../record/framer.ts";
import { type Lend, Output } from "../record/output.ts";
import { Source } from "../record/source.ts";
import {
  RecordOpener,
  RecordSealer,
  writePlaintext,
  type Padding,
  type ProtectionKeys,
} from "../record/protection.ts";

/** What came out of the records, in order. */
export type Incoming =
  | { readonly kind: "handshake"; readonly message: HandshakeMessage }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "alert"; readonly level: number; readonly description: number };

export interface RecordLimits {
  readonly handshakeMessageBytes: number;
  readonly bufferedBytes: number;
  readonly earlyDataBytes: number;
  /** Records in a row that carry nothing. */
  readonly emptyRecords: number;
}

type SkipUntil = "second_client_hello" | "first_opened_record";

export class Records {
  readonly #framer = new RecordFramer();
  readonly #joiner = new HandshakeJoiner();
  readonly #output: Output;
  readonly #limits: RecordLimits;
  readonly #padding: Padding | undefined;
  #maxInnerBytes = MAX_PLAINTEXT_BYTES + 1;
  #sealer: RecordSealer | undefined;
  #opener: RecordOpener | undefined;
  #pendingHandshake: Uint8Array[] = [];
  #maxContentBytes = MAX_PLAINTEXT_BYTES;
  /** What the peer and we ourselves allow us to send in one record. */
  #allowed = { byPeer: MAX_PLAINTEXT_BYTES, byUs: MAX_PLAINTEXT_BYTES };
  #skip: SkipUntil | undefined;
  #skippedBytes = 0;
  #emptyRecords = 0;
  #helloSeen = false;
  #initialHello = false;
  #connected = false;
  #waiting = false;

  constructor(limits: RecordLimits, padding?: Padding, lend?: Lend) {
    this.#limits = limits;
    this.#padding = padding;
    this.#output = new Output(lend);
  }

  /** False inside a record whose next bytes begin another handshake message. */
  get aligned(): boolean {
    return this.#joiner.idle;
  }

  /** Lends bytes; they are read until the next call of `keep`. Throws a ProtocolError when too much waits. */
  feed(bytes: Uint8Array): void {
    if (!this.#waiting) {
      this.#framer.feed(bytes);
      return;
    }
    if (this.#framer.buffered + bytes.length > this.#limits.bufferedBytes) {
      throw new ProtocolError(
        "ERR_TLS_LIMIT",
        "internal_error",
        "too many bytes while waiting for an answer",
      );
    }
    this.#framer.append(bytes);
  }

  /** Keeps a copy of what is unread, since the lender takes its bytes back; `waiting` until the next `resume`. */
  keep(): void {
    if (this.#waiting) return; // It is ours already.
    this.#waiting = true;
    this.#framer.keep();
  }

  resume(): void {
    this.#waiting = false;
  }

  /** The next thing that came in, or undefined when more bytes are needed. Throws a ProtocolError. */
  next(): Incoming | undefined {
    for (;;) {
      const message = this.#joiner.next(this.#limits.handshakeMessageBytes);
      if (message !== undefined) return { kind: "handshake", message };
      const record = this.#framer.next();
      if (record === undefined) return undefined;
      const incoming = this.#read(record);
      if (incoming !== undefined) return incoming;
    }
  }

  #read(record: RawRecord): Incoming | undefined {
    if (record.type === ContentType.change_cipher_spec) return this.#readChangeCipherSpec(record);
    if (this.#opener === undefined) return this.#readPlaintext(record);
    if (record.type === ContentType.application_data) return this.#readProtected(record, this.#opener);
    // A peer that failed before it had keys can only tell us in the clear.
    if (record.type === ContentType.alert && this.#opener.records === 0 && !this.#connected) {
      return this.#readAlert(record.fragment);
    }
    throw unexpected("record: in the clear where a protected one belongs");
  }

  #readChangeCipherSpec(record: RawRecord): undefined {
    const valid = record.fragment.length === 1 && record.fragment[0] === 1;
    if (!valid || !this.#helloSeen || this.#connected || !this.#joiner.idle) {
      throw unexpected("record: change_cipher_spec has no place here");
    }
    this.#countEmpty();
    return undefined;
  }

  #readPlaintext(record: RawRecord): Incoming | undefined {
    if (record.type === ContentType.application_data) {
      if (this.#skip !== "second_client_hello") throw unexpected("record: application data before any key");
      this.#skipEarlyData(record);
      return undefined;
    }
    this.#helloSeen = true;
    if (record.type === ContentType.alert) return this.#readAlert(record.fragment);
    // The bytes are only lent to us, and messages in the clear outlive this call.
    return this.#readContent(record.type, record.fragment.slice());
  }

  #readProtected(record: RawRecord, opener: RecordOpener): Incoming | undefined {
    const opened = opener.open(record, this.#maxInnerBytes);
    if (opened === undefined) {
      if (this.#skip === "first_opened_record") {
        this.#skipEarlyData(record);
        return undefined;
      }
      throw new ProtocolError("ERR_TLS_BAD_RECORD_MAC", "bad_record_mac", "record: its tag does not match");
    }
    this.#skip = undefined;
    if (opened.type === ContentType.alert) {
      return this.#readAlert(opened.content);
    }
    return this.#readContent(opened.type, opened.content);
  }

  #readContent(type: number, content: Uint8Array): Incoming | undefined {
    if (type === ContentType.handshake) {
      if (content.length === 0) throw unexpected("record: an empty handshake fragment");
      this.#emptyRecords = 0;
      this.#joiner.push(content);
      return undefined;
    }
    if (type !== ContentType.application_data || !this.#connected || !this.#joiner.idle) {
      throw unexpected(`record: content type ${type} has no place here`);
    }
    if (content.length === 0) {
      this.#countEmpty();
      return undefined;
    }
    this.#emptyRecords = 0;
    return { kind: "data", bytes: content };
  }

  #readAlert(fragment: Uint8Array): Incoming {
    if (!this.#joiner.idle) throw unexpected("record: an alert inside a handshake message");
    return readAlert(fragment);
  }

  #countEmpty(): void {
    if (++this.#emptyRecords > this.#limits.emptyRecords) {
      throw new ProtocolError("ERR_TLS_LIMIT", "unexpected_message", "record: too many that carry nothing");
    }
  }

  #skipEarlyData(record: RawRecord): void {
    this.#skippedBytes += record.fragment.length;
    if (this.#skippedBytes > this.#limits.earlyDataBytes) {
      throw new ProtocolError(
        "ERR_TLS_LIMIT",
        "unexpected_message",
        "record: more early data than is skipped",
      );
    }
  }

  /** Early data was refused and its records are dropped. RFC 9846 §4.3.10. */
  skipEarlyData(until: SkipUntil): void {
    this.#skip = until;
  }

  stopSkipping(): void {
    this.#skip = undefined;
  }

  /** From here on application data may come, and change_cipher_spec may not. */
  connected(): void {
    this.#connected = true;
  }

  useReadKeys(keys: ProtectionKeys): void {
    if (!this.#joiner.idle) throw unexpected("handshake message across a key change");
    this.#opener = new RecordOpener(keys);
  }

  useWriteKeys(keys: ProtectionKeys): void {
    this.#flushHandshake();
    this.#sealer = new RecordSealer(keys, this.#padding);
  }

  /** Both ends named a limit: the largest content the peer takes, and the largest inner plaintext we take. RFC 8449 §4. */
  limitRecords(maxContentBytes: number, ownInnerBytes: number): void {
    this.#allow({ ...this.#allowed, byPeer: maxContentBytes });
    this.#maxInnerBytes = ownInnerBytes;
  }

  /** From here on no record of ours has more content than this, whatever the peer would take. */
  limitFragments(maxContentBytes: number): void {
    this.#allow({ ...this.#allowed, byUs: maxContentBytes });
  }

  #allow(allowed: { readonly byPeer: number; readonly byUs: number }): void {
    this.#allowed = allowed;
    this.#maxContentBytes = Math.min(allowed.byPeer, allowed.byUs, MAX_PLAINTEXT_BYTES);
  }

  /** Records sealed under the present key. */
  get sealed(): number {
    return this.#sealer?.records ?? 0;
  }

  writeHandshake(message: Uint8Array): void {
    this.#helloSeen = true;
    this.#pendingHandshake.push(message);
  }

  writeChangeCipherSpec(): void {
    this.#flushHandshake();
    writePlaintext(ContentType.change_cipher_spec, new Source([Uint8Array.of(1)]), this.#output);
  }

  writeAlert(level: number, description: number): void {
    this.#flushHandshake();
    this.#write(ContentType.alert, new Source([Uint8Array.of(level, description)]));
  }

  /** Says how much application data is about to be written. */
  expectData(bytes: number): void {
    this.#flushHandshake();
    this.#output.expect(bytes + Math.ceil(bytes / this.#maxContentBytes) * PROTECTION_BYTES);
  }

  /** One record of application data, as much of it as a record takes. */
  writeData(source: Source): void {
    this.#flushHandshake();
    this.#write(ContentType.application_data, source);
  }

  /** What is to be sent, in order. */
  takeOutput(): readonly Uint8Array[] {
    this.#flushHandshake();
    return this.#output.take();
  }

  /** What is written next is an initial ClientHello, whose record says TLS 1.0 for the sake of what is old. RFC 9846 §5.1. */
  expectInitialHello(): void {
    this.#initialHello = true;
  }

  /** Messages under one key share records; their order is never mixed with other content. */
  #flushHandshake(): void {
    if (this.#pendingHandshake.length === 0) return;
    const messages = new Source(this.#pendingHandshake);
    this.#pendingHandshake = [];
    while (messages.left > 0) this.#write(ContentType.handshake, messages);
    this.#initialHello = false;
  }

  #write(type: number, source: Source): void {
    if (this.#sealer === undefined) {
      const version = this.#initialHello ? TLS10 : TLS12;
      writePlaintext(type, source, this.#output, this.#maxContentBytes, version);
    } else this.#sealer.seal(type, source, this.#output, this.#maxContentBytes);
  }
}

function readAlert(fragment: Uint8Array): Incoming {
  if (fragment.length === 0) throw unexpected("record: an empty alert");
  if (fragment.length !== 2) {
    throw new ProtocolError("ERR_TLS_DECODE", "decode_error", `alert: ${fragment.length} bytes instead of 2`);
  }
  return { kind: "alert", level: fragment[0] as number, description: fragment[1] as number };
}

function unexpected(what: string): ProtocolError {
  return new ProtocolError("ERR_TLS_UNEXPECTED_MESSAGE", "unexpected_message", what);
}
