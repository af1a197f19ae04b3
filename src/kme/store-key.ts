/** The key that a store is encrypted under: from a file of its owner's alone, or from the environment. */

import { fromHex, fromUtf8, wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import { fromBase64, readSafely } from "../qkd/file.ts";
import { STORE_KEY_BYTES } from "./sealer.ts";

/** The environment variable that holds the key of a store when no file does. */
export const STORE_KEY_VARIABLE = "QKD_TLS_STORE_KEY";

export interface StoreKeySource {
  /** 32 bytes in hexadecimal or base64, readable by its owner alone. */
  readonly file?: string;
  /** Where the variable is looked up when there is no file; default the process's own. */
  readonly environment?: { readonly [name: string]: string | undefined };
}

/**
 * The 32 bytes of a store's key; the caller wipes them. Throws UsageError: ERR_OPTION_MISSING when neither is there,
 * ERR_FILE_UNSAFE when others may read the file, ERR_FILE_INVALID or ERR_OPTION_INVALID when it is no such key.
 */
export function storeKey({ file, environment = process.env }: StoreKeySource): Uint8Array {
  const option = "store-key-file";
  if (file !== undefined) {
    const bytes = readSafely(file);
    try {
      const key = parse(asText(bytes));
      if (key !== undefined) return key;
    } finally {
      wipe(bytes);
    }
    const text = `the key file ${file} does not hold ${STORE_KEY_BYTES} bytes in hexadecimal or base64`;
    throw new UsageError("ERR_FILE_INVALID", text, { option });
  }
  const value = environment[STORE_KEY_VARIABLE];
  if (value === undefined || value === "") {
    const text = `a store needs a key: give --store-key-file, or set ${STORE_KEY_VARIABLE}`;
    throw new UsageError("ERR_OPTION_MISSING", text, { option });
  }
  const key = parse(value);
  if (key !== undefined) return key;
  const text = `${STORE_KEY_VARIABLE} does not hold ${STORE_KEY_BYTES} bytes in hexadecimal or base64`;
  throw new UsageError("ERR_OPTION_INVALID", text, { option });
}

function parse(raw: string): Uint8Array | undefined {
  const text = raw.trim();
  // Hexadecimal of 64 digits is also base64, of 48 bytes; no key is both.
  const key = fromHex(text) ?? fromBase64(text);
  if (key?.length === STORE_KEY_BYTES) return key;
  wipe(key);
  return undefined;
}

function asText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}
