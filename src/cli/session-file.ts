/** A session kept between two runs. It holds a secret, so nobody else may read its file, and each is used once. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { UsageError } from "../protocol/errors.ts";
import { codeOf } from "./cause.ts";
import { badFile, unreadable } from "./value.ts";

const OPTION = "--resume";
const MAX_BYTES = 2 ** 18;

/** The session in a file; undefined without the file. Throws a UsageError for a file that cannot hold one. */
export function readSession(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw unreadable(OPTION, path, cause);
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw badFile(OPTION, `${path} is not a regular file`);
    if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
      throw new UsageError("ERR_FILE_UNSAFE", `${OPTION}: ${path} is open to others`, { option: OPTION });
    }
    if (found.size === 0 || found.size > MAX_BYTES) throw badFile(OPTION, `${path} holds no session`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** Replaces the file as a whole, so that it never holds half a session. */
export function writeSession(path: string, session: Uint8Array): void {
  const draft = `${path}.${process.pid}.new`;
  try {
    rmSync(draft, { force: true });
    const file = openSync(draft, "wx", 0o600);
    try {
      writeSync(file, session);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw unreadable(OPTION, path, cause);
  }
}

/** Removes a session that has been used: a ticket used twice links two connections. RFC 9846 §C.4. */
export function forgetSession(path: string): void {
  rmSync(path, { force: true });
}
