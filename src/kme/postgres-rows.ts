/** The rows of one store in a PostgreSQL database, within one transaction that holds the store's lock. */

import { utf8, wipe } from "../protocol/bytes.ts";
import { StoreError } from "../protocol/errors.ts";
import type { Client } from "./postgres-session.ts";
import { type Changes, type Rows, type Table, TABLES, type Tally, type Wanted } from "./records.ts";
import { decodeRow, encodeRow } from "./row.ts";
import { addPrint, dropPrint, fingerprint, type Sealer } from "./sealer.ts";
import { isTally, jsonObject } from "./format.ts";
import type { Ground } from "./transaction.ts";

/** How large a store is, what its sealed rows sum to, and what became of its blocks. It lies in the store, sealed. */
export interface Head {
  readonly sizes: Readonly<Record<Table, number>>;
  readonly sum: number;
  readonly tally: Tally;
}

/** A store within the database. */
export interface Shelfmark {
  readonly name: string;
  readonly id: string;
  readonly sealer: Sealer;
}

const HEAD = "head";
const aad = (store: string, place: string): string => `${store}!${place}`;

export function sealHead({ id, sealer }: Shelfmark, head: Head): Uint8Array {
  return sealer.seal(utf8(JSON.stringify(head)), aad(id, HEAD));
}

export function openHead({ name, id, sealer }: Shelfmark, sealed: Uint8Array): Head {
  const bytes = sealer.open(sealed, aad(id, HEAD));
  const { sizes, sum, tally } = (bytes && jsonObject(bytes)) ?? {};
  if (typeof sum !== "number" || !isTally(tally) || !isSizes(sizes)) {
    throw corrupt(name, "its head record cannot be read");
  }
  return { sizes, sum, tally };
}

export function openRow<T extends Table>(
  { id: store, sealer }: Shelfmark,
  { table, id, sealed }: { readonly table: T; readonly id: string; readonly sealed: Uint8Array },
): Rows[T] | undefined {
  const bytes = sealer.open(sealed, aad(store, `${table}!${id}`));
  const row = bytes && decodeRow(table, bytes);
  wipe(bytes);
  return row;
}

export const corrupt = (name: string, fault: string): StoreError =>
  new StoreError("ERR_STORE_CORRUPT", `the store ${name} is damaged: ${fault}`);

