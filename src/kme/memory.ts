/** Records in memory: for tests, and for a KME that may forget. */

import { wipe } from "../protocol/bytes.ts";
import { StoreError } from "../protocol/errors.ts";
import { embedded, type Index, type Shelf } from "./embedded.ts";
import { type Backend, type Changes, NOTHING, type Rows, type Table, TABLES } from "./records.ts";

/** An empty backend whose records end with the process, and are wiped when it closes. */
export function memoryBackend(): Backend {
  return embedded(new MemoryShelf(), emptyIndex(), NOTHING);
}

export const emptyIndex = (): Index => ({
  outgoing: new Map(),
  incoming: new Map(),
  held: new Map(),
  doubt: new Map(),
});

class MemoryShelf implements Shelf {
  readonly #rows: { readonly [T in Table]: Map<string, Rows[T]> } = {
    outgoing: new Map(),
    incoming: new Map(),
    held: new Map(),
    doubt: new Map(),
  };

  read<T extends Table>(table: T, id: string): Rows[T] {
    const row = this.#rows[table].get(id);
    if (row === undefined) throw new StoreError("ERR_STORE_CORRUPT", "a record in memory is gone");
    return { ...row, key: new Uint8Array(row.key) };
  }

  async write(changes: Changes): Promise<void> {
    for (const table of TABLES) this.#writeTable(table, changes[table]);
  }

  async close(): Promise<void> {
    for (const table of TABLES) {
      for (const { key } of this.#rows[table].values()) wipe(key);
      this.#rows[table].clear();
    }
  }

  #writeTable<T extends Table>(table: T, changes: ReadonlyMap<string, Rows[T] | undefined>): void {
    const rows: Map<string, Rows[T]> = this.#rows[table];
    for (const [id, row] of changes) {
      wipe(rows.get(id)?.key);
      if (row === undefined) rows.delete(id);
      else rows.set(id, row);
    }
  }
}
