/** The JSON that a KME answers with, parsed and checked field by field. ETSI GS QKD 014 §6. */

import { equal, wipe } from "../protocol/bytes.ts";
import { KeySourceError } from "../protocol/errors.ts";
import { parseKeyId, tame } from "./names.ts";

/** ETSI GS QKD 014 §6.1, as far as we read it. */
export interface KmeStatus {
  readonly source_KME_ID: string;
  readonly target_KME_ID: string;
  readonly key_size: number;
  readonly stored_key_count: number;
  readonly max_key_per_request: number;
  readonly simulated: boolean;
}

export interface DeliveredKey {
  readonly id: string;
  readonly key: Uint8Array;
}

export interface Delivery {
  readonly keys: readonly DeliveredKey[];
  readonly simulated: boolean;
}

/** The vendor extension by which a KME owns up that no physical link made its keys. */
export const SIMULATED = "qkdtls_simulated";

/** Reads a Status. Throws ERR_QKD_MALFORMED naming the field. ETSI GS QKD 014 §6.1. */
export function readStatus(body: Uint8Array): KmeStatus {
  const status = object(parse(body), "the status");
  return {
    source_KME_ID: name(status, "source_KME_ID"),
    target_KME_ID: name(status, "target_KME_ID"),
    key_size: count(status, "key_size"),
    stored_key_count: count(status, "stored_key_count"),
    max_key_per_request: count(status, "max_key_per_request"),
    simulated: isMarked(status["status_extension"]),
  };
}

/**
 * Reads a key container that must hold exactly `wanted` keys of `bytes` bytes; with `ids`, exactly those.
 * Throws ERR_QKD_MALFORMED or ERR_QKD_KEY_SIZE naming the field, and wipes what it had read. ETSI GS QKD 014 §6.3.
 */
export function readKeys(body: Uint8Array, wanted: number, bytes: number, ids?: readonly string[]): Delivery {
  const container = object(parse(body), "the key container");
  const list = keyArray(container);
  if (list.length !== wanted) throw malformed(`keys holds ${list.length} entries, ${wanted} were asked for`);
  const keys: DeliveredKey[] = [];
  const seen = new Set<string>();
  try {
    for (const [at, entry] of list.entries()) keys.push(readKey(entry, `keys[${at}]`, bytes, seen));
    for (const id of ids ?? []) if (!seen.has(id)) throw malformed("keys lacks a key_ID that was asked for");
  } catch (error) {
    wipe(...keys.map(({ key }) => key));
    throw error;
  }
  return { keys, simulated: isMarked(container["key_container_extension"]) };
}

/** The `message` of an error answer in one tame line; empty when there is none. ETSI GS QKD 014 §6.5. */
export function readMessage(body: Uint8Array): string {
  try {
    const message = object(parse(body), "the error")["message"];
    return typeof message === "string" ? tame(message) : "";
  } catch {
    return "";
  }
}

function readKey(entry: unknown, field: string, bytes: number, seen: Set<string>): DeliveredKey {
  const fields = object(entry, field);
  const id = parseKeyId(fields["key_ID"]);
  if (id === undefined) throw malformed(`${field}.key_ID is not a UUID`);
  if (seen.has(id)) throw malformed(`${field}.key_ID repeats an earlier one`);
  seen.add(id);
  const key = fromBase64(fields["key"]);
  if (key === undefined) throw malformed(`${field}.key is not base64`);
  if (key.length !== bytes) {
    wipe(key);
    throw new KeySourceError(
      "ERR_QKD_KEY_SIZE",
      `the KME's answer has ${8 * key.length} bits in ${field}.key, ${8 * bytes} were asked for`,
    );
  }
  // A dead detector or a cleared buffer delivers zeros; chance never does at these lengths.
  if (bytes >= 16 && equal(key, new Uint8Array(bytes))) throw malformed(`${field}.key is all zeros`);
  return { id, key };
}

/** The standard's table writes "Keys", its examples "keys"; deployed KMEs use either. */
function keyArray(container: Record<string, unknown>): unknown[] {
  const { keys, Keys } = container;
  if (keys !== undefined && Keys !== undefined) throw malformed("it has both keys and Keys");
  const list = keys ?? Keys;
  if (!Array.isArray(list)) throw malformed("keys is not an array");
  return list;
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    // The parser's own message quotes its input, which may hold key.
    throw malformed("it is not JSON in UTF-8");
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>; // a JSON object is exactly that
  }
  throw malformed(`${what} is not an object`);
}

function name(fields: Record<string, unknown>, field: string): string {
  const value = fields[field];
  if (typeof value === "string" && value !== "" && tame(value) === value) return value;
  throw malformed(`${field} is not a name`);
}

function count(fields: Record<string, unknown>, field: string): number {
  const value = fields[field];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw malformed(`${field} is not a count`);
}

function isMarked(extension: unknown): boolean {
  return typeof extension === "object" && extension !== null && Reflect.get(extension, SIMULATED) === true;
}

/** RFC 4648 §4, padded and canonical; Node's own decoder skips what it does not know. */
function fromBase64(text: unknown): Uint8Array | undefined {
  const strict = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;
  if (typeof text !== "string" || text.length % 4 !== 0 || !strict.test(text)) return undefined;
  // An array of its own: Node's small buffers share a pool, where wiping would leave neighbours behind.
  const out = new Uint8Array((text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0));
  Buffer.from(out.buffer).write(text, "base64");
  return out;
}

function malformed(fault: string): KeySourceError {
  return new KeySourceError("ERR_QKD_MALFORMED", `the KME's answer is malformed: ${fault}`);
}
