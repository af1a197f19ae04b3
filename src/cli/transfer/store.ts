/** One file on its way into a directory: it grows under a name of its own and gets its final name when it is whole. */
import { constants } from "node:fs";
import { type FileHandle, link, lstat, open, rename, rm, statfs } from "node:fs/promises";
import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import { equal } from "../../protocol/bytes.ts";
import { digestSoFar, hashPrefix, writeAt } from "./content.ts";
import { codeOf } from "../cause.ts";
import { fileFault, TransferError } from "./error.ts";
import { checkPath, type Identity, makeDirectory, partName, shown } from "./path.ts";

/** ECMA-262 knows no later time. */
const LAST_DATE_MS = 8.64e15;

export interface Announced extends Identity {
  /** Permission bits. */
  readonly mode: number;
}

/** Final names that a transfer of this process is writing. */
const busy = new Set<string>();

/** Windows has no O_NOFOLLOW, and no symbolic links that a plain user may make. */
const NO_FOLLOW = (constants as { readonly O_NOFOLLOW?: number }).O_NOFOLLOW ?? 0;

/**
 * A file that a sender announced. `heldBytes` may be there from an earlier connection, or a file of that name and
 * size may exist; the digest of so many bytes decides (`matches`).
 */
export class IncomingFile {
  readonly #target: string;
  readonly #part: string;
  readonly #announced: Announced;
  readonly #replaces: boolean;
  #file: FileHandle | undefined;
  #hash: Hash = createHash("sha256");
  #position = 0;
  readonly heldBytes: number;
  /** True when what is held is a finished file and not a beginning. */
  readonly finished: boolean;

  private constructor(
    places: { readonly target: string; readonly part: string },
    announced: Announced,
    found: { readonly replaces: boolean; readonly heldBytes: number; readonly finished: boolean },
  ) {
    this.#target = places.target;
    this.#part = places.part;
    this.#announced = announced;
    this.#replaces = found.replaces;
    this.heldBytes = found.heldBytes;
    this.finished = found.finished;
  }

  /** Looks what is there, and opens the file unless a digest must decide first. Throws a TransferError when this file cannot be taken. Must be closed. */
  static async prepare(root: string, announced: Announced, overwrite: boolean): Promise<IncomingFile> {
    const names = checkPath(announced.path);
    const directory = await makeDirectory(root, names.slice(0, -1));
    const target = join(directory, names.at(-1) ?? "");
    const part = join(directory, partName(announced));
    if (busy.has(target)) {
      throw fault("ERR_TRANSFER_BUSY", announced.path, "is being received from another sender");
    }
    busy.add(target);
    try {
      const found = await look(target, part, announced, overwrite);
      await checkSpace(directory, announced, found.finished && !overwrite ? announced.size : found.heldBytes);
      const incoming = new IncomingFile({ target, part }, announced, found);
      if (found.heldBytes === 0 && !found.finished) await incoming.begin();
      return incoming;
    } catch (cause) {
      busy.delete(target);
      throw fileFault(cause, `${shown(announced.path)} cannot be received`, announced.path);
    }
  }

