/** The keys that a reserve holds for one peer, and how they are replenished. */

import { wipe } from "../protocol/bytes.ts";
import { KeySourceError } from "../protocol/errors.ts";
import type { KeySource, QkdKey } from "./source.ts";

export interface ShelfSettings {
  readonly bytes: number;
  readonly low: number;
  readonly high: number;
  readonly maxAgeMs: number;
  readonly firstMs: number;
  readonly maxMs: number;
  readonly now: () => number;
  readonly onFailure: (error: Error, peer: string) => void | Promise<void>;
}

export interface Shelf {
  readonly held: number;
  readonly given: number;
  readonly expired: number;
  take(signal?: AbortSignal): Promise<QkdKey>;
  /** Starts a refill unless one is under way, the shelf is full enough, or the back-off forbids it. */
  refill(): void;
  close(error: KeySourceError): void;
}

export function shelf(source: KeySource, peer: string, settings: ShelfSettings): Shelf {
  return new Held(source, peer, settings);
}

interface Waiter {
  give(key: QkdKey): void;
  fail(error: Error): void;
}

class Held implements Shelf {
  readonly #source: KeySource;
  readonly #peer: string;
  readonly #settings: ShelfSettings;
  /** Oldest first. */
  readonly #keys: { readonly key: QkdKey; readonly until: number }[] = [];
  readonly #waiters = new Set<Waiter>();
  #perRequest: number | undefined;
  #busy = false;
  #failuresInARow = 0;
  #notBefore = 0;
  #closed: KeySourceError | undefined;
  #retry: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  given = 0;
  expired = 0;

  constructor(source: KeySource, peer: string, settings: ShelfSettings) {
    this.#source = source;
    this.#peer = peer;
    this.#settings = settings;
  }

  get held(): number {
    this.#expire();
    return this.#keys.length;
  }

  async take(signal?: AbortSignal): Promise<QkdKey> {
    if (signal?.aborted === true) throw givenUp(signal);
    this.#expire();
    const oldest = this.#keys.shift();
    if (oldest !== undefined) {
      this.given++;
      this.refill();
      return oldest.key;
    }
    return this.#wait(signal);
  }

