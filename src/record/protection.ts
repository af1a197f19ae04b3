import { ProtocolError } from "../protocol/errors.ts";
import { EMPTY, plain } from "../protocol/bytes.ts";
import { ContentType } from "../protocol/iana.ts";
import type { AeadKey } from "../crypto/provider.ts";
import { HEADER_BYTES, MAX_PLAINTEXT_BYTES, type RawRecord } from "./framer.ts";

const TAG_BYTES = 16;

/** How long the inner plaintext of a record becomes. Given its content length, returns the padded length. */
export type Padding = (contentBytes: number) => number;

export interface ProtectionKeys {
  readonly key: AeadKey;
  readonly iv: Uint8Array;
}

/** The per-record nonce, built in place: IV xor the left-padded sequence number. RFC 9846 §5.3. */
class Sequence {
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

/** Below this many bytes, one small buffer costs less than three pieces. */
const GATHER_FROM_BYTES = 2048;
const scratch = new Uint8Array(GATHER_FROM_BYTES + 1);
const SUFFIXES = Array.from({ length: 256 }, (_, type) => Uint8Array.of(type));

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

  /**
   * Appends one record to `out`, as one piece or as header, ciphertext and tail.
   * `content` has at most `maxContentBytes` bytes; padding never exceeds that either.
   */
  seal(type: number, content: Uint8Array, out: Uint8Array[], maxContentBytes = MAX_PLAINTEXT_BYTES): void {
    const nonce = this.#sequence.next();
    const padded =
      this.#padding === undefined
        ? content.length
        : Math.min(Math.max(this.#padding(content.length), content.length), maxContentBytes);
    const sealedBytes = padded + 1 + TAG_BYTES;
    if (padded === content.length && padded < GATHER_FROM_BYTES) {
      out.push(this.#sealSmall(nonce, type, content, sealedBytes));
      return;
    }
    const header = recordHeader(ContentType.application_data, sealedBytes);
    const suffix = padded === content.length ? suffixOf(type) : paddedSuffix(type, padded - content.length);
    const [body, tail] = this.#key.seal(nonce, header, content, suffix);
    out.push(header, body, tail);
  }

  #sealSmall(nonce: Uint8Array, type: number, content: Uint8Array, sealedBytes: number): Uint8Array {
    const inner = scratch.subarray(0, content.length + 1);
    inner.set(content);
    inner[content.length] = type;
    const record = new Uint8Array(HEADER_BYTES + sealedBytes);
    writeHeader(record, ContentType.application_data, sealedBytes);
    const [body, tag] = this.#key.seal(nonce, record.subarray(0, HEADER_BYTES), inner, EMPTY);
    record.set(body, HEADER_BYTES);
    record.set(tag, HEADER_BYTES + body.length);
    return record;
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

  /** The content and its true type; undefined when the tag does not match. Throws a ProtocolError. */
  open(record: RawRecord, maxInnerBytes = MAX_PLAINTEXT_BYTES + 1): OpenedRecord | undefined {
    if (record.fragment.length < TAG_BYTES + 1) {
      throw new ProtocolError(
        "ERR_TLS_BAD_RECORD_MAC",
        "bad_record_mac",
        "record: too short to be protected",
      );
    }
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

/** A record in the clear, as one piece. RFC 9846 §5.1. */
export function plaintextRecord(type: number, fragment: Uint8Array, version = 0x0303): Uint8Array {
  const record = new Uint8Array(HEADER_BYTES + fragment.length);
  writeHeader(record, type, fragment.length);
  record[2] = version & 0xff;
  record.set(fragment, HEADER_BYTES);
  return record;
}

function recordHeader(type: number, length: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  writeHeader(header, type, length);
  return header;
}

function writeHeader(into: Uint8Array, type: number, length: number): void {
  into[0] = type;
  into[1] = 3;
  into[2] = 3;
  into[3] = length >> 8;
  into[4] = length & 0xff;
}

function suffixOf(type: number): Uint8Array {
  return SUFFIXES[type] as Uint8Array;
}

function paddedSuffix(type: number, zeros: number): Uint8Array {
  const suffix = new Uint8Array(1 + zeros);
  suffix[0] = type;
  return suffix;
}
