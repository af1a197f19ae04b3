/** A backend for one process: work is done one piece after the other, upon an index in memory. */

import { StoreError } from "../protocol/errors.ts";
import { type Backend, type Rows, type Table, TABLES, type Tally, type Transaction } from "./records.ts";

/** The rows that one piece of work leaves behind; undefined for a row that goes. */
export type Changes = { readonly [T in Table]: ReadonlyMap<string, Rows[T] | undefined> };

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

class Embedded implements Backend {
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
      const records = new Work(this.#shelf, this.#index, this.#tally);
      const result = await work(records);
      // The next piece of work need not wait until this one is on the disk: it is written after it.
      return { result, written: this.#apply(records) };
    });
    this.#last = turn.catch(() => undefined);
    const { result, written } = await turn;
    await written;
    return result;
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

/** Changes that are only noted down. */
class Work implements Transaction {
  readonly changes: { readonly [T in Table]: Map<string, Rows[T] | undefined> } = {
    outgoing: new Map(),
    incoming: new Map(),
    held: new Map(),
    doubt: new Map(),
  };
  readonly callbacks: (() => void)[] = [];
  changed = false;
  readonly #shelf: Shelf;
  readonly #index: Index;
  #tally: Tally;

  constructor(shelf: Shelf, index: Index, tally: Tally) {
    this.#shelf = shelf;
    this.#index = index;
    this.#tally = tally;
  }

  get tally(): Tally {
    return this.#tally;
  }

  async size(table: Table): Promise<number> {
    let size = this.#index[table].size;
    for (const [id, row] of this.changes[table]) {
      size += Number(row !== undefined) - Number(this.#index[table].has(id));
    }
    return size;
  }

  async has(table: Table, id: string): Promise<boolean> {
    const changes = this.changes[table];
    return changes.has(id) ? changes.get(id) !== undefined : this.#index[table].has(id);
  }

  async get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined> {
    const changes = this.changes[table];
    if (changes.has(id)) {
      const row = changes.get(id);
      return row && { ...row, key: new Uint8Array(row.key) };
    }
    return this.#index[table].has(id) ? this.#shelf.read(table, id) : undefined;
  }

  async oldest(table: Table, count: number, until = Infinity): Promise<readonly string[]> {
    const found: string[] = [];
    if (count <= 0) return found;
    const changes = this.changes[table];
    for (const [id, at] of this.#index[table]) {
      if (at > until) break;
      if (changes.has(id) && changes.get(id) === undefined) continue;
      found.push(id);
      if (found.length >= count) return found;
    }
    const isNew = (id: string, at: number): boolean => at <= until && !this.#index[table].has(id);
    for (const [id, row] of changes) {
      if (found.length < count && row !== undefined && isNew(id, row.at)) found.push(id);
    }
    return found;
  }

  put<T extends Table>(table: T, id: string, row: Rows[T]): void {
    this.changes[table].set(id, row);
    this.changed = true;
  }

  remove(table: Table, id: string): void {
    this.changes[table].set(id, undefined);
    this.changed = true;
  }

  count(what: keyof Tally, by: number): void {
    if (by === 0) return;
    this.#tally = { ...this.#tally, [what]: this.#tally[what] + by };
    this.changed = true;
  }

  afterwards(callback: () => void): void {
    this.callbacks.push(callback);
  }
}
