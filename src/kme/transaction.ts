/** A piece of work whose changes are only noted down, until somebody makes all of them or none. */

import { wipe } from "../protocol/bytes.ts";
import { type Rows, type Table, TABLES, type Tally, type Transaction } from "./records.ts";

/** What a piece of work stands on: the records as they were before it. */
export interface Ground {
  size(table: Table): number | Promise<number>;
  has(table: Table, id: string): Promise<boolean>;
  /** A copy of the row. */
  get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined>;
  /** The ids that were put first, oldest first: at most `count`, none put after the moment `until`. */
  oldest(table: Table, count: number, until: number): Promise<readonly string[]>;
}

export class Work implements Transaction, Ground {
  readonly changes: { readonly [T in Table]: Map<string, Rows[T] | undefined> } = {
    outgoing: new Map(),
    incoming: new Map(),
    held: new Map(),
    doubt: new Map(),
  };
  readonly callbacks: (() => void)[] = [];
  changed = false;
  readonly #ground: Ground;
  #tally: Tally;

  constructor(ground: Ground, tally: Tally) {
    this.#ground = ground;
    this.#tally = tally;
  }

  get tally(): Tally {
    return this.#tally;
  }

  async size(table: Table): Promise<number> {
    let size = await this.#ground.size(table);
    for (const [id, row] of this.changes[table]) {
      size += Number(row !== undefined) - Number(await this.#ground.has(table, id));
    }
    return size;
  }

  async has(table: Table, id: string): Promise<boolean> {
    const changes = this.changes[table];
    return changes.has(id) ? changes.get(id) !== undefined : this.#ground.has(table, id);
  }

  async get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined> {
    const changes = this.changes[table];
    if (changes.has(id)) {
      const row = changes.get(id);
      return row && { ...row, key: new Uint8Array(row.key) };
    }
    return this.#ground.get(table, id);
  }

  async oldest(table: Table, count: number, until = Infinity): Promise<readonly string[]> {
    if (count <= 0) return [];
    const changes = this.changes[table];
    const before = await this.#ground.oldest(table, count + changes.size, until);
    const found = before.filter((id) => !changes.has(id) || changes.get(id) !== undefined).slice(0, count);
    const known = new Set(before);
    for (const [id, row] of changes) {
      if (found.length >= count) break;
      if (row === undefined || row.at > until || known.has(id)) continue;
      if (!(await this.#ground.has(table, id))) found.push(id);
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

  /** Takes over what a later piece of work, which stood on this one, has noted down. */
  adopt(later: Work): void {
    for (const table of TABLES) adoptTable(this.changes[table], later.changes[table]);
    this.#tally = later.#tally;
    this.changed ||= later.changed;
    this.callbacks.push(...later.callbacks);
  }

  /** Wipes the keys of what was never made. */
  wipe(): void {
    for (const table of TABLES) for (const row of this.changes[table].values()) wipe(row?.key);
  }
}

function adoptTable<Row extends { readonly key: Uint8Array }>(
  changes: Map<string, Row | undefined>,
  later: ReadonlyMap<string, Row | undefined>,
): void {
  for (const [id, row] of later) {
    wipe(changes.get(id)?.key);
    changes.set(id, row);
  }
}
