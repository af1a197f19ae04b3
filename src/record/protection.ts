import { ProtocolError } from "../protocol/errors.ts";
import { plain } from "../protocol/bytes.ts";
import { ContentType, TLS12 } from "../protocol/iana.ts";
import type { AeadKey } from "../crypto/provider.ts";
import { HEADER_BYTES, MAX_PLAINTEXT_BYTES, type RawRecord, TAG_BYTES } from "./framer.ts";
import type { Output } from "./output.ts";
import type { Source } from "./source.ts";

/** How long the inner plaintext of a record becomes. Given its content length, returns the padded length. */
export type Padding = (contentBytes: number) => number;

export interface ProtectionKeys {
  readonly key: AeadKey;
  readonly iv: Uint8Array;
}

/** The per-record nonce, built in place: IV xor the left-padded sequence number. RFC 9846 §5.3. */
export class Sequence {
  readonly #iv: Uint8Array;
  readonly #nonce: Uint8Array;
  count = 0;

  constructor(iv: Uint8Array) {
    this.#iv = iv;
    this.#nonce = iv.slice();
  }

  /** The nonce of the next record; the array is reused by the next call. */
  next(): Uint8Array {
    const low = this.count >>> 0;
    const high = Math.floor(this.count / 2 ** 32);
    const nonce = this.#nonce;
    const iv = this.#iv;
    nonce[4] = (iv[4] as number) ^ (high >>> 24);
    nonce[5] = (iv[5] as number) ^ (high >>> 16);
    nonce[6] = (iv[6] as number) ^ (high >>> 8);
    nonce[7] = (iv[7] as number) ^ high;
    nonce[8] = (iv[8] as number) ^ (low >>> 24);
    nonce[9] = (iv[9] as number) ^ (low >>> 16);
    nonce[10] = (iv[10] as number) ^ (low >>> 8);
    nonce[11] = (iv[11] as number) ^ low;
    this.count++;
    return nonce;
  }
}

/** Protects records in one direction under one key. RFC 9846 §5.2. */
export class RecordSealer {
  readonly #key: AeadKey;
  readonly #sequence: Sequence;
  readonly #padding: Padding | undefined;

  constructor(keys: ProtectionKeys, padding?: Padding) {
    this.#key = keys.key;
    this.#sequence = new Sequence(keys.iv);
    this.#padding = padding;
  }

  /** Records sealed under this key. */
  get records(): number {
    return this.#sequence.count;
  }

  /** Writes one record with as much of `source` as it takes; content and padding fill at most `maxContentBytes`. */
  seal(type: number, source: Source, output: Output, maxContentBytes = MAX_PLAINTEXT_BYTES): void {
    const contentBytes = Math.min(source.left, maxContentBytes);
    const padded =
      this.#padding === undefined
        ? contentBytes
        : Math.min(Math.max(this.#padding(contentBytes), contentBytes), maxContentBytes);
    const protectedBytes = padded + 1 + TAG_BYTES;
    const record = output.room(HEADER_BYTES + protectedBytes);
    const typeAt = HEADER_BYTES + contentBytes;
    writeHeader(record, ContentType.application_data, protectedBytes);
    source.read(record, HEADER_BYTES, typeAt);
    record[typeAt] = type;
    record.fill(0, typeAt + 1, HEADER_BYTES + padded + 1);
    this.#key.seal(this.#sequence.next(), record.subarray(0, HEADER_BYTES), record.subarray(HEADER_BYTES));
  }
}

/** What was inside a protected record. */
export interface OpenedRecord {
  readonly type: number;
  readonly content: Uint8Array;
}

/** Opens records in one direction under one key. RFC 9846 §5.2. */
export class RecordOpener {
  readonly #key: AeadKey;
  readonly #sequence: Sequence;

  constructor(keys: ProtectionKeys) {
    this.#key = keys.key;
    this.#sequence = new Sequence(keys.iv);
  }

  get records(): number {
    return this.#sequence.count;
  }

  /** The content and its true type; undefined when the tag does not match or has no room. Throws a ProtocolError. */
  open(record: RawRecord, maxInnerBytes = MAX_PLAINTEXT_BYTES + 1): OpenedRecord | undefined {
    if (record.fragment.length < TAG_BYTES + 1) return undefined;
    const opened = this.#key.open(this.#sequence.next(), record.header, record.fragment);
    if (opened === undefined) {
      this.#sequence.count--;
      return undefined;
    }
    const inner = plain(opened);
    if (inner.length > maxInnerBytes) {
      throw new ProtocolError(
        "ERR_TLS_RECORD_OVERFLOW",
        "record_overflow",
        `record of ${inner.length} bytes`,
      );
    }
    // Up to a nanosecond for each byte of padding; what the application does with the content tells more.
    let end = inner.length - 1;
    while (end >= 0 && inner[end] === 0) end--;
    if (end < 0) {
      throw new ProtocolError(
        "ERR_TLS_UNEXPECTED_MESSAGE",
        "unexpected_message",
        "record: nothing but padding",
      );
    }
    return { type: inner[end] as number, content: inner.subarray(0, end) };
  }
}

/** Writes one record in the clear, with as much of `source` as it takes. RFC 9846 §5.1. */
export function writePlaintext(
  type: number,
  source: Source,
  output: Output,
  maxContentBytes = MAX_PLAINTEXT_BYTES,
  version: number = TLS12,
): void {
  const contentBytes = Math.min(source.left, maxContentBytes);
  const record = output.room(HEADER_BYTES + contentBytes);
  writeHeader(record, type, contentBytes, version);
  source.read(record, HEADER_BYTES, HEADER_BYTES + contentBytes);
}

function writeHeader(into: Uint8Array, type: number, length: number, version: number = TLS12): void {
  into[0] = type;
  into[1] = version >> 8;
  into[2] = version & 0xff;
  into[3] = length >> 8;
  into[4] = length & 0xff;
}