/** Reads once, and keeps what it read for as long as the transaction lasts. */
export class PostgresRows implements Ground {
  readonly #client: Client;
  readonly #store: Shelfmark;
  readonly #head: Head;
  #failure: unknown;
  /** When the oldest row was put, where there is any. */
  readonly #first: Readonly<Partial<Record<Table, number>>>;
  /** As they lie there; undefined for what is known not to be there. */
  readonly #sealed: Record<Table, Map<string, Buffer | undefined>> = {
    outgoing: new Map(),
    incoming: new Map(),
    held: new Map(),
    doubt: new Map(),
  };

  /** Locks the store, and waits for whoever has it locked. */
  static async lock(client: Client, store: Shelfmark): Promise<PostgresRows> {
    const { rows } = await client.query<{ id: string; head: Buffer }>(
      "SELECT id, head FROM qkd_tls.store WHERE name = $1 FOR UPDATE",
      [store.name],
    );
    const [found] = rows;
    if (found?.id !== store.id) throw corrupt(store.name, "it is not the one that was opened");
    // A command of its own: the one above began before the lock was ours.
    const ages = TABLES.map(
      (table) => `(SELECT min(at) FROM qkd_tls.record WHERE store = $1 AND kind = '${table}') AS ${table}`,
    );
    const first = await client.query<Record<Table, number | null>>(`SELECT ${ages.join()}`, [store.name]);
    return new PostgresRows(client, store, openHead(store, found.head), first.rows[0]);
  }

  private constructor(
    client: Client,
    store: Shelfmark,
    head: Head,
    first: Readonly<Record<Table, number | null>> | undefined,
  ) {
    this.#client = client;
    this.#store = store;
    this.#head = head;
    const there = Object.entries(first ?? {}).filter(([, at]) => at !== null);
    this.#first = Object.fromEntries(there);
  }

  /** Why nothing more is possible in this transaction, whatever the work made of it. */
  get failure(): unknown {
    return this.#failure;
  }

  get head(): Head {
    return this.#head;
  }

  size(table: Table): number {
    return this.#head.sizes[table];
  }

  async has(table: Table, id: string): Promise<boolean> {
    return (await this.#find(table, id)) !== undefined;
  }

  async get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined> {
    const sealed = await this.#find(table, id);
    if (sealed === undefined) return undefined;
    const row = openRow(this.#store, { table, id, sealed });
    if (row !== undefined) return row;
    this.#failure ??= corrupt(this.#store.name, `a record of ${table} cannot be read`);
    throw this.#failure;
  }

  async oldest(table: Table, count: number, until: number): Promise<readonly string[]> {
    const first = this.#first[table];
    if (count <= 0 || first === undefined || first > until) return [];
    const { rows } = await this.#noting(
      this.#client.query<{ id: string; sealed: Buffer }>(
        `SELECT id, sealed FROM qkd_tls.record WHERE store = $1 AND kind = $2 AND at <= $3
       ORDER BY at, seq LIMIT $4`,
        [this.#store.name, table, until, Number.isFinite(count) ? count : null],
      ),
    );
    for (const { id, sealed } of rows) this.#sealed[table].set(id, sealed);
    return rows.map(({ id }) => id);
  }

  async fetch(wanted: Wanted): Promise<void> {
    for (const table of TABLES) {
      const ids = (wanted[table] ?? []).filter((id) => !this.#sealed[table].has(id));
      if (ids.length === 0) continue;
      const { rows } = await this.#noting(
        this.#client.query<{ id: string; sealed: Buffer }>(
          "SELECT id, sealed FROM qkd_tls.record WHERE store = $1 AND kind = $2 AND id = ANY($3)",
          [this.#store.name, table, ids],
        ),
      );
      for (const id of ids) this.#sealed[table].set(id, undefined);
      for (const { id, sealed } of rows) this.#sealed[table].set(id, sealed);
    }
  }

  /** Seals the rows, and wipes their keys. */
  async write(changes: Changes, tally: Tally): Promise<Head> {
    let { sum } = this.#head;
    const sizes = { ...this.#head.sizes };
    for (const { table, sealed } of await this.#remove(changes)) {
      sum = dropPrint(sum, fingerprint(sealed));
      sizes[table]--;
    }
    for (const { table, sealed } of await this.#insert(changes)) {
      sum = addPrint(sum, fingerprint(sealed));
      sizes[table]++;
    }
    const head = { sizes, sum, tally };
    await this.#client.query("UPDATE qkd_tls.store SET head = $2 WHERE name = $1", [
      this.#store.name,
      sealHead(this.#store, head),
    ]);
    return head;
  }

  /** Takes out what goes, and what is put anew. */
  async #remove(changes: Changes): Promise<readonly Sealed[]> {
    const tables: Table[] = [];
    const ids: string[] = [];
    let known = 0;
    for (const table of TABLES) {
      for (const [id, row] of changes[table]) {
        const isThere = this.#sealed[table].get(id) !== undefined;
        // What was neither read nor taken away cannot be there: then its id would come twice, which fails.
        if (row !== undefined && !isThere) continue;
        tables.push(table);
        ids.push(id);
        known += Number(isThere);
      }
    }
    if (ids.length === 0) return [];
    const { rows } = await this.#client.query<Sealed>(
      `DELETE FROM qkd_tls.record AS record USING unnest($2::text[], $3::text[]) AS gone (kind, id)
       WHERE record.store = $1 AND record.kind = gone.kind AND record.id = gone.id
       RETURNING record.kind AS table, record.sealed`,
      [this.#store.name, tables, ids],
    );
    // Whoever holds the lock is alone. If not, what we read may have been given to somebody else.
    if (rows.length < known) throw corrupt(this.#store.name, "its records are changed without its lock");
    return rows;
  }

  async #insert(changes: Changes): Promise<readonly Sealed[]> {
    const rows: (Sealed & { readonly id: string; readonly at: number })[] = [];
    for (const table of TABLES) {
      for (const [id, row] of changes[table]) {
        if (row === undefined) continue;
        const sealed = this.#store.sealer.seal(encodeRow(row), aad(this.#store.id, `${table}!${id}`));
        wipe(row.key);
        rows.push({ table, id, at: row.at, sealed: Buffer.from(sealed.buffer) });
      }
    }
    if (rows.length === 0) return rows;
    await this.#client.query(
      `INSERT INTO qkd_tls.record (store, kind, id, at, sealed)
       SELECT $1, * FROM unnest($2::text[], $3::text[], $4::float8[], $5::bytea[])`,
      [
        this.#store.name,
        rows.map(({ table }) => table),
        rows.map(({ id }) => id),
        rows.map(({ at }) => at),
        rows.map(({ sealed }) => sealed),
      ],
    );
    return rows;
  }

  /** Whatever the work makes of a failure, it is one. */
  async #noting<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  async #find(table: Table, id: string): Promise<Buffer | undefined> {
    if (!this.#sealed[table].has(id)) await this.fetch({ [table]: [id] });
    return this.#sealed[table].get(id);
  }
}

interface Sealed {
  readonly table: Table;
  readonly sealed: Buffer;
}

function isSizes(value: unknown): value is Record<Table, number> {
  if (typeof value !== "object" || value === null) return false;
  return TABLES.every((table) => Number.isSafeInteger(Reflect.get(value, table)));
}
