/**
 * Pre-shared keys in a file, in one of two forms. JSON:
 * `{"simulated": false, "keys": [{"id": "…", "key": "hex or base64", "peer": "sae-b", "initiator": "sae-a"}]}`,
 * where `peer` (the SAE that holds the same key) and `initiator` (the only SAE that may draw it) serve the pool alone.
 * Lines: `identity:hex`, with blank lines and lines that begin with `#` left out.
 */

import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { fromHex, fromUtf8, utf8, wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import { isSaeId } from "./names.ts";

/** A static pre-shared key. RFC 9846 §4.3.11 gives `identity` 1 to 65535 bytes. */
export interface StaticPsk {
  readonly identity: string;
  readonly key: Uint8Array;
}

/** An entry of the file with what the pool wants to know. `at` says where it stands, in words. */
export interface FileEntry extends StaticPsk {
  readonly at: string;
  readonly peer?: string;
  readonly initiator?: string;
}

export interface PskFile {
  readonly entries: readonly FileEntry[];
  readonly simulated: boolean;
}

/** Keys shorter than this are no keys (RFC 9257 §6); longer ones are no pre-shared keys. */
const KEY_BYTES = { min: 16, max: 8192 };
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * The static keys of a file. Throws UsageError: ERR_FILE_UNSAFE when others may read it,
 * ERR_FILE_INVALID naming the line or entry at fault, never its key.
 */
export function readPskFile(path: string): StaticPsk[] {
  return readEntries(path).entries.map(({ identity, key }) => ({ identity, key }));
}

/** The file with everything in it. Throws like `readPskFile`. */
export function readEntries(path: string): PskFile {
  const bytes = readSafely(path);
  const entries: FileEntry[] = [];
  try {
    const text = fromUtf8(bytes);
    const simulated = /^\s*[[{]/.test(text) ? readJson(text, path, entries) : readLines(text, path, entries);
    refuseRepeats(entries, path);
    return { entries, simulated };
  } catch (cause) {
    wipe(...entries.map(({ key }) => key));
    if (cause instanceof UsageError) throw cause;
    throw invalid(path, "is not text in UTF-8");
  } finally {
    wipe(bytes);
  }
}

/**
 * A key in hexadecimal or base64 of `min` to `max` bytes, or undefined where the text is none; the caller wipes it.
 * Hexadecimal may also be base64, and then of more bytes: whoever writes 64 digits means 32 bytes.
 */
export function keyFromText(
  raw: string,
  bytes: { readonly min: number; readonly max: number },
): Uint8Array | undefined {
  const text = raw.trim();
  const key = fromHex(text) ?? fromBase64(text);
  if (key !== undefined && key.length >= bytes.min && key.length <= bytes.max) return key;
  wipe(key);
  return undefined;
}

/**
 * The one key that a file of its owner's alone holds, as `keyFromText` reads it. Throws UsageError, naming `option`:
 * ERR_FILE_UNSAFE when others may read it, ERR_FILE_INVALID when it is no such key.
 */
export function readKeyFile(
  path: string,
  { min, max, option }: { readonly min: number; readonly max: number; readonly option: string },
): Uint8Array {
  const bytes = readSafely(path);
  try {
    const key = keyFromText(asText(bytes), { min, max });
    if (key !== undefined) return key;
  } finally {
    wipe(bytes);
  }
  const wanted = min === max ? `${min} bytes` : `${min} to ${max} bytes`;
  const text = `the key file ${path} does not hold ${wanted} in hexadecimal or base64`;
  throw new UsageError("ERR_FILE_INVALID", text, { option });
}

function asText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}

/**
 * The bytes of a file of secrets, looked at through the open file, so that nobody can exchange it in between.
 * Throws UsageError: ERR_FILE_UNSAFE when others may read it, ERR_FILE_INVALID when it is no file that we can read.
 */
export function readSafely(path: string): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new UsageError("ERR_FILE_INVALID", `the key file ${path} cannot be opened (${code})`, { cause });
  }
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & 0o170000) !== 0o100000) throw invalid(path, "is not a regular file");
    // Windows keeps no such bits.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, "0");
      const text = `the key file ${path} is open to others (mode ${found}): make it 0600`;
      throw new UsageError("ERR_FILE_UNSAFE", text);
    }
    if (size > MAX_FILE_BYTES) throw invalid(path, `is longer than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function readLines(text: string, path: string, into: FileEntry[]): boolean {
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const at = `line ${index + 1}`;
    // Identities may hold colons, hexadecimal cannot.
    const colon = line.lastIndexOf(":");
    if (colon < 1) throw invalid(path, `has no identity:hex in ${at}`);
    const identity = checkIdentity(line.slice(0, colon), path, at);
    const key = fromHex(line.slice(colon + 1));
    if (key === undefined) throw invalid(path, `has a key that is not hexadecimal in ${at}`);
    into.push({ identity, key: checkKey(key, path, at), at });
  }
  return false;
}

function readJson(text: string, path: string, into: FileEntry[]): boolean {
  const file = fields(parse(text, path), ["keys", "simulated"], path, "the file");
  const { keys, simulated = false } = file;
  if (!Array.isArray(keys)) throw invalid(path, "has no array keys");
  if (typeof simulated !== "boolean") throw invalid(path, "has a member simulated that is not true or false");
  for (const [index, entry] of keys.entries()) into.push(readEntry(entry, path, `keys[${index}]`));
  return simulated;
}

function readEntry(entry: unknown, path: string, at: string): FileEntry {
  const { id, key: text, peer, initiator } = fields(entry, ["id", "key", "peer", "initiator"], path, at);
  const identity = checkIdentity(id, path, at);
  for (const [member, sae] of Object.entries({ peer, initiator })) {
    if (sae !== undefined && !isSaeId(sae)) throw invalid(path, `has no SAE ID in ${at}.${member}`);
  }
  const key = typeof text === "string" ? (fromHex(text) ?? fromBase64(text)) : undefined;
  if (key === undefined) throw invalid(path, `has a key that is neither hexadecimal nor base64 in ${at}`);
  return {
    identity,
    key: checkKey(key, path, at),
    at,
    ...(isSaeId(peer) && { peer }),
    ...(isSaeId(initiator) && { initiator }),
  };
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which holds keys.
    throw invalid(path, "is not JSON");
  }
}

function fields(value: unknown, known: readonly string[], path: string, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(path, `has no object in ${at}`);
  }
  for (const member of Object.keys(value)) {
    // Not named: whoever mistook the form may have put the key there.
    if (!known.includes(member)) throw invalid(path, `has a member other than ${known.join(", ")} in ${at}`);
  }
  return value as Record<string, unknown>; // a JSON object is exactly that
}

function checkIdentity(identity: unknown, path: string, at: string): string {
  if (typeof identity !== "string" || identity === "") throw invalid(path, `has no identity in ${at}`);
  if (utf8(identity).length > 65_535) throw invalid(path, `has an identity longer than 65535 bytes in ${at}`);
  return identity;
}

function checkKey(key: Uint8Array, path: string, at: string): Uint8Array {
  const { min, max } = KEY_BYTES;
  if (key.length >= min && key.length <= max) return key;
  wipe(key);
  throw invalid(path, `has a key of ${key.length} bytes in ${at}: it takes ${min} to ${max}`);
}

function refuseRepeats(entries: readonly FileEntry[], path: string): void {
  const first = new Map<string, string>();
  for (const { identity, at } of entries) {
    const earlier = first.get(identity);
    if (earlier !== undefined) throw invalid(path, `has the identity of ${earlier} again in ${at}`);
    first.set(identity, at);
  }
}

/** Bytes of a canonical base64 string, or undefined when it is not one. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const canonical = bytes.toString("base64") === text;
  const out = canonical ? new Uint8Array(bytes) : undefined;
  wipe(bytes);
  return out;
}

function invalid(path: string, fault: string): UsageError {
  return new UsageError("ERR_FILE_INVALID", `the key file ${path} ${fault}`);
}
