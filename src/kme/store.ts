/** What a KME holds of one link: blocks not yet spent, and keys that wait for their slave SAEs. */

import { randomUUID } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import type { Block, BlockSink, Direction, KeyFeed } from "./feed.ts";

/** A key with its key_ID, handed to an SAE. Whoever holds it wipes it. */
export interface IssuedKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/** What one KME tells the other before a key leaves it: how to build the same keys, and for whom. No secret. */
export interface Issue {
  readonly master: string;
  readonly slaves: readonly string[];
  readonly bytes: number;
  readonly keys: readonly { readonly id: string; readonly blocks: readonly string[] }[];
}

/** The way to the KME at the other end. It fails when that KME did not take the issue. */
export interface KmeLink {
  announce(issue: Issue): Promise<void>;
}

export interface IssueRequest {
  readonly master: string;
  readonly slaves: readonly string[];
  readonly number: number;
  readonly bytes: number;
}

export interface KeyStore {
  readonly simulated: boolean;
  readonly blockBytes: number;
  /** Blocks that we may issue from, and the most that fit. */
  readonly stored: number;
  readonly maxStored: number;
  /** Where issues are announced; until then none is made. */
  connect(link: KmeLink): void;
  /** Takes keys out of stock for a master SAE, once the other end holds them for the slaves. */
  issue(request: IssueRequest): Promise<readonly IssuedKey[] | "insufficient" | "unlinked">;
  /** Sets keys aside that the other end issues. False when this end lacks a block: then nobody gets the keys. */
  accept(issue: Issue): boolean;
  /** Gives a slave SAE the keys it was named for, all or none, each once. */
  deliver(
    slave: string,
    master: string,
    ids: readonly string[],
  ): readonly IssuedKey[] | "unknown" | "unauthorized";
  /** Wipes the stock, as a link that lost its key would. */
  drain(): void;
  close(): void;
}

export interface StoreOptions {
  readonly feed: KeyFeed;
  /** Blocks held each way; default 1000. */
  readonly maxStored?: number;
  /** Keys that wait for a slave SAE; beyond it the oldest is wiped. Default 10000. */
  readonly maxHeld?: number;
  /** How long a key waits for its slave SAEs; default 3600000 (an hour). The standard names no limit. */
  readonly holdMs?: number;
  /** Milliseconds that never go back; for tests. */
  readonly now?: () => number;
}

/** A store in memory, filled by `feed` from now on. Throws UsageError for options out of range. */
export function keyStore(options: StoreOptions): KeyStore {
  return new Store(options);
}

interface Held {
  readonly key: Uint8Array;
  readonly master: string;
  readonly named: ReadonlySet<string>;
  readonly waiting: Set<string>;
  readonly until: number;
}

class Store implements KeyStore, BlockSink {
  readonly simulated: boolean;
  readonly blockBytes: number;
  readonly maxStored: number;
  readonly #feed: KeyFeed;
  readonly #maxHeld: number;
  readonly #holdMs: number;
  readonly #now: () => number;
  readonly #outgoing = new Map<string, Uint8Array>();
  readonly #incoming = new Map<string, Uint8Array>();
  /** In the order in which they expire. */
  readonly #held = new Map<string, Held>();
  #link: KmeLink | undefined;

  constructor(options: StoreOptions) {
    onlyKnown(options, ["feed", "maxStored", "maxHeld", "holdMs", "now"], "keyStore");
    this.#feed = options.feed;
    this.simulated = options.feed.simulated;
    this.blockBytes = options.feed.blockBytes;
    this.maxStored = whole(options, "maxStored", 1000, 0, 10_000_000);
    this.#maxHeld = whole(options, "maxHeld", 10_000, 1);
    this.#holdMs = whole(options, "holdMs", 3_600_000, 1, LONGEST_MS);
    this.#now = options.now ?? (() => performance.now());
    this.#feed.start(this);
  }

  get stored(): number {
    return this.#outgoing.size;
  }

  connect(link: KmeLink): void {
    this.#link = link;
  }

