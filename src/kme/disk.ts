/** Records in a directory, encrypted: LevelDB, whose lock ends with the process and whose batches are all or nothing. */

import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import type { CryptoProvider } from "../crypto/provider.ts";
import { nodeProvider } from "../crypto/node.ts";
import { utf8, wipe } from "../protocol/bytes.ts";
import { StoreError, UsageError } from "../protocol/errors.ts";
import { embedded, type Index, type Shelf } from "./embedded.ts";
import { type Content, isTally, jsonObject, kindOf, VERSION, wordsOf } from "./format.ts";
import { emptyIndex } from "./memory.ts";
import { type Backend, type Changes, NOTHING, type Rows, type Table, TABLES, type Tally } from "./records.ts";
import { decodeRow, encodeRow } from "./row.ts";
import { addPrint, dropPrint, fingerprint, Sealer, storeSealer } from "./sealer.ts";

export interface DiskOptions {
  /** Made with rights for its owner alone when it is not there. One process at a time has it open. */
  readonly directory: string;
  /** 32 bytes; copied. */
  readonly key: Uint8Array;
  readonly crypto?: CryptoProvider;
}

const FORMAT = "format";
const HEAD = "head";
/** How often the files are rewritten without the ciphertext of what was removed: also on opening and closing. */
const COMPACT_MS = 60_000;

/**
 * Opens the records in a directory, or begins them there. Every record is read and checked.
 * Throws StoreError, whose code says what is wrong, and UsageError: ERR_OPTION_INVALID when the key has another
 * length, ERR_FILE_UNSAFE when others may write to the directory.
 */
export async function diskBackend(options: DiskOptions, content: Content): Promise<Backend> {
  const { directory, key, crypto = nodeProvider() } = options;
  const sealer = storeSealer(crypto, key);
  const path = { records: join(directory, "records"), witness: join(directory, "witness") };
  const isNew = !existsSync(path.witness);
  try {
    mkdirSync(path.records, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StoreError("ERR_STORE_UNWRITABLE", `the directory ${directory} cannot be made`, { cause });
  }
  // Who can put back an old file makes keys come again. Windows keeps no such bits.
  if (process.platform !== "win32" && (statSync(directory).mode & 0o022) !== 0) {
    const text = `others may write to the directory ${directory}: make it 0700`;
    throw new UsageError("ERR_FILE_UNSAFE", text, { option: "directory" });
  }
  const level = await openLevel(directory, path.records, isNew);
  const shelf = new DiskShelf({ directory, level, sealer });
  try {
    const { index, tally } = await shelf.load(content, path.witness, isNew);
    return embedded(shelf, index, tally);
  } catch (error) {
    await shelf.close();
    throw error;
  }
}

type Level = ClassicLevel<string, Uint8Array>;

async function openLevel(directory: string, records: string, createIfMissing: boolean): Promise<Level> {
  const level: Level = new ClassicLevel(records, { keyEncoding: "utf8", valueEncoding: "view" });
  try {
    await level.open({ createIfMissing });
    return level;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "LEVEL_LOCKED") {
      throw new StoreError("ERR_STORE_LOCKED", `the store ${directory} is open elsewhere`, { cause });
    }
    const isMissing = cause instanceof Error && cause.message.includes("No such file");
    if (code === "LEVEL_IO_ERROR" && !isMissing) {
      throw new StoreError("ERR_STORE_UNWRITABLE", `the store ${directory} cannot be opened`, { cause });
    }
    throw corrupt(directory, "its database does not open", cause);
  }
}

interface Operation {
  readonly type: "put" | "del";
  readonly key: string;
  readonly value: Uint8Array;
}
const GONE = new Uint8Array(0);

interface Batch {
  readonly operations: Operation[];
  readonly done: Promise<void>;
  readonly settle: (error?: StoreError) => void;
  head: Uint8Array;
  commit: number;
}

class DiskShelf implements Shelf {
  readonly #directory: string;
  readonly #level: Level;
  readonly #sealer: Sealer;
  /** Sealed records that are not on the disk yet; empty for one that goes. */
  readonly #unwritten = new Map<string, Uint8Array>();
  #store = "";
  #sum = 0;
  #commit = 0;
  #next: Batch | undefined;
  #writing: Promise<void> | undefined;
  readonly #compacting: NodeJS.Timeout;
  #hasRemoved = false;
  #failure: StoreError | undefined;
  #witness: number | undefined;

  constructor(parts: { readonly directory: string; readonly level: Level; readonly sealer: Sealer }) {
    this.#directory = parts.directory;
    this.#level = parts.level;
    this.#sealer = parts.sealer;
    this.#compacting = setInterval(() => void this.#compact(), COMPACT_MS).unref();
  }

  get failure(): StoreError | undefined {
    return this.#failure;
  }

