/** A file of keys used like a one-time pad: each key once, in the file's order, never again after a restart. */

import { mkdir, open, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { wipe } from "../protocol/bytes.ts";
import { KeySourceError, type KeySourceErrorCode, UsageError } from "../protocol/errors.ts";
import { type FileEntry, readEntries } from "./file.ts";
import { keyId, ownSae, parseKeyId, peerSae } from "./names.ts";
import { onlyKnown, whole } from "../protocol/options.ts";
import type { CallOptions, KeySource, QkdKey, SourceCounters, SourceStatus } from "./source.ts";

export interface FileKeyOptions {
  /** Our own SAE ID. */
  readonly sae: string;
  /** The SAE at the other end, for entries that name no `peer`; the lines form never does. */
  readonly peer?: string;
  /** Where used key_IDs are recorded; default the file's path with `.used`. */
  readonly usedPath?: string;
}

/**
 * A key source over a file that both ends hold; its ids are UUIDs. A key is marked used on disk, for this end, before
 * it is handed out: an empty file named by its id, which also settles races between processes.
 * Throws UsageError like `readPskFile`.
 */
export async function fileKeySource(path: string, options: FileKeyOptions): Promise<KeySource> {
  onlyKnown(options, ["sae", "peer", "usedPath"], "fileKeySource");
  const sae = ownSae(options.sae);
  const fallback = options.peer === undefined ? undefined : ownSae(options.peer, "peer");
  const usedPath = options.usedPath ?? `${path}.used`;
  const file = readEntries(path);
  try {
    const entries = file.entries.map((entry) => poolEntry(entry, path, fallback));
    const used = await readUsed(usedPath);
    return new Pool(sae, file.simulated, usedPath, entries, used);
  } catch (error) {
    wipe(...file.entries.map(({ key }) => key));
    throw error;
  }
}

interface PoolEntry {
  readonly id: string;
  readonly key: Uint8Array;
  readonly peer: string;
  readonly initiator: string | undefined;
}

class Pool implements KeySource {
  readonly kind = "psk-file";
  readonly sae: string;
  readonly simulated: boolean;
  readonly #usedPath: string;
  readonly #keys = new Map<string, PoolEntry>();
  readonly #used: Set<string>;
  readonly #counts = { drawn: 0, redeemed: 0, lost: 0, expired: 0, failures: 0 };
  #closed = false;

  constructor(sae: string, simulated: boolean, usedPath: string, entries: PoolEntry[], used: Set<string>) {
    this.sae = sae;
    this.simulated = simulated;
    this.#usedPath = usedPath;
    this.#used = used;
    for (const entry of entries) {
      if (used.has(entry.id)) wipe(entry.key);
      else this.#keys.set(entry.id, entry);
    }
  }

  get counters(): SourceCounters {
    return { ...this.#counts };
  }

  async draw(peer: string, options: CallOptions = {}): Promise<QkdKey> {
    this.#ready(peer);
    for (const entry of this.#drawable(peer)) {
      const bytes = options.bytes ?? 32;
      if (entry.key.length !== bytes) throw this.#wrongSize(entry, bytes);
      if (options.signal?.aborted === true)
        throw this.#fail("ERR_QKD_TIMEOUT", "the call was given up by its caller");
      const key = await this.#claim(entry);
      if (key === undefined) continue;
      this.#counts.drawn++;
      return key;
    }
    throw this.#fail("ERR_QKD_EMPTY", "the key file holds no unused key for this peer");
  }

  async redeem(peer: string, id: string, options: CallOptions = {}): Promise<QkdKey> {
    this.#ready(peer);
    const name = keyId(id);
    if (this.#used.has(name)) throw this.#fail("ERR_QKD_KEY_USED", `the key_ID ${name} was used before`);
    const entry = this.#keys.get(name);
    const theirs = entry?.peer === peer && (entry.initiator ?? peer) === peer;
    if (entry === undefined || !theirs) {
      throw this.#fail("ERR_QKD_UNKNOWN_KEY", "the key file holds no such key for this peer");
    }
    const bytes = options.bytes ?? 32;
    if (entry.key.length !== bytes) throw this.#wrongSize(entry, bytes);
    const key = await this.#claim(entry);
    if (key === undefined) throw this.#fail("ERR_QKD_KEY_USED", `the key_ID ${name} was used before`);
    this.#counts.redeemed++;
    return key;
  }

  async status(peer: string): Promise<SourceStatus> {
    this.#ready(peer);
    const stock = [...this.#drawable(peer)];
    const keyBits = 8 * (stock[0]?.key.length ?? 32);
    return { peer, stored: stock.length, perRequest: 1, keyBits, simulated: this.simulated };
  }

  close(): void {
    this.#closed = true;
    wipe(...[...this.#keys.values()].map(({ key }) => key));
    this.#keys.clear();
  }

  *#drawable(peer: string): Generator<PoolEntry> {
    for (const entry of this.#keys.values()) {
      if (entry.peer === peer && (entry.initiator ?? this.sae) === this.sae) yield entry;
    }
  }

  /** Takes the key out of memory, then marks it on disk, then gives it; undefined when somebody was quicker. */
  async #claim(entry: PoolEntry): Promise<QkdKey | undefined> {
    this.#keys.delete(entry.id);
    this.#used.add(entry.id);
    try {
      await mark(this.#usedPath, entry.id);
    } catch (cause) {
      wipe(entry.key);
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
      if (code === "EEXIST") return undefined;
      this.#counts.lost++;
      const text = `the use of a key cannot be recorded in ${this.#usedPath} (${code}), so it is not used`;
      throw this.#fail("ERR_QKD_REJECTED", text, cause);
    }
    if (this.#closed) {
      wipe(entry.key);
      this.#counts.lost++;
      throw new KeySourceError("ERR_QKD_CLOSED", "the key source is closed");
    }
    return { id: entry.id, key: entry.key, simulated: this.simulated, kind: this.kind };
  }

  #ready(peer: string): void {
    if (this.#closed) throw new KeySourceError("ERR_QKD_CLOSED", "the key source is closed");
    peerSae(peer);
  }

  #wrongSize(entry: PoolEntry, bytes: number): KeySourceError {
    whole({ bytes }, "bytes", 32, 16, 8192);
    return this.#fail(
      "ERR_QKD_KEY_SIZE",
      `the next key has ${entry.key.length} bytes, ${bytes} were asked for`,
    );
  }

  #fail(code: KeySourceErrorCode, message: string, cause?: unknown): KeySourceError {
    this.#counts.failures++;
    return new KeySourceError(code, message, { cause });
  }
}

function poolEntry(entry: FileEntry, path: string, fallback: string | undefined): PoolEntry {
  const id = parseKeyId(entry.identity);
  if (id === undefined) {
    throw new UsageError(
      "ERR_FILE_INVALID",
      `the key file ${path} has an id that is not a UUID in ${entry.at}`,
    );
  }
  const peer = entry.peer ?? fallback;
  if (peer === undefined) {
    const text = `the key file ${path} names no peer in ${entry.at}, and no peer was given`;
    throw new UsageError("ERR_OPTION_MISSING", text, { option: "peer" });
  }
  return { id, key: entry.key, peer, initiator: entry.initiator };
}

async function readUsed(path: string): Promise<Set<string>> {
  try {
    const made = await mkdir(path, { mode: 0o700, recursive: true });
    // The marks are only as durable as the folder that they lie in.
    if (made !== undefined) await syncFolder(dirname(made));
    const names = (await readdir(path)).map(parseKeyId).filter((id) => id !== undefined);
    return new Set(names);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    const text = `the record of used keys ${path} cannot be opened (${code})`;
    throw new UsageError("ERR_FILE_INVALID", text, { cause });
  }
}

/** Durable when it returns: the mark itself and the folder that names it are on the disk. Fails with EEXIST. */
async function mark(folder: string, id: string): Promise<void> {
  const file = await open(`${folder}/${id}`, "wx", 0o600);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(folder);
}

async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders; its file system keeps names in a journal.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
