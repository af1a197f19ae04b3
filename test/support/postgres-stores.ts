/** Stores in a PostgreSQL server of the test file's own, each test with an empty database. */

import { afterAll, afterEach, beforeEach } from "vitest";
import type { Content } from "../../src/kme/format.ts";
import { type PostgresOptions, postgresBackend } from "../../src/kme/postgres.ts";
import type { Backend } from "../../src/kme/records.ts";
import { postgresServer, type PostgresServer } from "./postgres.ts";

export const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);
export const CONTENT: Content = { blockBytes: 8, simulated: true };
export const SECRET = Uint8Array.from(Buffer.from("8Bytes!!"));
export const block = (at: number) => ({ key: new Uint8Array(SECRET), at });
export const held = (waiting: string[]) => ({ master: "the-master", slaves: ["s", "t"], waiting, blocks: 1 });

export const put = (backend: Backend, ...ids: string[]): Promise<void> =>
  backend.transact(async (records) => {
    for (const [at, id] of ids.entries()) records.put("outgoing", id, block(at));
    records.count("made", ids.length);
  });
export const ids = (backend: Backend): Promise<readonly string[]> =>
  backend.transact((records) => records.oldest("outgoing", Infinity));

export interface PostgresStores {
  /** False where no server runs, which was said: then there is nothing to test. */
  readonly isThere: boolean;
  readonly server: PostgresServer;
  readonly url: () => string;
  readonly sql: (text: string) => Promise<Record<string, unknown>[]>;
  /** Closed after the test. */
  readonly open: (options?: Partial<PostgresOptions>, content?: Content) => Promise<Backend>;
  readonly closeLater: (store: { close(): Promise<void> }) => void;
}

export async function postgresStores(): Promise<PostgresStores> {
  const started = await postgresServer();
  const isThere = typeof started !== "string";
  if (!isThere) console.log(`no test of stores in PostgreSQL: ${started}`);
  const server = started as PostgresServer; // without it every test is skipped
  let database = "";
  const opened: { close(): Promise<void> }[] = [];
  beforeEach(async () => void (database = isThere ? await server.database() : ""));
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  afterAll(() => (isThere ? server.close() : undefined));
  return {
    isThere,
    server,
    url: () => server.url(database),
    sql: (text) => server.sql(text, database),
    open: async (options = {}, content = CONTENT) => {
      const backend = await postgresBackend({ url: server.url(database), key: KEY, ...options }, content);
      opened.push(backend);
      return backend;
    },
    closeLater: (store) => void opened.push(store),
  };
}
