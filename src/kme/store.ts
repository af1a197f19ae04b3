/** What a KME holds of one link: blocks not yet spent, and keys that wait for their slave SAEs. */

import { randomUUID } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import type { StoreError } from "../protocol/errors.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import type { Block, BlockSink, Direction, KeyFeed } from "./feed.ts";
import type { Issue, IssuedKey, IssueRequest, KmeLink, Recipe } from "./issue.ts";
import { Landing } from "./landing.ts";
import { memoryBackend } from "./memory.ts";
import { openPlace, type Place } from "./place.ts";
import type { Backend, HeldRow, Tally, Transaction, Wanted } from "./records.ts";
import { Settling, SETTLING_MS, succeeds } from "./settling.ts";
import { discard, forget, join } from "./spend.ts";

/**
 * One end of a link's keys. Every promise of it may reject with StoreError; then nothing was given out.
 * In a lasting place whatever a promise was fulfilled with outlasts a crash: keys were marked before they are handed out.
 */
export interface KeyStore {
  readonly simulated: boolean;
  readonly blockBytes: number;
  /** Blocks that we may issue from, and the most that fit. */
  readonly stored: number;
  readonly maxStored: number;
  /** Blocks that the other end may issue from; as many fit. */
  readonly storedIncoming: number;
  /** Why no key can be stored or delivered any more, such as a full disk; undefined as long as it can. */
  readonly failure: StoreError | undefined;
  /** What became of the blocks that were ever put here. */
  readonly counters: Tally;
  /** Where issues are announced; until then none is made. */
  connect(link: KmeLink): void;
  /** Compares notes with the other end now: what one end lacks goes at the other. False when it cannot be reached. */
  settle(): Promise<boolean>;
  /** Takes keys out of stock for a master SAE, once the other end holds them for the slaves. */
  issue(request: IssueRequest): Promise<readonly IssuedKey[] | "insufficient" | "unlinked">;
  /** Sets keys aside that the other end issues. False when this end lacks a block: then nobody gets the keys. */
  accept(issue: Issue): Promise<boolean>;
  /** Gives up keys that the other end is in doubt about, and their blocks. */
  withdraw(keys: readonly Recipe[]): Promise<void>;
  /** Gives up blocks that the other end does not name, and answers with those of its blocks that are not here. */
  agree(blocks: readonly string[]): Promise<readonly string[]>;
  /** Gives a slave SAE the keys it was named for, all or none, each once. */
  deliver(
    slave: string,
    master: string,
    ids: readonly string[],
  ): Promise<readonly IssuedKey[] | "unknown" | "unauthorized">;
  /** Wipes the stock, as a link that lost its key would. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly feed: KeyFeed;
  /** Blocks held each way; default 1000. */
  readonly maxStored?: number;
  /** How long a block may wait in stock before it is wiped; default 86400000 (a day). */
  readonly maxAgeMs?: number;
  /** Keys that wait for a slave SAE; beyond it the oldest is wiped. Default 10000. */
  readonly maxHeld?: number;
  /** How long a key waits for its slave SAEs; default 3600000 (an hour). The standard names no limit. */
  readonly holdMs?: number;
  /** Milliseconds that never go back, and go on across restarts; for tests. */
  readonly now?: () => number;
}

/** A store in memory, filled by `feed` from now on. Throws UsageError for options out of range. */
export function keyStore(options: StoreOptions): KeyStore {
  return new Store(options, memoryBackend());
}

/**
 * A store in a directory or a database, with what it held when it was last open. Throws UsageError like `keyStore`, and
 * StoreError when the place cannot be used: its code says why. Several processes may share one in a database.
 */
export async function openKeyStore(options: StoreOptions & { readonly place: Place }): Promise<KeyStore> {
  const { place, ...rest } = options;
  checked(rest);
  const { blockBytes, simulated } = rest.feed;
  return new Store(rest, await openPlace(place, { blockBytes, simulated }));
}

/** The end that issues drops a block first; the other end keeps it a little, for an issue that is on its way. */
const GRACE_MS = 60_000;
const SWEEP_MS = 1000;
class Store implements KeyStore, BlockSink {
  readonly simulated: boolean;
  readonly blockBytes: number;
  readonly maxStored: number;
  readonly #backend: Backend;
  readonly #feed: KeyFeed;
  readonly #maxAgeMs: number;
  readonly #maxHeld: number;
  readonly #holdMs: number;
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;
  readonly #landing: Landing;
  readonly #settling: Settling;
  #link: KmeLink | undefined;

