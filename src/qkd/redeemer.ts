/** The server's guard: what a stranger's ClientHello may make us ask of our KME, and each key at most once. */

import { wipe } from "../protocol/bytes.ts";
import { KeySourceError, UsageError } from "../protocol/errors.ts";
import { type Breaker, type BreakerOptions, breaker } from "./breaker.ts";
import { within } from "./deadline.ts";
import { isSaeId, ownSae, parseKeyId } from "./names.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import { rateLimit } from "./rate.ts";
import type { KeySource, QkdKey } from "./source.ts";

export interface RedeemerOptions {
  /** The SAE IDs that may announce keys to us, or who decides. There is no default. */
  readonly allow: readonly string[] | ((initiator: string) => boolean);
  /** Key length in bytes; default 32. */
  readonly bytes?: number;
  /** Keys that wait for their binder; beyond it the oldest is wiped. Default 1024. */
  readonly cacheSize?: number;
  /** How long a key waits for its binder; default 10000. */
  readonly cacheTtlMs?: number;
  /** Used key_IDs remembered; default 65536. */
  readonly usedSize?: number;
  /** Look-ups in flight over all peers; default 64. */
  readonly maxConcurrent?: number;
  /** Look-ups that one initiator may cause in a minute; default 600. */
  readonly maxPerPeerPerMinute?: number;
  /** For one look-up; default 5000. */
  readonly timeoutMs?: number;
  readonly breaker?: BreakerOptions;
  /** Milliseconds that never go back; for tests. */
  readonly now?: () => number;
}

/** Counted since the redeemer was made. */
export interface RedeemerCounters {
  readonly lookups: number;
  /** Takes that shared a look-up or found the key waiting. */
  readonly shared: number;
  readonly committed: number;
  readonly expired: number;
  /** Takes turned away before anything was spent. */
  readonly refused: number;
  readonly failed: number;
}

export interface Redeemer {
  readonly source: KeySource;
  readonly breaker: Breaker;
  readonly counters: RedeemerCounters;
  /**
   * The key that `initiator` announced; the caller wipes its copy. Throws KeySourceError: ERR_QKD_REFUSED,
   * ERR_QKD_BUSY, ERR_QKD_KEY_USED before anything is spent, ERR_QKD_TIMEOUT, or what the source says.
   */
  take(initiator: string, keyId: string, signal?: AbortSignal): Promise<QkdKey>;
  /** Its binder verified: the key is spent. Throws ERR_QKD_KEY_USED for all but the first who commits it. */
  commit(initiator: string, keyId: string): void;
  /** Wipes what waits; later calls fail with ERR_QKD_CLOSED. The source stays open. */
  close(): void;
}

/** Puts the guard in front of a source. Throws UsageError for options out of range. */
export function redeemer(source: KeySource, options: RedeemerOptions): Redeemer {
  return new Guard(source, options);
}

const OPTIONS =
  "allow bytes cacheSize cacheTtlMs usedSize maxConcurrent maxPerPeerPerMinute timeoutMs breaker now".split(
    " ",
  );

interface Waiting {
  readonly key: QkdKey;
  readonly until: number;
}

class Guard implements Redeemer {
  readonly source: KeySource;
  readonly breaker: Breaker;
  readonly #allows: (initiator: string) => boolean;
  readonly #limits: ReturnType<typeof limitsOf>;
  readonly #now: () => number;
  readonly #spend: (initiator: string) => boolean;
  /** Look-ups under way, keys that wait, and names that are spent: all by initiator and key_ID. */
  readonly #pending = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #used = new Set<string>();
  readonly #counts = { lookups: 0, shared: 0, committed: 0, expired: 0, refused: 0, failed: 0 };
  #sweep: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  constructor(source: KeySource, options: RedeemerOptions) {
    onlyKnown(options, OPTIONS, "redeemer");
    this.source = source;
    this.#allows = allowing(options.allow);
    this.#limits = limitsOf(options);
    this.#now = options.now ?? (() => performance.now());
    this.#spend = rateLimit(whole(options, "maxPerPeerPerMinute", 600, 1), this.#now);
    this.breaker = breaker(options.breaker, this.#now);
  }

