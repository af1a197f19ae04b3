/** Reading and writing the content of files, piece by piece. */
import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

const PIECE_BYTES = 1024 * 1024;

/** Feeds the first `length` bytes of a file to a hash; returns how many there were. `check` may stop it by throwing. */
export async function hashPrefix(
  file: FileHandle,
  hash: Hash,
  length: number,
  check: () => void,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, length));
  let at = 0;
  while (at < length) {
    check();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - at), at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return at;
}

/** The digest so far; the hash goes on. */
export const digestSoFar = (hash: Hash): Buffer => hash.copy().digest();

/** Writes all of a piece at a position. */
export async function writeAt(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < piece.length) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, position + done);
    done += bytesWritten;
  }
}
