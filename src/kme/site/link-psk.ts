/** The key that two sites begin their classical channel with. */

import { readKeyFile } from "../../qkd/file.ts";

/**
 * 32 to 256 bytes in hexadecimal or base64, from a file of its owner's alone; the caller wipes them. Throws UsageError:
 * ERR_FILE_UNSAFE when others may read it, ERR_FILE_INVALID when it is no such key.
 */
export const readLinkPsk = (path: string): Uint8Array =>
  readKeyFile(path, { min: 32, max: 256, option: "link-psk-file" });
