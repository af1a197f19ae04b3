/** The seam between the rules of a key store and the place where its records lie. */

import type { StoreError } from "../protocol/errors.ts";

/** A block of key that nobody has used. Whoever is handed a row owns its key and wipes it. */
export interface BlockRow {
  readonly key: Uint8Array;
  /** When it was put here, in milliseconds. */
  readonly at: number;
}

/** A key that waits for the slave SAEs it was made for. */
export interface HeldRow extends BlockRow {
  readonly master: string;
  readonly slaves: readonly string[];
  readonly waiting: readonly string[];
  /** Blocks that it was made of, as long as nobody has taken it; then 0, for they are counted. */
  readonly blocks: number;
}

/** A key that was announced to the other end, and about which we do not know yet whether that end holds it. */
export interface DoubtRow extends BlockRow {
  readonly blocks: readonly string[];
}

/** What is in each table, by id: blocks to issue from, blocks that the other end issues from, and keys. */
export interface Rows {
  readonly outgoing: BlockRow;
  readonly incoming: BlockRow;
  readonly held: HeldRow;
  readonly doubt: DoubtRow;
}

export type Table = keyof Rows;
export const TABLES: readonly Table[] = ["outgoing", "incoming", "held", "doubt"];

/**
 * What became of the blocks that the link ever put here, each counted once:
 * made = the blocks in outgoing and incoming + waiting + doubtful + delivered + expired + wasted + lost.
 */
export interface Tally {
  readonly made: number;
  /** In keys that wait for a slave SAE, none of which has taken them. */
  readonly waiting: number;
  /** In keys whose announcement is in doubt. */
  readonly doubtful: number;
  /** In keys that were given to an SAE, or were about to be when the process ended. */
  readonly delivered: number;
  /** Too old, as stock or as keys that nobody fetched. */
  readonly expired: number;
  /** In keys that were pushed out by later ones. */
  readonly wasted: number;
  /** In keys whose announcement failed, and blocks that the other end lacks. */
  readonly lost: number;
}

export const NOTHING: Tally = {
  made: 0,
  waiting: 0,
  doubtful: 0,
  delivered: 0,
  expired: 0,
  wasted: 0,
  lost: 0,
};

/** The rows that work leaves behind; undefined for a row that goes. */
export type Changes = { readonly [T in Table]: ReadonlyMap<string, Rows[T] | undefined> };

/** Rows that a piece of work is going to look at: where reading takes a while, they are read together beforehand. */
export type Wanted = { readonly [T in Table]?: readonly string[] };

/** What one piece of work sees and changes; its own changes it sees at once. */
export interface Transaction {
  size(table: Table): Promise<number>;
  has(table: Table, id: string): Promise<boolean>;
  /** A copy of the row. */
  get<T extends Table>(table: T, id: string): Promise<Rows[T] | undefined>;
  /** The ids that were put first, oldest first: at most `count`, none put after the moment `until`. */
  oldest(table: Table, count: number, until?: number): Promise<readonly string[]>;
  put<T extends Table>(table: T, id: string, row: Rows[T]): void;
  /** Its key is wiped. */
  remove(table: Table, id: string): void;
  count(what: keyof Tally, by: number): void;
  /** Called at the moment when everybody else sees the changes; not when the work fails. */
  afterwards(callback: () => void): void;
}

/** Where records lie. */
export interface Backend {
  /** True when other processes may be at work on the same records. */
  readonly isShared: boolean;
  /**
   * Does a piece of work alone: all of its changes happen or none, and they outlast a crash from the moment when
   * the promise is fulfilled. Rejects with what the work throws, or with StoreError.
   */
  transact<T>(work: (records: Transaction) => Promise<T>, wanted?: Wanted): Promise<T>;
  /** Rows in a table, as far as this process knows: as of its latest work. */
  size(table: Table): number;
  /** Why nothing can be read or written now, or ever again; undefined as long as it can. */
  readonly failure: StoreError | undefined;
  /** What is counted durably, as far as this process knows. */
  readonly tally: Tally;
  /** Waits for what is under way; then nothing is possible any more. */
  close(): Promise<void>;
}