  get counters(): RedeemerCounters {
    return { ...this.#counts };
  }

  async take(initiator: string, keyId: string, signal?: AbortSignal): Promise<QkdKey> {
    const { id, name } = this.#admit(initiator, keyId);
    this.#expire();
    if (this.#used.has(name)) throw this.#refuse("ERR_QKD_KEY_USED", `the key_ID ${id} was used before`);
    if (this.#waiting.has(name)) {
      this.#counts.shared++;
    } else {
      const pending = this.#pending.get(name);
      if (pending !== undefined) this.#counts.shared++;
      await unlessGivenUp(pending ?? this.#lookUp(initiator, id, name), signal);
    }
    const found = this.#waiting.get(name);
    // Spent, pushed out or expired between the look-up and this turn.
    if (found === undefined) throw this.#refuse("ERR_QKD_KEY_USED", `the key_ID ${id} is no longer held`);
    return { ...found.key, key: new Uint8Array(found.key.key) };
  }

  commit(initiator: string, keyId: string): void {
    const name = nameOf(initiator, parseKeyId(keyId) ?? "");
    this.#expire();
    const found = this.#waiting.get(name);
    if (found === undefined)
      throw this.#refuse("ERR_QKD_KEY_USED", "the key was used before or waited too long");
    this.#spent(name);
    this.#counts.committed++;
  }

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#sweep);
    for (const { key } of this.#waiting.values()) wipe(key.key);
    this.#waiting.clear();
    this.#used.clear();
  }

  /** Syntax and allow-list: what needs no memory of this peer. */
  #admit(initiator: string, keyId: string): { id: string; name: string } {
    if (this.#closing.signal.aborted) throw new KeySourceError("ERR_QKD_CLOSED", "the redeemer is closed");
    const id = parseKeyId(keyId);
    if (id === undefined) throw this.#refuse("ERR_QKD_REFUSED", "the key_ID is not a UUID");
    if (!isSaeId(initiator) || !this.#allows(initiator)) {
      throw this.#refuse("ERR_QKD_REFUSED", "the initiator's SAE ID is not on the allow-list");
    }
    return { id, name: nameOf(initiator, id) };
  }

  /** One question to the source, for everyone who waits for this key. It ends by itself, whoever gives up. */
  #lookUp(initiator: string, id: string, name: string): Promise<void> {
    if (!this.#spend(initiator)) {
      throw this.#refuse("ERR_QKD_BUSY", "the initiator causes too many look-ups");
    }
    if (this.#pending.size >= this.#limits.maxConcurrent) {
      throw this.#refuse("ERR_QKD_BUSY", `${this.#pending.size} look-ups are in flight already`);
    }
    this.breaker.enter();
    this.#counts.lookups++;
    const pending = this.#ask(initiator, id, name).finally(() => this.#pending.delete(name));
    // Every taker may have given up by the time that it fails.
    pending.catch(() => undefined);
    this.#pending.set(name, pending);
    return pending;
  }

  async #ask(initiator: string, id: string, name: string): Promise<void> {
    const { bytes, timeoutMs, cacheTtlMs } = this.#limits;
    try {
      const redeem = (signal: AbortSignal): Promise<QkdKey> =>
        this.source.redeem(initiator, id, { bytes, signal });
      const discard = ({ key }: QkdKey): void => wipe(key);
      const key = await within(timeoutMs, redeem, discard, this.#closing.signal);
      this.breaker.done();
      this.#expire();
      this.#waiting.set(name, { key, until: this.#now() + cacheTtlMs });
      if (this.#waiting.size > this.#limits.cacheSize) this.#drop(this.#waiting.keys().next().value ?? name);
      this.#schedule();
    } catch (error) {
      if (this.#closing.signal.aborted) throw new KeySourceError("ERR_QKD_CLOSED", "the redeemer is closed");
      this.breaker.done(error);
      this.#counts.failed++;
      throw error;
    }
  }

  /** Keys wait in the order in which they expire, for they all wait equally long. */
  #expire(): void {
    const now = this.#now();
    for (const [name, { until }] of this.#waiting) {
      if (until > now) return;
      this.#drop(name);
    }
  }

  #drop(name: string): void {
    this.#spent(name);
    this.#counts.expired++;
  }

  #spent(name: string): void {
    wipe(this.#waiting.get(name)?.key.key);
    this.#waiting.delete(name);
    this.#used.add(name);
    if (this.#used.size <= this.#limits.usedSize) return;
    for (const oldest of this.#used) {
      this.#used.delete(oldest);
      return;
    }
  }

  #schedule(): void {
    if (this.#sweep !== undefined || this.#waiting.size === 0) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      this.#expire();
      this.#schedule();
    }, this.#limits.cacheTtlMs);
    this.#sweep.unref();
  }

  #refuse(code: KeySourceError["code"], message: string): KeySourceError {
    this.#counts.refused++;
    return new KeySourceError(code, message);
  }
}

/** A NUL separates them: no SAE ID holds one. */
const nameOf = (initiator: string, id: string): string => `${initiator}\0${id}`;

function limitsOf(
  options: RedeemerOptions,
): Record<"bytes" | "cacheSize" | "cacheTtlMs" | "usedSize" | "maxConcurrent" | "timeoutMs", number> {
  return {
    bytes: whole(options, "bytes", 32, 16, 8192),
    cacheSize: whole(options, "cacheSize", 1024, 1),
    cacheTtlMs: whole(options, "cacheTtlMs", 10_000, 1, LONGEST_MS),
    usedSize: whole(options, "usedSize", 65_536, 1),
    maxConcurrent: whole(options, "maxConcurrent", 64, 1),
    timeoutMs: whole(options, "timeoutMs", 5000, 1, LONGEST_MS),
  };
}

function allowing(allow: unknown): (initiator: string) => boolean {
  if (typeof allow === "function") return (initiator) => allow(initiator) === true;
  if (Array.isArray(allow)) {
    const names = new Set(allow.map((sae: unknown) => ownSae(sae, "allow")));
    return (initiator) => names.has(initiator);
  }
  const text = "allow must name the SAE IDs that may announce keys, or be a function that decides";
  throw new UsageError(allow === undefined ? "ERR_OPTION_MISSING" : "ERR_OPTION_INVALID", text, {
    option: "allow",
  });
}

async function unlessGivenUp(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  const givenUp = (): KeySourceError =>
    new KeySourceError("ERR_QKD_TIMEOUT", "the call was given up by its caller", { cause: signal.reason });
  if (signal.aborted) throw givenUp();
  let abort = (): void => undefined;
  const given = new Promise<never>((_, reject) => {
    abort = () => reject(givenUp());
  });
  signal.addEventListener("abort", abort);
  try {
    await Promise.race([work, given]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
