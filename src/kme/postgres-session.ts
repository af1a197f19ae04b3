/** Connections to a PostgreSQL server, one transaction each time, and what its errors mean for a store. */

import { type ClientBase, Pool } from "pg";
import { QkdTlsError, StoreError, UsageError } from "../protocol/errors.ts";

/** In a transaction. */
export type Client = Pick<ClientBase, "query">;

export interface Sessions {
  /** The address without its password, for people. */
  readonly shown: string;
  /**
   * Does work in a transaction and commits it; what fails is rolled back. Rejects with what the work throws, if that is an
   * error of ours, or with StoreError.
   */
  transaction<T>(work: (client: Client) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Two let the next transaction wait for its turn at the server while the last one is being written. */
const MOST_CONNECTIONS = 2;

/** Throws UsageError when the text is no address of a PostgreSQL database; it may hold a password, which is not shown. */
export function sessions(url: string, timeoutMs: number): Sessions {
  const shown = withoutPassword(url);
  const pool = new Pool({
    connectionString: url,
    max: MOST_CONNECTIONS,
    connectionTimeoutMillis: timeoutMs,
    // Our own patience ends later than the server's, which is heard of when all is well.
    query_timeout: 2 * timeoutMs,
    keepAlive: true,
    application_name: "qkd-tls kme",
  });
  // A connection that fails while nobody uses it is replaced by the next one.
  pool.on("error", () => undefined);
  let isClosed = false;

  const transaction = async <T>(work: (client: Client) => Promise<T>): Promise<T> => {
    if (isClosed) throw new StoreError("ERR_STORE_CLOSED", "the key store is closed");
    const client = await pool.connect().catch((error: unknown) => {
      throw explain(shown, error);
    });
    // What it fails with reaches the query that is under way.
    const ignore = (): void => undefined;
    client.on("error", ignore);
    let isSound = false;
    try {
      await client.query(begin(timeoutMs));
      const result = await work(client);
      const { command } = await client.query("COMMIT");
      // Of a transaction that failed a COMMIT makes a ROLLBACK, without an error.
      if (command !== "COMMIT")
        throw new StoreError("ERR_STORE_UNWRITABLE", `the store ${shown} rolled back`);
      isSound = true;
      return result;
    } catch (error) {
      throw explain(shown, error);
    } finally {
      client.off("error", ignore);
      // The server rolls back what a connection that ends has not committed.
      client.release(!isSound);
    }
  };
  return {
    shown,
    transaction,
    async close() {
      isClosed = true;
      await pool.end();
    },
  };
}

/**
 * Each command sees what was committed before it began, so what is read after the lock on a store is what the last holder
 * left. PostgreSQL documentation §13.2.1. Set for each transaction, since the server's own settings may be otherwise, and
 * a pooler between may change the server's session.
 */
const begin = (timeoutMs: number): string => `
  BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
  SET LOCAL synchronous_commit = on;
  SET LOCAL statement_timeout = ${timeoutMs};
  SET LOCAL lock_timeout = ${timeoutMs};
  SET LOCAL idle_in_transaction_session_timeout = ${timeoutMs}`;

function withoutPassword(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(?:ql)?:$/.test(url.protocol) || !/^\w+:\/\//.test(text)) {
    throw new UsageError("ERR_OPTION_INVALID", "the store's URL must be postgres://user@host/database", {
      option: "url",
    });
  }
  const { protocol, username, host, pathname } = url;
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname}`;
}

/** Classes of SQLSTATE (PostgreSQL documentation, Appendix A): no room, no right to, read only, nothing there. */
const UNWRITABLE = /^(?:53[14]|42501|25006|55)/;
const CORRUPT = /^(?:42P01|42703|3F000|23|XX)/;

/** Never holds the password, nor what was sent. */
function explain(shown: string, error: unknown): Error {
  if (error instanceof QkdTlsError) return error;
  if (!(error instanceof Error)) return new StoreError("ERR_STORE_UNREACHABLE", `the store ${shown} failed`);
  const code = String(Reflect.get(error, "code") ?? error.message);
  const make = (kind: StoreError["code"], fault: string): StoreError =>
    new StoreError(kind, `the store ${shown} ${fault} (${code})`, { cause: error });
  if (UNWRITABLE.test(code)) return make("ERR_STORE_UNWRITABLE", "cannot be written");
  if (CORRUPT.test(code)) return make("ERR_STORE_CORRUPT", "is damaged");
  if (code.startsWith("28")) return make("ERR_STORE_UNREACHABLE", "refuses the login");
  return make("ERR_STORE_UNREACHABLE", "cannot be reached");
}