  constructor(options: StoreOptions, backend: Backend) {
    const { maxStored, maxAgeMs, maxHeld, holdMs } = checked(options);
    this.#backend = backend;
    this.#landing = new Landing(backend);
    this.#feed = options.feed;
    this.simulated = options.feed.simulated;
    this.blockBytes = options.feed.blockBytes;
    this.maxStored = maxStored;
    this.#maxAgeMs = maxAgeMs;
    this.#maxHeld = maxHeld;
    this.#holdMs = holdMs;
    this.#now = options.now ?? (() => performance.timeOrigin + performance.now());
    this.#settling = new Settling({
      isShared: backend.isShared,
      now: this.#now,
      work: (wanted, work) => this.#work(wanted, work),
    });
    this.#sweeping = setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#feed.start(this);
  }

  get stored(): number {
    return this.#backend.size("outgoing") + this.#landing.size.outgoing;
  }

  get storedIncoming(): number {
    return this.#backend.size("incoming") + this.#landing.size.incoming;
  }

  get failure(): StoreError | undefined {
    return this.#backend.failure;
  }

  get counters(): Tally {
    return this.#backend.tally;
  }

  connect(link: KmeLink): void {
    this.#link = link;
    this.#settling.doubt();
  }

  room(direction: Direction): number {
    return this.maxStored - this.#backend.size(direction) - this.#landing.size[direction];
  }

  put(direction: Direction, block: Block): void {
    this.#landing.put(direction, block, this.#now());
  }

  landed(): Promise<void> {
    return this.#landing.landed();
  }

  async settle(): Promise<boolean> {
    this.#settling.doubt();
    return this.#link !== undefined && this.#settling.settle(this.#link);
  }

  async issue(request: IssueRequest): Promise<readonly IssuedKey[] | "insufficient" | "unlinked"> {
    const link = this.#link;
    if (link === undefined) return "unlinked";
    const { master, slaves, number, bytes } = request;
    // Of a shared store we know what it held a little while ago.
    if (!this.#backend.isShared && this.stored < number * this.#perKey(bytes)) return "insufficient";
    // While the other end is away no key is spent on it.
    if (!(await this.#settling.settle(link))) return "unlinked";
    const taken = await this.#take(number, bytes).catch((error: unknown) => {
      // It may have been written down all the same.
      this.#settling.doubt();
      throw error;
    });
    if (taken === undefined) return "insufficient";
    const { keys, recipes } = taken;
    try {
      const issue = { master, slaves, bytes, keys: recipes };
      if (await succeeds(() => link.announce(issue))) {
        if (await this.#release(recipes)) return keys;
      }
      // The other end may or may not hold them.
      this.#settling.fail(recipes);
      wipe(...keys.map(({ key }) => key));
      return "unlinked";
    } catch (error) {
      wipe(...keys.map(({ key }) => key));
      throw error;
    } finally {
      this.#settling.end(recipes);
    }
  }

  accept({ master, slaves, bytes, keys }: Issue): Promise<boolean> {
    const wanted = { held: keys.map(({ id }) => id), incoming: keys.flatMap(({ blocks }) => blocks) };
    return this.#work(wanted, async (records) => {
      await this.#expire(records);
      const built: IssuedKey[] = [];
      let isWhole = true;
      let spent = 0;
      for (const { id, blocks } of keys) {
        const { key, found } = await join(records, "incoming", blocks, bytes);
        spent += found;
        if (key !== undefined) built.push({ id, key });
        if (key === undefined || (await records.has("held", id))) isWhole = false;
      }
      if (!isWhole || new Set(built.map(({ id }) => id)).size !== keys.length) {
        wipe(...built.map(({ key }) => key));
        records.count("lost", spent);
        return false;
      }
      const at = this.#now();
      for (const [n, { id, key }] of built.entries()) {
        const blocks = keys[n]?.blocks.length ?? 0;
        records.put("held", id, { key, at, master, slaves, waiting: slaves, blocks });
      }
      records.count("waiting", spent);
      const tooMany = (await records.size("held")) - this.#maxHeld;
      for (const id of await records.oldest("held", tooMany)) await forget(records, id, "wasted");
      return true;
    });
  }

  withdraw(keys: readonly Recipe[]): Promise<void> {
    const wanted = { held: keys.map(({ id }) => id), incoming: keys.flatMap(({ blocks }) => blocks) };
    return this.#work(wanted, async (records) => {
      for (const { id, blocks } of keys) {
        await forget(records, id, "lost");
        // An announcement that is still on its way finds no blocks.
        await discard(records, "incoming", blocks, "lost");
      }
    });
  }

  agree(blocks: readonly string[]): Promise<readonly string[]> {
    const theirs = new Set(blocks);
    return this.#work({ incoming: blocks }, async (records) => {
      const settled = await records.oldest("incoming", Infinity, this.#now() - SETTLING_MS);
      const orphans = settled.filter((id) => !theirs.has(id));
      await discard(records, "incoming", orphans, "lost");
      const lacking: string[] = [];
      for (const id of blocks) if (!(await records.has("incoming", id))) lacking.push(id);
      return lacking;
    });
  }

  deliver(
    slave: string,
    master: string,
    ids: readonly string[],
  ): Promise<readonly IssuedKey[] | "unknown" | "unauthorized"> {
    return this.#work({ held: ids }, async (records) => {
      await this.#expire(records);
      if (new Set(ids).size !== ids.length) return "unknown";
      const found: { readonly id: string; readonly row: HeldRow }[] = [];
      const refuse = <T>(why: T): T => {
        wipe(...found.map(({ row }) => row.key));
        return why;
      };
      for (const id of ids) {
        const row = await records.get("held", id);
        if (row === undefined) return refuse("unknown" as const);
        found.push({ id, row });
        if (row.master !== master) return refuse("unknown" as const);
        if (!row.slaves.includes(slave)) return refuse("unauthorized" as const);
        if (!row.waiting.includes(slave)) return refuse("unknown" as const);
      }
      return found.map(({ id, row }) => {
        records.count("waiting", -row.blocks);
        records.count("delivered", row.blocks);
        const waiting = row.waiting.filter((each) => each !== slave);
        if (waiting.length === 0) records.remove("held", id);
        else records.put("held", id, { ...row, key: new Uint8Array(row.key), waiting, blocks: 0 });
        return { id, key: row.key };
      });
    });
  }

  drain(): Promise<void> {
    return this.#work({}, async (records) => {
      for (const direction of ["outgoing", "incoming"] as const) {
        await discard(records, direction, await records.oldest(direction, Infinity), "lost");
      }
    });
  }

  async close(): Promise<void> {
    this.#feed.stop();
    clearInterval(this.#sweeping);
    this.#link = undefined;
    await this.#landing.land();
    await this.#backend.close();
  }

  #perKey(bytes: number): number {
    return Math.ceil(bytes / this.blockBytes);
  }

  /** What arrived before is there for this piece of work. */
  #work<T>(wanted: Wanted, work: (records: Transaction) => Promise<T>): Promise<T> {
    void this.#landing.land();
    return this.#backend.transact(work, wanted);
  }

  /** Builds keys from the oldest blocks and writes down that they are about to be announced. */
  #take(
    number: number,
    bytes: number,
  ): Promise<{ readonly keys: IssuedKey[]; readonly recipes: Recipe[] } | undefined> {
    return this.#work({}, async (records) => {
      await this.#expire(records);
      const perKey = this.#perKey(bytes);
      const oldest = await records.oldest("outgoing", perKey * number);
      if (oldest.length < perKey * number) return undefined;
      const keys: IssuedKey[] = [];
      const recipes: Recipe[] = [];
      for (let made = 0; made < number; made++) {
        const id = randomUUID();
        const blocks = oldest.slice(made * perKey, (made + 1) * perKey);
        const { key } = await join(records, "outgoing", blocks, bytes);
        if (key === undefined) throw new RangeError("the stock was counted wrong");
        keys.push({ id, key });
        recipes.push({ id, blocks });
        records.put("doubt", id, { key: new Uint8Array(), at: this.#now(), blocks });
      }
      records.count("doubtful", oldest.length);
      records.afterwards(() => this.#settling.begin(recipes));
      return { keys, recipes };
    });
  }

  /** Writes down that the keys leave, before they do. False when another process took us for dead, and withdrew them. */
  #release(recipes: readonly Recipe[]): Promise<boolean> {
    return this.#work({ doubt: recipes.map(({ id }) => id) }, async (records) => {
      for (const { id } of recipes) if (!(await records.has("doubt", id))) return false;
      for (const { id, blocks } of recipes) {
        records.remove("doubt", id);
        records.count("doubtful", -blocks.length);
        records.count("delivered", blocks.length);
      }
      return true;
    });
  }

  /** Wipes what is too old even when nobody asks, and notices what other processes left behind. */
  #sweep(): void {
    const work = this.#work({}, async (records) => {
      await this.#expire(records);
      await this.#settling.notice(records);
    });
    void work.catch(() => undefined);
  }

  async #expire(records: Transaction): Promise<void> {
    const now = this.#now();
    const old = now - this.#maxAgeMs;
    await discard(records, "outgoing", await records.oldest("outgoing", Infinity, old), "expired");
    await discard(records, "incoming", await records.oldest("incoming", Infinity, old - GRACE_MS), "expired");
    for (const id of await records.oldest("held", Infinity, now - this.#holdMs)) {
      await forget(records, id, "expired");
    }
  }
}

function checked(options: StoreOptions) {
  onlyKnown(options, ["feed", "maxStored", "maxAgeMs", "maxHeld", "holdMs", "now"], "keyStore");
  return {
    maxStored: whole(options, "maxStored", 1000, 0, 10_000_000),
    maxAgeMs: whole(options, "maxAgeMs", 86_400_000, 1),
    maxHeld: whole(options, "maxHeld", 10_000, 1),
    holdMs: whole(options, "holdMs", 3_600_000, 1, LONGEST_MS),
  };
}
