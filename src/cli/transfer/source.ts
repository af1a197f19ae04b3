/** What there is to send: the files and directories at a path. */
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir, realpath } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fromUtf8 } from "../../protocol/bytes.ts";
import { fileFault, TransferError } from "./error.ts";
import { MAX_ENTRIES } from "./messages.ts";
import { checkPath, isPart, shown } from "./path.ts";
import { failedFile, type FileReport, type Report } from "./report.ts";

export interface SourceEntry {
  readonly kind: "file" | "directory";
  /** As the receiver will know it: relative, with `/` between names. */
  readonly path: string;
  readonly place: string;
  readonly size: number;
  readonly mode: number;
}

export interface Source {
  /** A directory comes before what is in it. */
  readonly entries: readonly SourceEntry[];
  readonly files: number;
  readonly bytes: number;
  readonly omitted: Report["omitted"];
  /** Files that no receiver would take, because of their names. */
  readonly failed: readonly FileReport[];
}

/**
 * Lists a file, or a directory with all below it. Symbolic links below it are not followed but named as omitted.
 * Throws a TransferError (ERR_TRANSFER_FILE, ERR_TRANSFER_LIMIT).
 */
export async function listSource(path: string): Promise<Source> {
  const listing = new Listing();
  const name = basename(resolve(path));
  if (name === "")
    throw new TransferError("ERR_TRANSFER_FILE", "the root directory has no name to be sent under");
  try {
    // The path that somebody named is meant, even when it is a link.
    await listing.add(name, await realpath(path));
  } catch (cause) {
    throw fileFault(cause, `${shown(path)} cannot be read`, name);
  }
  const [only] = listing.omitted;
  if (listing.entries.length === 0 && only !== undefined) {
    throw new TransferError("ERR_TRANSFER_FILE", `${shown(only.path)} cannot be sent: ${only.reason}`, {
      path: name,
    });
  }
  return listing;
}

/** Opens a file to be sent; it must still be a regular file. */
export async function openSource(entry: SourceEntry): Promise<FileHandle> {
  // Without O_NONBLOCK, opening a pipe that took the file's place would wait for a writer.
  const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY } = constants as Partial<typeof constants>;
  try {
    const file = await open(entry.place, (O_RDONLY ?? 0) | O_NOFOLLOW | O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (cause) {
    throw fileFault(cause, `${shown(entry.path)} cannot be read`, entry.path);
  }
  throw new TransferError("ERR_TRANSFER_CHANGED", `${shown(entry.path)} is no longer a regular file`, {
    path: entry.path,
  });
}

class Listing implements Source {
  readonly entries: SourceEntry[] = [];
  readonly omitted: { readonly path: string; readonly reason: string }[] = [];
  readonly failed: FileReport[] = [];
  files = 0;
  bytes = 0;

  async add(path: string, place: string): Promise<void> {
    const stats = await lstat(place);
    const { size } = stats;
    const mode = stats.mode & 0o777;
    if (stats.isSymbolicLink()) return this.#omit(path, "it is a symbolic link");
    if (!stats.isFile() && !stats.isDirectory())
      return this.#omit(path, "it is neither a file nor a directory");
    if (isPart(basename(place)))
      return this.#omit(path, "it is the beginning of a file that was not received whole");
    try {
      checkPath(path);
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      this.failed.push(failedFile(path, stats.isFile() ? size : 0, error));
      return;
    }
    if (this.entries.length >= MAX_ENTRIES) {
      throw new TransferError("ERR_TRANSFER_LIMIT", `more than ${MAX_ENTRIES} files cannot be sent at once`);
    }
    this.entries.push({
      kind: stats.isFile() ? "file" : "directory",
      path,
      place,
      size: stats.isFile() ? size : 0,
      mode,
    });
    if (stats.isDirectory()) return this.#below(path, place);
    this.files++;
    this.bytes += size;
  }

  async #below(path: string, place: string): Promise<void> {
    const names = await readdir(place, { encoding: "buffer" });
    for (const encoded of names.sort((a, b) => Buffer.compare(a, b))) {
      const name = textOf(encoded);
      if (name !== undefined) await this.add(`${path}/${name}`, join(place, name));
      else {
        const shownName = `${path}/${encoded.toString()}`;
        const why = new TransferError(
          "ERR_TRANSFER_PATH",
          `the path ${shown(shownName)} is refused: it is not UTF-8`,
        );
        this.failed.push(failedFile(shownName, 0, why));
      }
    }
  }

  #omit(path: string, reason: string): void {
    this.omitted.push({ path, reason });
  }
}

function textOf(name: Uint8Array): string | undefined {
  try {
    return fromUtf8(name);
  } catch {
    return undefined;
  }
}
