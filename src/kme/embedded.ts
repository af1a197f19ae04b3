/** A backend for one process: work is done one piece after the other, upon an index in memory. */

import { StoreError } from "../protocol/errors.ts";
import {
  type Backend,
  type Changes,
  type Rows,
  type Table,
  TABLES,
  type Tally,
  type Transaction,
} from "./records.ts";
import { type Ground, Work } from "./transaction.ts";

/** Where the rows themselves are. */
export interface Shelf {
  /** Why nothing is read or written here any more. */
  readonly failure?: StoreError | undefined;
  /** A copy of a row that is there. Throws StoreError when it cannot be read. */
  read<T extends Table>(table: T, id: string): Rows[T];
  /** What it says is there from now on; fulfilled once it would outlast a crash. Takes over the rows. */
  write(changes: Changes, tally: Tally): Promise<void>;
  close(): Promise<void>;
}

/** When each row was put, by id, oldest first. */
export type Index = { readonly [T in Table]: Map<string, number> };

/** Rows on a shelf that has `index` and `tally` at the start. */
export function embedded(shelf: Shelf, index: Index, tally: Tally): Backend {
  return new Embedded(shelf, index, tally);
}

class Embedded implements Backend, Ground {
  readonly isShared = false;
  readonly #shelf: Shelf;
  readonly #index: Index;
  /** As of the latest work, and as of the latest that would outlast a crash. */
  #tally: Tally;
  #durable: Tally;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(shelf: Shelf, index: Index, tally: Tally) {
    this.#shelf = shelf;
    this.#index = index;
    this.#tally = tally;
    this.#durable = tally;
  }

  get failure(): StoreError | undefined {
    return this.#shelf.failure;
  }

  get tally(): Tally {
    return this.#durable;
  }

  size(table: Table): number {
    return this.#index[table].size;
  }

  async transact<T>(work: (records: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError("ERR_STORE_CLOSED", "the key store is closed");
    const turn = this.#last.then(async () => {
      const records = new Work(this, this.#tally);
      const result = await work(records);
      // The next piece of work need not wait until this one is on the disk: it is written after it.
      return { result, written: this.#apply(records) };
    });
    this.#last = turn.catch(() => undefined);
    const { result, written } = await turn;
    await written;
    return result;
  }

  async has(table: Table, id: string): Promise<boolean> {
    return this.#index[table].has(id);
  }

  async get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined> {
    return this.#index[table].has(id) ? this.#shelf.read(table, id) : undefined;
  }

  async oldest(table: Table, count: number, until: number): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [id, at] of this.#index[table]) {
      if (at > until || found.length >= count) break;
      found.push(id);
    }
    return found;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    await this.#shelf.close();
    for (const table of TABLES) this.#index[table].clear();
  }

  async #apply({ changes, tally, changed, callbacks }: Work): Promise<void> {
    if (!changed) return runAll(callbacks);
    for (const table of TABLES) {
      for (const [id, row] of changes[table]) {
        if (row === undefined) this.#index[table].delete(id);
        else this.#index[table].set(id, row.at);
      }
    }
    this.#tally = tally;
    runAll(callbacks);
    await this.#shelf.write(changes, tally);
    this.#durable = tally;
  }
}

function runAll(callbacks: readonly (() => void)[]): void {
  for (const callback of callbacks) callback();
}
