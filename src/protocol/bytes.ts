/** Byte helpers that every room shares. Nothing here allocates more than it returns. */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export const EMPTY = new Uint8Array(0);

/** Up to this many bytes, a loop over ASCII is quicker than a call of the coder. */
const SHORT_BYTES = 64;

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  if (text.length > SHORT_BYTES) return encoder.encode(text);
  const out = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return encoder.encode(text);
    out[at] = code;
  }
  return out;
}

/** The string that these bytes spell. Throws a TypeError when they are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  if (bytes.length > SHORT_BYTES || bytes.some((byte) => byte > 0x7f)) return decoder.decode(bytes);
  return String.fromCharCode(...bytes);
}

/**
 * The same bytes as a plain Uint8Array. Node's Buffer is a subclass whose `slice` shares memory instead of
 * copying it, so nothing that will be sliced may be one.
 */
export function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** One array holding the parts in order. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Equality whose time depends on the lengths alone, as far as a JavaScript engine allows: the one comparison for MACs,
 * binders, Finished, cookies, tickets, tokens and keys. `npm run bench -- timing` measures it.
 */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** Overwrites secrets in place; copies that the engine made elsewhere are out of reach. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += HEX[byte];
  return out;
}

/** Bytes of a hexadecimal string, or undefined when it is not one (odd length, foreign character). */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}
