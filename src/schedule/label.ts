/**
 * The labelled KDF of TLS 1.3. RFC 9846 §7.1.
 * This room turns secrets into secrets; it knows no message and no record.
 */
import { concat, EMPTY, utf8, wipe } from "../protocol/bytes.ts";
import type { HashAlgorithm } from "../crypto/provider.ts";

/** HKDF-Extract. RFC 5869 §2.2. */
export function extract(hash: HashAlgorithm, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return hash.hmac(salt, ikm);
}

/** HKDF-Expand-Label; `length` in bytes. RFC 9846 §7.1. */
export function expandLabel(
  hash: HashAlgorithm,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const info = context.length === 0 ? fixedInfo(label, length) : hkdfLabel(label, context, length);
  if (length === hash.outputBytes) return hash.hmac(secret, info);
  if (length < hash.outputBytes) {
    const block = hash.hmac(secret, info);
    const out = block.slice(0, length);
    wipe(block);
    return out;
  }
  return expandLong(hash, secret, info, length);
}

/** Derive-Secret with the transcript hash already taken. RFC 9846 §7.1. */
export function deriveSecret(
  hash: HashAlgorithm,
  secret: Uint8Array,
  label: string,
  transcriptHash: Uint8Array,
): Uint8Array {
  return expandLabel(hash, secret, label, transcriptHash, hash.outputBytes);
}

/** Hash of the empty string, which Derive-Secret takes where no messages are meant. */
export function emptyHash(hash: HashAlgorithm): Uint8Array {
  let value = emptyHashes.get(hash.name);
  if (value === undefined) emptyHashes.set(hash.name, (value = hash.digest(EMPTY)));
  return value;
}
const emptyHashes = new Map<string, Uint8Array>();

/** T(n) of HKDF-Expand for outputs longer than the hash. RFC 5869 §2.3. */
function expandLong(hash: HashAlgorithm, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * hash.outputBytes) throw new RangeError(`${length} bytes are more than HKDF can give`);
  const out = new Uint8Array(length);
  const label = info.subarray(0, -1);
  let block: Uint8Array = EMPTY;
  for (let at = 0, n = 1; at < length; at += hash.outputBytes, n++) {
    block = hash.hmac(secret, concat([block, label, Uint8Array.of(n)]));
    out.set(block.subarray(0, length - at), at);
  }
  return out;
}

// Most labels have no context, so their bytes never change.
const fixed = new Map<string, Uint8Array>();
function fixedInfo(label: string, length: number): Uint8Array {
  const key = `${length} ${label}`;
  let info = fixed.get(key);
  if (info === undefined) {
    info = hkdfLabel(label, EMPTY, length);
    if (fixed.size < 64) fixed.set(key, info);
  }
  return info;
}

const prefixes = new Map<string, Uint8Array>();
/** HkdfLabel followed by the counter byte of the first HKDF block. */
function hkdfLabel(label: string, context: Uint8Array, length: number): Uint8Array {
  let name = prefixes.get(label);
  if (name === undefined) {
    name = utf8(`tls13 ${label}`);
    if (name.length > 255) throw new RangeError("the label is longer than 249 bytes");
    if (prefixes.size < 64) prefixes.set(label, name);
  }
  if (context.length > 255) throw new RangeError("the context is longer than 255 bytes");
  const out = new Uint8Array(5 + name.length + context.length);
  out[0] = length >> 8;
  out[1] = length & 0xff;
  out[2] = name.length;
  out.set(name, 3);
  out[3 + name.length] = context.length;
  out.set(context, 4 + name.length);
  out[4 + name.length + context.length] = 1;
  return out;
}