  room(direction: Direction): number {
    return this.maxStored - (direction === "outgoing" ? this.#outgoing : this.#incoming).size;
  }

  put(direction: Direction, { id, key }: Block): void {
    (direction === "outgoing" ? this.#outgoing : this.#incoming).set(id, key);
  }

  async issue(request: IssueRequest): Promise<readonly IssuedKey[] | "insufficient" | "unlinked"> {
    const link = this.#link;
    if (link === undefined) return "unlinked";
    const perKey = Math.ceil(request.bytes / this.blockBytes);
    if (this.#outgoing.size < perKey * request.number) return "insufficient";
    const { master, slaves, number, bytes } = request;
    const keys: IssuedKey[] = [];
    const recipes: Issue["keys"][number][] = [];
    for (let made = 0; made < number; made++) {
      const id = randomUUID();
      const blocks = [...first(this.#outgoing.keys(), perKey)];
      const key = build(this.#outgoing, blocks, bytes);
      if (key === undefined) throw new RangeError("the stock was counted wrong");
      keys.push({ id, key });
      recipes.push({ id, blocks });
    }
    try {
      await link.announce({ master, slaves, bytes, keys: recipes });
      return keys;
    } catch {
      // The other end may or may not have spent the blocks, so nobody may use them again.
      wipe(...keys.map(({ key }) => key));
      return "unlinked";
    }
  }

  accept({ master, slaves, bytes, keys }: Issue): boolean {
    const built = keys.map(({ id, blocks }) => ({ id, key: build(this.#incoming, blocks, bytes) }));
    if (built.some(({ id, key }) => key === undefined || this.#held.has(id))) {
      wipe(...built.map(({ key }) => key));
      return false;
    }
    this.#expire();
    const until = this.#now() + this.#holdMs;
    for (const { id, key } of built) {
      if (key === undefined) continue;
      this.#held.set(id, { key, master, named: new Set(slaves), waiting: new Set(slaves), until });
    }
    for (const id of first(this.#held.keys(), this.#held.size - this.#maxHeld)) this.#forget(id);
    return true;
  }

  deliver(
    slave: string,
    master: string,
    ids: readonly string[],
  ): readonly IssuedKey[] | "unknown" | "unauthorized" {
    this.#expire();
    const found: { readonly id: string; readonly held: Held }[] = [];
    for (const id of new Set(ids)) {
      const held = this.#held.get(id);
      if (held === undefined || held.master !== master) return "unknown";
      if (!held.named.has(slave)) return "unauthorized";
      if (!held.waiting.has(slave)) return "unknown";
      found.push({ id, held });
    }
    if (found.length !== ids.length) return "unknown";
    return found.map(({ id, held }) => {
      const key = new Uint8Array(held.key);
      held.waiting.delete(slave);
      if (held.waiting.size === 0) this.#forget(id);
      return { id, key };
    });
  }

  drain(): void {
    for (const blocks of [this.#outgoing, this.#incoming]) {
      wipe(...blocks.values());
      blocks.clear();
    }
  }

  close(): void {
    this.#feed.stop();
    this.#link = undefined;
    this.drain();
    for (const id of this.#held.keys()) this.#forget(id);
  }

  #expire(): void {
    const now = this.#now();
    for (const [id, { until }] of this.#held) {
      if (until > now) return;
      this.#forget(id);
    }
  }

  #forget(id: string): void {
    wipe(this.#held.get(id)?.key);
    this.#held.delete(id);
  }
}

/** Takes the blocks out of stock and joins them to a key; what is left over of them is wiped. */
function build(
  stock: Map<string, Uint8Array>,
  ids: readonly string[],
  bytes: number,
): Uint8Array | undefined {
  const key = new Uint8Array(bytes);
  let at = 0;
  let whole = true;
  for (const id of ids) {
    const block = stock.get(id);
    stock.delete(id);
    if (block === undefined) {
      whole = false;
      continue;
    }
    const part = block.subarray(0, bytes - at);
    key.set(part, at);
    at += part.length;
    wipe(block);
  }
  if (whole && at === bytes) return key;
  wipe(key);
  return undefined;
}

function* first(names: Iterable<string>, count: number): Generator<string> {
  let taken = 0;
  for (const name of names) {
    if (taken++ >= count) return;
    yield name;
  }
}
