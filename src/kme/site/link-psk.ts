/** The key that two sites begin their classical channel with. */

import { fromHex, fromUtf8, wipe } from "../../protocol/bytes.ts";
import { UsageError } from "../../protocol/errors.ts";
import { fromBase64, readSafely } from "../../qkd/file.ts";

const LEAST_BYTES = 32;
const MOST_BYTES = 256;

/**
 * 32 to 256 bytes in hexadecimal or base64, from a file of its owner's alone; the caller wipes them. Throws UsageError:
 * ERR_FILE_UNSAFE when others may read it, ERR_FILE_INVALID when it is no such key.
 */
export function readLinkPsk(path: string): Uint8Array {
  const bytes = readSafely(path);
  try {
    const text = asText(bytes).trim();
    // Hexadecimal may also be base64, and then of more bytes: whoever writes 64 digits means 32 bytes.
    const key = fromHex(text) ?? fromBase64(text);
    if (key !== undefined && key.length >= LEAST_BYTES && key.length <= MOST_BYTES) return key;
    wipe(key);
  } finally {
    wipe(bytes);
  }
  const text = `the key file ${path} does not hold ${LEAST_BYTES} to ${MOST_BYTES} bytes in hexadecimal or base64`;
  throw new UsageError("ERR_FILE_INVALID", text, { option: "link-psk-file" });
}

function asText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}
