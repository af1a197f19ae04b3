/** A stock of keys in front of a source, so that a connection need not wait for its KME. */

import { KeySourceError, UsageError } from "../protocol/errors.ts";
import { ownSae } from "./names.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import { type Shelf, shelf } from "./shelf.ts";
import type { CallOptions, KeySource, QkdKey, SourceCounters, SourceStatus } from "./source.ts";

export interface ReserveOptions {
  /** The peers that keys are held for; for others the source is asked directly. */
  readonly peers: string | readonly string[];
  /** Refill when no more than this many are left; default 4. */
  readonly low?: number;
  /** Fill up to this many; default 16. */
  readonly high?: number;
  /** Keys held longer are wiped; default 600000 (ten minutes). */
  readonly maxAgeMs?: number;
  /** Length of the keys held; default 32. Other lengths are asked for directly. */
  readonly bytes?: number;
  /** After a failed refill, doubled each time; defaults 200 and 10000. A waiting draw does not wait for it. */
  readonly backOff?: { readonly firstMs?: number; readonly maxMs?: number };
  /** Told of every failed refill. */
  readonly onFailure?: (error: Error, peer: string) => void | Promise<void>;
  /** Milliseconds that never go back; for tests. */
  readonly now?: () => number;
}

export interface Reserve extends KeySource {
  /** Keys held for a peer now. */
  held(peer: string): number;
}

/**
 * Draws ahead from `source` in batches and hands each key out once, the oldest first. It begins at once.
 * Owns the source: closing it closes both. Throws UsageError for options out of range.
 */
export function reserve(source: KeySource, options: ReserveOptions): Reserve {
  return new Stock(source, options);
}

class Stock implements Reserve {
  readonly kind: string;
  readonly sae: string;
  readonly #source: KeySource;
  readonly #bytes: number;
  readonly #shelves = new Map<string, Shelf>();
  #direct = 0;
  #closed = false;

  constructor(source: KeySource, options: ReserveOptions) {
    onlyKnown(options, "peers low high maxAgeMs bytes backOff onFailure now".split(" "), "reserve");
    onlyKnown(options.backOff ?? {}, ["firstMs", "maxMs"], "reserve backOff");
    this.kind = source.kind;
    this.sae = source.sae;
    this.#source = source;
    this.#bytes = whole(options, "bytes", 32, 16, 8192);
    const high = whole(options, "high", 16, 1, 65_535);
    const firstMs = whole(options.backOff ?? {}, "firstMs", 200, 1, LONGEST_MS);
    const settings = {
      bytes: this.#bytes,
      high,
      low: whole(options, "low", Math.min(4, high - 1), 0, high - 1),
      maxAgeMs: whole(options, "maxAgeMs", 600_000, 1, LONGEST_MS),
      firstMs,
      maxMs: whole(options.backOff ?? {}, "maxMs", Math.max(10_000, firstMs), firstMs, LONGEST_MS),
      now: options.now ?? (() => performance.now()),
      onFailure: options.onFailure ?? (() => undefined),
    };
    for (const peer of peersOf(options.peers)) this.#shelves.set(peer, shelf(source, peer, settings));
    for (const each of this.#shelves.values()) each.refill();
  }

  get simulated(): boolean {
    return this.#source.simulated;
  }

  /** `drawn` counts what was handed out, not what is held. */
  get counters(): SourceCounters {
    const counted = this.#source.counters;
    let [drawn, expired] = [this.#direct, counted.expired];
    for (const each of this.#shelves.values()) {
      drawn += each.given;
      expired += each.expired;
    }
    return { ...counted, drawn, expired };
  }

  held(peer: string): number {
    return this.#shelves.get(peer)?.held ?? 0;
  }

  async draw(peer: string, options: CallOptions = {}): Promise<QkdKey> {
    if (this.#closed) throw closed();
    const held = this.#shelves.get(peer);
    if (held !== undefined && (options.bytes ?? this.#bytes) === this.#bytes)
      return held.take(options.signal);
    const key = await this.#source.draw(peer, { bytes: this.#bytes, ...options });
    this.#direct++;
    return key;
  }

  async redeem(peer: string, id: string, options: CallOptions = {}): Promise<QkdKey> {
    return this.#source.redeem(peer, id, { bytes: this.#bytes, ...options });
  }

  async status(peer: string, options?: CallOptions): Promise<SourceStatus> {
    return this.#source.status(peer, options);
  }

  close(): void {
    this.#closed = true;
    for (const each of this.#shelves.values()) each.close(closed());
    this.#source.close();
  }
}

const closed = (): KeySourceError => new KeySourceError("ERR_QKD_CLOSED", "the key source is closed");

function peersOf(peers: unknown): Set<string> {
  const list: unknown[] = Array.isArray(peers) ? peers : [peers];
  if (peers === undefined || list.length === 0) {
    throw new UsageError("ERR_OPTION_MISSING", "peers names nobody to hold keys for", { option: "peers" });
  }
  return new Set(list.map((peer) => ownSae(peer, "peers")));
}
