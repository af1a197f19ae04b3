/** The key that a store is encrypted under: from a file of its owner's alone, or from the environment. */

import { UsageError } from "../protocol/errors.ts";
import { keyFromText, readKeyFile } from "../qkd/file.ts";
import { STORE_KEY_BYTES } from "./sealer.ts";

/** The environment variable that holds the key of a store when no file does. */
export const STORE_KEY_VARIABLE = "QKD_TLS_STORE_KEY";

const BYTES = { min: STORE_KEY_BYTES, max: STORE_KEY_BYTES };

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
  if (file !== undefined) return readKeyFile(file, { ...BYTES, option });
  const value = environment[STORE_KEY_VARIABLE];
  if (value === undefined || value === "") {
    const text = `a store needs a key: give --store-key-file, or set ${STORE_KEY_VARIABLE}`;
    throw new UsageError("ERR_OPTION_MISSING", text, { option });
  }
  const key = keyFromText(value, BYTES);
  if (key !== undefined) return key;
  const text = `${STORE_KEY_VARIABLE} does not hold ${STORE_KEY_BYTES} bytes in hexadecimal or base64`;
  throw new UsageError("ERR_OPTION_INVALID", text, { option });
}
