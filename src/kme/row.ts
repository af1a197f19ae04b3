/** A row as bytes: a length, what is no secret as JSON, and the key. */

import { concat, fromUtf8, utf8 } from "../protocol/bytes.ts";
import type { Rows, Table } from "./records.ts";

const LENGTH_BYTES = 4;

/** The bytes of a row. They hold its key: whoever is handed them wipes them. */
export function encodeRow({ key, ...rest }: Rows[Table]): Uint8Array {
  const text = utf8(JSON.stringify(rest));
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, text.length);
  return concat([length, text, key]);
}

/** The row that these bytes are, or undefined when they are none. */
export function decodeRow<T extends Table>(table: T, bytes: Uint8Array): Rows[T] | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const end = LENGTH_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (end > bytes.length) return undefined;
  let rest: unknown;
  try {
    rest = JSON.parse(fromUtf8(bytes.subarray(LENGTH_BYTES, end)));
  } catch {
    return undefined;
  }
  if (typeof rest !== "object" || rest === null || !("at" in rest)) return undefined;
  if (typeof rest.at !== "number" || !Number.isFinite(rest.at)) return undefined;
  // Not `slice`, which shares memory when the bytes are a Buffer.
  const parse: (rest: Fields, block: Rows["incoming"]) => Rows[T] | undefined = PARSERS[table];
  return parse(rest, { at: rest.at, key: new Uint8Array(bytes.subarray(end)) });
}

type Fields = { readonly [name in string]?: unknown };

const PARSERS: { readonly [T in Table]: (rest: Fields, block: Rows["incoming"]) => Rows[T] | undefined } = {
  outgoing: (_, block) => block,
  incoming: (_, block) => block,
  held({ master, slaves, waiting, blocks }, block) {
    if (typeof master !== "string" || !isTexts(slaves) || !isTexts(waiting)) return undefined;
    if (typeof blocks !== "number" || !Number.isSafeInteger(blocks) || blocks < 0) return undefined;
    return { ...block, master, slaves, waiting, blocks };
  },
  doubt: ({ blocks }, block) => (isTexts(blocks) ? { ...block, blocks } : undefined),
};

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");
