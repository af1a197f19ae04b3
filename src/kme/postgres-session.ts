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

/** A process does one transaction after the other on a store. */
const MOST_CONNECTIONS = 1;

/**
 * Throws UsageError when the text is no address of a PostgreSQL database, or does not say whether TLS guards the way to
 * another machine. It may hold a password, which is not shown.
 */
export function sessions(url: string, timeoutMs: number): Sessions {
  const shown = withoutPassword(url);
  demandTls(url, shown);
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

/**
 * Records are sealed, but who answers in the server's place can show an old state, and have a key given twice. The driver's
 * own default is no TLS.
 */
function demandTls(url: string, shown: string): void {
  const { hostname, searchParams } = new URL(url);
  const named = searchParams.get("host") ?? decodeURIComponent(hostname);
  const host = named === "" ? (process.env["PGHOST"] ?? "localhost") : named;
  if (/^(?:\/.*|localhost|127(?:\.\d+){3}|\[?::1\]?)$/.test(host)) return;
  const isSaid = ["sslmode", "ssl"].some((name) => searchParams.has(name)) || "PGSSLMODE" in process.env;
  if (isSaid) return;
  const text = `${shown} is on another machine: give sslmode=verify-full, or sslmode=disable where nobody else can be`;
  throw new UsageError("ERR_OPTION_MISSING", text, { option: "url" });
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
