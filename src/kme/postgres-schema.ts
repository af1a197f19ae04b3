/** What a PostgreSQL database has to hold before a store can be used, and whether what it holds is sound. */

import { randomUUID } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import { StoreError } from "../protocol/errors.ts";
import { type Content, kindOf, VERSION, wordsOf } from "./format.ts";
import { corrupt, type Head, openHead, openRow, sealHead, type Shelfmark } from "./postgres-rows.ts";
import type { Client } from "./postgres-session.ts";
import { NOTHING, type Table, TABLES } from "./records.ts";
import { addPrint, fingerprint, type Sealer } from "./sealer.ts";

/** Any number, as long as all processes take the same: who makes the tables does it alone. */
const MAKING = 0x9846_014n;
/** Rows that are read at once. */
const PAGE = 5000;

const TABLES_OF_OURS = `
  CREATE SCHEMA IF NOT EXISTS qkd_tls;
  CREATE TABLE qkd_tls.layout (version integer NOT NULL);
  INSERT INTO qkd_tls.layout VALUES (${VERSION});
  CREATE TABLE qkd_tls.store (
    name text PRIMARY KEY,
    id text NOT NULL,
    block_bytes integer NOT NULL,
    simulated boolean NOT NULL,
    word text NOT NULL,
    head bytea NOT NULL
  ) WITH (fillfactor = 20);
  CREATE TABLE qkd_tls.record (
    store text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    at double precision NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    sealed bytea NOT NULL,
    PRIMARY KEY (store, kind, id)
  );
  CREATE INDEX record_by_age ON qkd_tls.record (store, kind, at, seq)`;

/**
 * Finds a store, or begins it, and its tables before. Every record is read and checked. Throws StoreError, whose code says
 * what is wrong.
 */
export async function openStore(
  client: Client,
  { name, sealer, content }: { readonly name: string; readonly sealer: Sealer; readonly content: Content },
): Promise<{ readonly store: Shelfmark; readonly head: Head }> {
  await demandDurable(client, name);
  await client.query(`SELECT pg_advisory_xact_lock(${MAKING})`);
  await makeTables(client, name);
  const { rows } = await client.query<StoreRow>("SELECT * FROM qkd_tls.store WHERE name = $1 FOR UPDATE", [
    name,
  ]);
  const [found] = rows;
  if (found === undefined) return begin(client, { name, sealer, id: randomUUID() }, content);
  const { id, block_bytes: blockBytes, simulated, word, head: sealed } = found;
  if (word !== sealer.check(wordsOf(id, { blockBytes, simulated }))) {
    throw new StoreError("ERR_STORE_KEY", `the key is not that of the store ${name}`);
  }
  if (blockBytes !== content.blockBytes || simulated !== content.simulated) {
    const text = `the store ${name} holds ${kindOf({ blockBytes, simulated })}, and the link makes ${kindOf(content)}`;
    throw new StoreError("ERR_STORE_MISMATCH", text);
  }
  const store = { name, id, sealer };
  const head = openHead(store, sealed);
  await checkRows(client, store, head);
  return { store, head };
}

interface StoreRow {
  readonly id: string;
  readonly block_bytes: number;
  readonly simulated: boolean;
  readonly word: string;
  readonly head: Buffer;
}

/** A server that does not write to its disk before it says so gives keys twice after a power cut. */
async function demandDurable(client: Client, name: string): Promise<void> {
  for (const setting of ["fsync", "full_page_writes"]) {
    const { rows } = await client.query<{ value: string }>("SELECT current_setting($1) AS value", [setting]);
    if (rows[0]?.value === "on") continue;
    const text = `the store ${name} lies on a server with ${setting} off: keys could come again after a power cut`;
    throw new StoreError("ERR_STORE_UNWRITABLE", text);
  }
}

async function makeTables(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ layout: string | null; store: string | null; record: string | null }>(
    `SELECT to_regclass('qkd_tls.layout') AS layout, to_regclass('qkd_tls.store') AS store,
            to_regclass('qkd_tls.record') AS record`,
  );
  const found = Object.values(rows[0] ?? {}).filter((each) => each !== null).length;
  if (found === 0) {
    await client.query(TABLES_OF_OURS);
    return;
  }
  if (found < 3) throw corrupt(name, "tables are gone");
  const layout = await client.query<{ version: number }>("SELECT version FROM qkd_tls.layout");
  const [version] = layout.rows;
  if (version === undefined || layout.rows.length > 1) throw corrupt(name, "it has no version");
  if (version.version !== VERSION) {
    const text = `the store ${name} has format ${version.version}, and this software knows ${VERSION}`;
    throw new StoreError("ERR_STORE_VERSION", text);
  }
}

async function begin(
  client: Client,
  store: Shelfmark,
  content: Content,
): Promise<{ readonly store: Shelfmark; readonly head: Head }> {
  const head: Head = { sizes: { outgoing: 0, incoming: 0, held: 0, doubt: 0 }, sum: 0, tally: NOTHING };
  await checkRows(client, store, head);
  const { blockBytes, simulated } = content;
  const word = store.sealer.check(wordsOf(store.id, content));
  await client.query("INSERT INTO qkd_tls.store VALUES ($1, $2, $3, $4, $5, $6)", [
    store.name,
    store.id,
    blockBytes,
    simulated,
    word,
    sealHead(store, head),
  ]);
  return { store, head };
}

/** Every row opens under its own id, there are as many as there should be, and none is an older one put back. */
async function checkRows(client: Client, store: Shelfmark, head: Head): Promise<void> {
  const sizes: Record<Table, number> = { outgoing: 0, incoming: 0, held: 0, doubt: 0 };
  let sum = 0;
  let last = { kind: "", id: "" };
  for (;;) {
    const { rows } = await client.query<{ kind: string; id: string; at: number; sealed: Buffer }>(
      `SELECT kind, id, at, sealed FROM qkd_tls.record WHERE store = $1 AND (kind, id) > ($2, $3)
       ORDER BY kind, id LIMIT ${PAGE}`,
      [store.name, last.kind, last.id],
    );
    for (const { kind, id, at, sealed } of rows) {
      const table = TABLES.find((each) => each === kind);
      const row = table && openRow(store, { table, id, sealed });
      wipe(row?.key);
      if (table === undefined || row?.at !== at) {
        throw corrupt(store.name, "it holds a record that cannot be read");
      }
      sizes[table]++;
      sum = addPrint(sum, fingerprint(sealed));
    }
    const end = rows.at(-1);
    if (end === undefined) break;
    last = end;
  }
  const isWhole = sum === head.sum && TABLES.every((table) => sizes[table] === head.sizes[table]);
  if (!isWhole) throw corrupt(store.name, "its records do not add up");
}
