/** Records in a PostgreSQL database, encrypted: for several KME processes over one store. */

import { nodeProvider } from "../crypto/node.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { StoreError, UsageError } from "../protocol/errors.ts";
import { whole } from "../protocol/options.ts";
import type { Content } from "./format.ts";
import { type Head, PostgresRows, type Shelfmark } from "./postgres-rows.ts";
import { openStore } from "./postgres-schema.ts";
import { type Sessions, sessions } from "./postgres-session.ts";
import { type Backend, type Table, TABLES, type Tally, type Transaction, type Wanted } from "./records.ts";
import { storeSealer } from "./sealer.ts";
import { Work } from "./transaction.ts";

export interface PostgresOptions {
  /**
   * `postgres://user@host:port/database`; `sslmode` and what else the driver `pg` reads from it. A password is better
   * taken from PGPASSWORD or a .pgpass file: others can see a command line.
   */
  readonly url: string;
  /** Which of the stores in the database: one for each end of a link. 1 to 64 letters, digits, `-`, `_` or `.`; default `kme`. */
  readonly name?: string;
  /** 32 bytes; copied. */
  readonly key: Uint8Array;
  readonly crypto?: CryptoProvider;
  /** For a connection, and for each statement with its wait for other processes; default 5000. */
  readonly timeoutMs?: number;
}

/** Pieces of work that share a transaction at most: the others wait until it ends. */
const MOST_PIECES = 256;

/**
 * Opens the records of a store, or begins it and its tables (in a schema of their own, `qkd_tls`). Every record is read and
 * checked. Throws StoreError, whose code says what is wrong, and UsageError ERR_OPTION_INVALID for options out of range.
 */
export async function postgresBackend(options: PostgresOptions, content: Content): Promise<Backend> {
  const { url, name = "kme", key, crypto = nodeProvider() } = options;
  if (!/^[\w.-]{1,64}$/.test(name)) {
    const text = "the name of a store must be 1 to 64 letters, digits, -, _ or .";
    throw new UsageError("ERR_OPTION_INVALID", text, { option: "name" });
  }
  const pool = sessions(url, whole(options, "timeoutMs", 5000, 1, 600_000));
  try {
    const sealer = storeSealer(crypto, key);
    const opened = await pool.transaction((client) => openStore(client, { name, sealer, content }));
    return new Postgres(pool, opened.store, opened.head);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

interface Piece {
  readonly wanted: Wanted;
  /** False when the work failed: then nothing of it is kept. Never rejects. */
  readonly work: (records: Transaction) => Promise<boolean>;
  /** Tells what became of it, once that is durable. */
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Who works on a store holds the lock on its row, so pieces of work come one after the other, in whatever process they
 * are. Whatever gathers in this one meanwhile is done in one transaction, so that many share a flush.
 */
class Postgres implements Backend {
  readonly isShared = true;
  readonly #sessions: Sessions;
  readonly #store: Shelfmark;
  #head: Head;
  #waiting: Piece[] = [];
  #running: Promise<void> | undefined;
  #failure: StoreError | undefined;
  /** Of the latest transaction: the next one may do. */
  #trouble: StoreError | undefined;

  constructor(pool: Sessions, store: Shelfmark, head: Head) {
    this.#sessions = pool;
    this.#store = store;
    this.#head = head;
  }

  /** While the database cannot be used, too. */
  get failure(): StoreError | undefined {
    return this.#failure ?? this.#trouble;
  }

  get tally(): Tally {
    return this.#head.tally;
  }

  size(table: Table): number {
    return this.#head.sizes[table];
  }

  transact<T>(work: (records: Transaction) => Promise<T>, wanted: Wanted = {}): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(piece(work, wanted, { resolve, reject }));
      this.#running ??= this.#run();
    });
  }

  async close(): Promise<void> {
    if (this.#failure?.code === "ERR_STORE_CLOSED") return;
    this.#failure = new StoreError("ERR_STORE_CLOSED", "the key store is closed");
    await this.#running;
    await this.#sessions.close();
    this.#store.sealer.close();
    this.#head = { ...this.#head, sizes: { outgoing: 0, incoming: 0, held: 0, doubt: 0 } };
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn goes in together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#together(this.#waiting.splice(0, MOST_PIECES));
    this.#running = undefined;
  }

  async #together(pieces: readonly Piece[]): Promise<void> {
    const all: { work?: Work } = {};
    try {
      const head = await this.#sessions.transaction(async (client) => {
        const rows = await PostgresRows.lock(client, this.#store);
        await rows.fetch(together(pieces));
        const work = (all.work = new Work(rows, rows.head.tally));
        for (const each of pieces) {
          const own = new Work(work, work.tally);
          if (await each.work(own)) work.adopt(own);
          else own.wipe();
          if (rows.failure !== undefined) throw rows.failure;
        }
        return work.changed ? rows.write(work.changes, work.tally) : rows.head;
      });
      this.#head = head;
      this.#trouble = undefined;
      for (const callback of all.work?.callbacks ?? []) callback();
      for (const { settle } of pieces) settle();
    } catch (error) {
      all.work?.wipe();
      this.#trouble = error instanceof StoreError ? error : undefined;
      // Nothing more is given out: who knows what else is wrong.
      if (error instanceof StoreError && error.code === "ERR_STORE_CORRUPT") this.#failure ??= error;
      for (const { fail } of pieces) fail(error);
    }
  }
}

function piece<T>(
  work: (records: Transaction) => Promise<T>,
  wanted: Wanted,
  { resolve, reject }: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void },
): Piece {
  let settle = (): void => undefined;
  return {
    wanted,
    async work(records) {
      try {
        const result = await work(records);
        settle = () => resolve(result);
        return true;
      } catch (error) {
        settle = () => reject(error);
        return false;
      }
    },
    settle: () => settle(),
    fail: reject,
  };
}

function together(pieces: readonly Piece[]): Wanted {
  const ids: Record<Table, Set<string>> = {
    outgoing: new Set(),
    incoming: new Set(),
    held: new Set(),
    doubt: new Set(),
  };
  for (const { wanted } of pieces) {
    for (const table of TABLES) for (const id of wanted[table] ?? []) ids[table].add(id);
  }
  return Object.fromEntries(TABLES.map((table) => [table, [...ids[table]]]));
}