  /** Whether what is held begins as the sender's file does; afterwards the content goes on from there. */
  async matches(digest: Uint8Array, check: () => void): Promise<boolean> {
    if (this.finished) return equal(await this.#digestOfTarget(check), digest);
    const file = await this.#openPart();
    const hash = createHash("sha256");
    const length = await hashPrefix(file, hash, this.heldBytes, check);
    if (length !== this.heldBytes || !equal(digestSoFar(hash), digest)) return false;
    this.#hash = hash;
    this.#position = length;
    return true;
  }

  /** Whether the content may be written. Throws ERR_TRANSFER_EXISTS when another file has the name. */
  async begin(): Promise<void> {
    if (this.finished && !this.#replaces)
      throw fault("ERR_TRANSFER_EXISTS", this.#announced.path, "exists with other content");
    const file = await this.#openPart();
    await file.truncate(this.#position);
  }

  /** True when the file is empty and already there. */
  get emptyAlready(): boolean {
    return this.finished && this.#announced.size === 0;
  }

  get position(): number {
    return this.#position;
  }

  async write(content: Uint8Array): Promise<void> {
    const { path, size } = this.#announced;
    if (this.#position + content.length > size) {
      throw fault("ERR_TRANSFER_MALFORMED", path, `is longer than the ${size} bytes announced`);
    }
    this.#hash.update(content);
    try {
      await writeAt(await this.#openPart(), content, this.#position);
    } catch (cause) {
      throw fileFault(cause, `${shown(path)} cannot be written`, path);
    }
    this.#position += content.length;
  }

  /**
   * Checks the digest, brings the file to the disk and gives it its name; returns the digest.
   * Throws a TransferError, and leaves nothing under that name, when it is not whole or the name is taken.
   */
  async complete(digest: Uint8Array): Promise<Buffer> {
    const { path, size, mode, mtimeMs } = this.#announced;
    const own = digestSoFar(this.#hash);
    if (this.#position !== size || !equal(own, digest)) {
      await this.discard();
      const what =
        this.#position === size ? "arrived with another SHA-256 than it was sent with" : "arrived incomplete";
      throw fault("ERR_TRANSFER_DIGEST", path, what);
    }
    try {
      const file = await this.#openPart();
      await file.chmod(mode & 0o777 & ~process.umask());
      await file.utimes(new Date(), new Date(Math.min(mtimeMs, LAST_DATE_MS)));
      await file.sync();
      await this.#closePart();
      await this.#publish();
    } catch (cause) {
      throw fileFault(cause, `${shown(path)} cannot be stored`, path);
    }
    return own;
  }

  /** Forgets what was received. */
  async discard(): Promise<void> {
    await this.#closePart();
    await rm(this.#part, { force: true });
  }

  /** Lets the name go; an unfinished file stays for the next connection. */
  async close(): Promise<void> {
    busy.delete(this.#target);
    await this.#closePart();
  }

  async #publish(): Promise<void> {
    if (this.#replaces) await rename(this.#part, this.#target);
    else await renameToFree(this.#part, this.#target, this.#announced.path);
    await syncDirectory(join(this.#target, ".."));
  }

  async #digestOfTarget(check: () => void): Promise<Buffer> {
    const file = await open(this.#target, constants.O_RDONLY | NO_FOLLOW);
    try {
      const hash = createHash("sha256");
      await hashPrefix(file, hash, this.heldBytes, check);
      return hash.digest();
    } finally {
      await file.close();
    }
  }

  async #openPart(): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file;
    const file = await open(this.#part, constants.O_RDWR | constants.O_CREAT | NO_FOLLOW, 0o600);
    this.#file = file;
    return file;
  }

  async #closePart(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

async function look(target: string, part: string, { path, size }: Announced, overwrite: boolean) {
  const existing = await statOf(target);
  const begun = await statOf(part);
  if (existing !== undefined && !existing.isFile() && !(overwrite && existing.isSymbolicLink())) {
    throw fault("ERR_TRANSFER_EXISTS", path, "exists and is no regular file");
  }
  if (begun !== undefined && (!begun.isFile() || begun.size > size))
    await rm(part, { recursive: true, force: true });
  else if (begun !== undefined && begun.size > 0 && (existing === undefined || overwrite)) {
    return { replaces: overwrite, heldBytes: begun.size, finished: false };
  }
  if (existing?.isFile() === true) {
    const sameSize = existing.size === size;
    if (!sameSize && !overwrite) throw fault("ERR_TRANSFER_EXISTS", path, "exists with another size");
    if (sameSize) return { replaces: overwrite, heldBytes: size, finished: true };
  }
  return { replaces: overwrite, heldBytes: 0, finished: false };
}

async function statOf(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function checkSpace(directory: string, { path, size }: Announced, heldBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = size - heldBytes;
  if (needed <= bavail * bsize) return;
  throw fault("ERR_TRANSFER_DISK_FULL", path, `needs ${needed} bytes and the disk has ${bavail * bsize}`);
}

/** A rename that never replaces: a hard link fails where the name is taken. Some file systems have none. */
async function renameToFree(part: string, target: string, path: string): Promise<void> {
  try {
    await link(part, target);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST") throw fault("ERR_TRANSFER_EXISTS", path, "came to exist in the meantime");
    if (
      code === "EPERM" ||
      code === "ENOTSUP" ||
      code === "EOPNOTSUPP" ||
      code === "ENOSYS" ||
      code === "EMLINK"
    ) {
      if ((await statOf(target)) !== undefined)
        throw fault("ERR_TRANSFER_EXISTS", path, "came to exist in the meantime");
      await rename(part, target);
      return;
    }
    throw error;
  }
  await rm(part);
}

/** So that the new name survives a power cut; not every platform lets a directory be opened. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function fault(
  code: ConstructorParameters<typeof TransferError>[0],
  path: string,
  what: string,
): TransferError {
  return new TransferError(code, `${shown(path)} ${what}`, { path });
}
