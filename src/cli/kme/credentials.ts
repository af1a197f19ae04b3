/** The certificates of the KMEs, and who vouches for their callers. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../protocol/errors.ts";

export interface CredentialFlags {
  readonly pki?: string;
  readonly ca?: string;
  readonly certA?: string;
  readonly keyA?: string;
  readonly certB?: string;
  readonly keyB?: string;
}

/** Certificate chain and key of one KME. Throws UsageError. */
export function identity(flags: CredentialFlags, side: "A" | "B"): { cert: Buffer; key: Buffer } {
  const file = `kme-${side.toLowerCase()}`;
  return { cert: pem(flags, `cert${side}`, `${file}.crt`), key: pem(flags, `key${side}`, `${file}.key`) };
}

/** One of the files, by its own option or in the directory of --pki. Throws UsageError. */
export function pem(
  flags: CredentialFlags,
  flag: "ca" | `cert${"A" | "B"}` | `key${"A" | "B"}`,
  file: string,
): Buffer {
  const option = `--${flag.replace(/[AB]$/, (side) => `-${side.toLowerCase()}`)}`;
  const path = flags[flag] ?? (flags.pki === undefined ? undefined : join(flags.pki, file));
  if (path === undefined) {
    throw new UsageError("ERR_OPTION_MISSING", `give --pki, or ${option}`, { option });
  }
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new UsageError("ERR_FILE_INVALID", `${option}: ${path} cannot be read (${code})`, {
      cause,
      option,
    });
  }
}