  refill(): void {
    const wanted = this.#waiters.size > 0 || this.#keys.length <= this.#settings.low;
    if (this.#busy || this.#closed !== undefined || !wanted) return;
    // Nobody waits: the failing source is left in peace, and asked again when its time has come.
    const restMs = this.#notBefore - this.#settings.now();
    if (this.#waiters.size === 0 && restMs > 0) return this.#refillIn(restMs);
    void this.#run();
  }

  close(error: KeySourceError): void {
    this.#closed = error;
    clearTimeout(this.#retry);
    clearTimeout(this.#expiry);
    for (const { key } of this.#keys.splice(0)) this.#discard(key);
    for (const waiter of this.#waiters) waiter.fail(error);
    this.#waiters.clear();
  }

  #wait(signal: AbortSignal | undefined): Promise<QkdKey> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = {
        give: (key) => {
          leave();
          this.given++;
          resolve(key);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      // Only the wait ends: the key that was being fetched serves the next one.
      const abort = (): void => waiter.fail(givenUp(signal));
      signal?.addEventListener("abort", abort);
      this.#waiters.add(waiter);
      this.refill();
    });
  }

  /** Fetches batch after batch until the shelf is full or the source fails. Never rejects. */
  async #run(): Promise<void> {
    this.#busy = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    try {
      while (this.#closed === undefined) {
        const missing = this.#settings.high + this.#waiters.size - this.#keys.length;
        if (missing <= 0) break;
        const keys = await this.#fetch(missing);
        if (keys.length === 0)
          throw new KeySourceError("ERR_QKD_MALFORMED", "the source gave no keys and no reason");
        this.#shelve(keys);
        this.#failuresInARow = 0;
        this.#notBefore = 0;
      }
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#busy = false;
    }
    this.refill();
  }

  /** Some of the missing keys: as many as one request may ask for, fewer where the source has fewer. */
  async #fetch(missing: number): Promise<QkdKey[]> {
    let count = Math.min(missing, await this.#most());
    if (this.#closed !== undefined) throw this.#closed;
    for (let retried = false; ; ) {
      const lostBefore = this.#source.counters.lost;
      try {
        return await this.#draw(count);
      } catch (error) {
        const code = error instanceof KeySourceError ? error.code : undefined;
        const lost = this.#source.counters.lost > lostBefore;
        if (code === "ERR_QKD_EMPTY" && count > 1) {
          count = Math.floor(count / 2);
        } else if (lost && !retried && this.#closed === undefined) {
          // A lost answer is a lost batch and says nothing about the next: go on, but only once.
          retried = true;
        } else {
          throw error;
        }
      }
    }
  }

  #draw(count: number): Promise<QkdKey[]> {
    const { bytes } = this.#settings;
    if (this.#source.drawMany !== undefined) return this.#source.drawMany(this.#peer, count, { bytes });
    return this.#source.draw(this.#peer, { bytes }).then((key) => [key]);
  }

  async #most(): Promise<number> {
    if (this.#source.drawMany === undefined) return 1;
    if (this.#perRequest !== undefined) return this.#perRequest;
    try {
      const { perRequest } = await this.#source.status(this.#peer);
      this.#perRequest = Math.max(1, perRequest ?? 1);
      return this.#perRequest;
    } catch (error) {
      // A KME that serves keys but no status is asked for one key at a time.
      if (error instanceof KeySourceError && /REJECTED|MALFORMED|UNAUTHORIZED/.test(error.code)) return 1;
      throw error;
    }
  }

  #shelve(keys: readonly QkdKey[]): void {
    const until = this.#settings.now() + this.#settings.maxAgeMs;
    for (const key of keys) {
      const [waiter] = this.#waiters;
      if (this.#closed !== undefined) this.#discard(key);
      else if (waiter !== undefined) waiter.give(key);
      else this.#keys.push({ key, until });
    }
    this.#watch();
  }

  #failed(error: Error): void {
    if (this.#closed !== undefined) return;
    for (const waiter of this.#waiters) waiter.fail(error);
    const { firstMs, maxMs, now, onFailure } = this.#settings;
    this.#notBefore = now() + Math.min(maxMs, firstMs * 2 ** Math.min(this.#failuresInARow, 30));
    this.#failuresInARow++;
    this.#tell(onFailure, error);
  }

  /** A listener's fault, at once or later, must not stop the refills. */
  #tell(listener: ShelfSettings["onFailure"], cause: Error): void {
    const told = async (): Promise<void> => listener(cause, this.#peer);
    told().catch(() => undefined);
  }

  #refillIn(waitMs: number): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.refill();
    }, Math.ceil(waitMs));
    this.#retry.unref();
  }

  #expire(): void {
    const now = this.#settings.now();
    while (this.#keys[0] !== undefined && this.#keys[0].until <= now) {
      const oldest = this.#keys.shift();
      if (oldest !== undefined) this.#discard(oldest.key);
    }
  }

  /** Expired keys are wiped when their time has come, not when somebody next looks. */
  #watch(): void {
    const [oldest] = this.#keys;
    if (this.#expiry !== undefined || oldest === undefined || this.#closed !== undefined) return;
    this.#expiry = setTimeout(
      () => {
        this.#expiry = undefined;
        this.#expire();
        this.#watch();
        this.refill();
      },
      Math.max(1, Math.ceil(oldest.until - this.#settings.now())),
    );
    this.#expiry.unref();
  }

  #discard({ key }: QkdKey): void {
    wipe(key);
    this.expired++;
  }
}

function givenUp(signal: AbortSignal | undefined): KeySourceError {
  return new KeySourceError("ERR_QKD_TIMEOUT", "the call was given up by its caller", {
    cause: signal?.reason,
  });
}