  async load(content: Content, witness: string, isNew: boolean): Promise<{ index: Index; tally: Tally }> {
    const format = this.#level.getSync(FORMAT);
    if (format === undefined) {
      if (!isNew || (await this.#level.keys({ limit: 1 }).all()).length > 0) {
        throw corrupt(this.#directory, "it has no format record");
      }
      await this.#begin(content);
    } else {
      this.#store = this.#checkFormat(format, content);
    }
    const { commit, sum, tally } = this.#readHead();
    const index = await this.#readRows();
    if (sum !== this.#sum) throw corrupt(this.#directory, "its records do not add up");
    this.#commit = commit;
    this.#openWitness(witness, isNew);
    this.#hasRemoved = true;
    await this.#compact();
    return { index, tally };
  }

  read<T extends Table>(table: T, id: string): Rows[T] {
    const place = `${table}!${id}`;
    const sealed = this.#sealedAt(place);
    const row = sealed && this.#open(table, place, sealed);
    if (row !== undefined) return row;
    // Nothing more is given out: who knows what else is wrong.
    this.#failure ??= corrupt(this.#directory, `a record of ${table} cannot be read`);
    throw this.#failure;
  }

  /** Undefined for a record that is not there, or goes. */
  #sealedAt(place: string): Uint8Array | undefined {
    const unwritten = this.#unwritten.get(place);
    if (unwritten !== undefined) return unwritten === GONE ? undefined : unwritten;
    try {
      return this.#level.getSync(place);
    } catch (cause) {
      this.#failure ??= corrupt(this.#directory, "its database cannot be read", cause);
      throw this.#failure;
    }
  }

  async write(changes: Changes, tally: Tally): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const batch = (this.#next ??= emptyBatch());
    for (const table of TABLES) {
      for (const [id, row] of changes[table]) {
        const place = `${table}!${id}`;
        const before = this.#sealedAt(place);
        if (before !== undefined) this.#sum = dropPrint(this.#sum, fingerprint(before));
        if (row === undefined) {
          this.#unwritten.set(place, GONE);
          batch.operations.push({ type: "del", key: place, value: GONE });
          this.#hasRemoved = true;
          continue;
        }
        const value = this.#sealer.seal(encodeRow(row), this.#aad(place));
        wipe(row.key);
        this.#note(value);
        this.#unwritten.set(place, value);
        batch.operations.push({ type: "put", key: place, value });
      }
    }
    batch.commit = ++this.#commit;
    batch.head = this.#sealHead(tally);
    this.#writing ??= this.#writeAll();
    await batch.done;
  }

  async close(): Promise<void> {
    clearInterval(this.#compacting);
    await this.#writing;
    await this.#compact();
    this.#failure ??= new StoreError("ERR_STORE_CLOSED", "the key store is closed");
    if (this.#witness !== undefined) closeSync(this.#witness);
    this.#witness = undefined;
    await this.#level.close();
    this.#sealer.close();
  }

  /** Whatever gathers while a batch is being written goes into the next one, so that many share one flush. */
  async #writeAll(): Promise<void> {
    for (let batch = this.#next; batch !== undefined; batch = this.#next) {
      this.#next = undefined;
      const { operations, head, commit } = batch;
      const all = [...operations, { type: "put" as const, key: HEAD, value: head }];
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#level.batch(all, { sync: true });
        this.#testify(commit);
      } catch (cause) {
        const text = `the store ${this.#directory} cannot be written`;
        this.#failure ??= new StoreError("ERR_STORE_UNWRITABLE", text, { cause });
      }
      for (const { key, value } of operations) {
        if (this.#unwritten.get(key) === value) this.#unwritten.delete(key);
      }
      batch.settle(this.#failure);
    }
    this.#writing = undefined;
  }

  /** LevelDB only writes down that a record is gone; its ciphertext goes when the file does that holds it. */
  async #compact(): Promise<void> {
    if (!this.#hasRemoved || this.#failure !== undefined) return;
    this.#hasRemoved = false;
    // Whatever is wrong shows when the next record is read or written.
    await this.#level.compactRange("", "~").catch(() => undefined);
  }

  async #begin(content: Content): Promise<void> {
    this.#store = randomUUID();
    const words = wordsOf(this.#store, content);
    const format = { version: VERSION, store: this.#store, ...content, check: this.#sealer.check(words) };
    const first: Operation[] = [
      { type: "put", key: FORMAT, value: utf8(JSON.stringify(format)) },
      { type: "put", key: HEAD, value: this.#sealHead(NOTHING) },
    ];
    try {
      await this.#level.batch(first, { sync: true });
    } catch (cause) {
      throw new StoreError("ERR_STORE_UNWRITABLE", `the store ${this.#directory} cannot be written`, {
        cause,
      });
    }
  }

  /** The store's own id. */
  #checkFormat(bytes: Uint8Array, content: Content): string {
    const found = jsonObject(bytes);
    const { version, store, blockBytes, simulated, check } = found ?? {};
    if (typeof version !== "number") throw corrupt(this.#directory, "its format record is none");
    if (version !== VERSION) {
      const text = `the store ${this.#directory} has format ${version}, and this software knows ${VERSION}`;
      throw new StoreError("ERR_STORE_VERSION", text);
    }
    if (typeof store !== "string" || typeof blockBytes !== "number" || typeof simulated !== "boolean") {
      throw corrupt(this.#directory, "its format record is incomplete");
    }
    if (check !== this.#sealer.check(wordsOf(store, { blockBytes, simulated }))) {
      throw new StoreError("ERR_STORE_KEY", `the key is not that of the store ${this.#directory}`);
    }
    if (blockBytes !== content.blockBytes || simulated !== content.simulated) {
      const text = `the store ${this.#directory} holds ${kindOf({ blockBytes, simulated })}, and the link makes ${kindOf(content)}`;
      throw new StoreError("ERR_STORE_MISMATCH", text);
    }
    return store;
  }

  /** How often the store was written, what its records sum to, and what became of its blocks. */
  #sealHead(tally: Tally): Uint8Array {
    const head = utf8(JSON.stringify({ commit: this.#commit, sum: this.#sum, tally }));
    return this.#sealer.seal(head, this.#aad(HEAD));
  }

  #readHead(): { commit: number; sum: number; tally: Tally } {
    const sealed = this.#level.getSync(HEAD);
    const bytes = sealed && this.#sealer.open(sealed, this.#aad(HEAD));
    const { commit, sum, tally } = (bytes && jsonObject(bytes)) ?? {};
    if (typeof commit !== "number" || typeof sum !== "number" || !isTally(tally)) {
      throw corrupt(this.#directory, "its head record cannot be read");
    }
    return { commit, sum, tally };
  }

  async #readRows(): Promise<Index> {
    const put: Record<Table, [id: string, at: number][]> = {
      outgoing: [],
      incoming: [],
      held: [],
      doubt: [],
    };
    try {
      for await (const [place, sealed] of this.#level.iterator()) {
        if (place === FORMAT || place === HEAD) continue;
        const table = TABLES.find((each) => place.startsWith(`${each}!`));
        const row = table && this.#open(table, place, sealed);
        if (table === undefined || row === undefined) {
          throw corrupt(this.#directory, "it holds a record that cannot be read");
        }
        wipe(row.key);
        this.#note(sealed);
        put[table].push([place.slice(table.length + 1), row.at]);
      }
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw corrupt(this.#directory, "its database cannot be read", cause);
    }
    const index = emptyIndex();
    for (const table of TABLES) {
      for (const [id, at] of put[table].sort(([, a], [, b]) => a - b)) index[table].set(id, at);
    }
    return index;
  }

  #open<T extends Table>(table: T, place: string, sealed: Uint8Array): Rows[T] | undefined {
    const bytes = this.#sealer.open(sealed, this.#aad(place));
    const row = bytes && decodeRow(table, bytes);
    wipe(bytes);
    return row;
  }

  #aad(place: string): string {
    return `${this.#store}!${place}`;
  }

  #note(sealed: Uint8Array): void {
    this.#sum = addPrint(this.#sum, fingerprint(sealed));
  }

  /**
   * LevelDB forgets the end of a damaged log without a word, and keys that were delivered would be there again.
   * So a second file knows how often the store was written: never more often than the store itself, unless that lost
   * something. (A directory that is copied back whole shows nothing: never do that.)
   */
  #openWitness(path: string, isNew: boolean): void {
    try {
      if (isNew) {
        if (this.#commit > 0) throw corrupt(this.#directory, "its witness file is gone");
        this.#witness = openSync(path, "wx", 0o600);
        this.#testify(0);
        fsyncSync(this.#witness);
        return;
      }
      const seen = readFileSync(path);
      // One that was just begun when the machine went down.
      const isBegun = seen.length === 0 && this.#commit === 0;
      if (!isBegun && (seen.length !== 8 || Number(seen.readBigUInt64BE()) > this.#commit)) {
        throw corrupt(this.#directory, "it is older than its witness file");
      }
      this.#witness = openSync(path, "r+");
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError("ERR_STORE_UNWRITABLE", `the file ${path} cannot be written`, { cause });
    }
  }

  #testify(commit: number): void {
    if (this.#witness === undefined) return;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(commit));
    writeSync(this.#witness, bytes, 0, 8, 0);
  }
}

function emptyBatch(): Batch {
  let settle: Batch["settle"] = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  return { operations: [], done, settle, head: GONE, commit: 0 };
}

function corrupt(directory: string, fault: string, cause?: unknown): StoreError {
  return new StoreError("ERR_STORE_CORRUPT", `the store ${directory} is damaged: ${fault}`, { cause });
}
