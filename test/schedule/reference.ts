/** The key schedule once more, straight from the text of the RFCs, on node:crypto alone: what the tests compare with. */
import { createHash, createHmac } from "node:crypto";
import type { HashName } from "../../src/crypto/provider.ts";

export const digest = (hash: HashName, data: Uint8Array): Buffer => createHash(hash).update(data).digest();
export const hmac = (hash: HashName, key: Uint8Array, data: Uint8Array): Buffer =>
  createHmac(hash, key).update(data).digest();

/** RFC 5869 §2.2. */
export const hkdfExtract = (hash: HashName, salt: Uint8Array, ikm: Uint8Array): Buffer =>
  hmac(hash, salt, ikm);

/** RFC 5869 §2.3. */
export function hkdfExpand(hash: HashName, prk: Uint8Array, info: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let n = 1; Buffer.concat(blocks).length < length; n++) {
    blocks.push(hmac(hash, prk, Buffer.concat([blocks.at(-1) ?? Buffer.alloc(0), info, Buffer.of(n)])));
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** RFC 9846 §7.1: struct { uint16 length; opaque label<7..255>; opaque context<0..255>; } HkdfLabel. */
export function hkdfExpandLabel(
  hash: HashName,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(length);
  const info = Buffer.concat([size, Buffer.of(name.length), name, Buffer.of(context.length), context]);
  return hkdfExpand(hash, secret, info, length);
}

/** RFC 9846 §7.1, over messages and not over their hash. */
export const deriveSecret = (
  hash: HashName,
  secret: Uint8Array,
  label: string,
  messages: Uint8Array,
): Buffer => hkdfExpandLabel(hash, secret, label, digest(hash, messages), digest(hash, messages).length);
