/** Two key sources in one process: what one draws the other redeems. */

import { randomFillSync, randomUUID } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import { KeySourceError, UsageError } from "../protocol/errors.ts";
import { keyId, ownSae } from "./names.ts";
import { onlyKnown, whole } from "../protocol/options.ts";
import type { CallOptions, KeySource, QkdKey, SourceCounters } from "./source.ts";

export interface InProcessPairOptions {
  /** The SAE IDs of the two sources. */
  readonly a: string;
  readonly b: string;
  /** Default true. False only with `feed`: this process's own random bytes came over no quantum link. */
  readonly simulated?: boolean;
  /** Where key bytes come from; default this process's random generator. The array becomes ours to wipe. */
  readonly feed?: (bytes: number) => Uint8Array;
  /** Drawn keys that wait for their redemption; beyond it the oldest is wiped. Default 10000. */
  readonly maxWaiting?: number;
}

export interface InProcessSource extends KeySource {
  /** Never waits; what `draw` and `redeem` do behind their promises. */
  drawNow(peer: string, bytes?: number): QkdKey;
  redeemNow(peer: string, id: string, bytes?: number): QkdKey;
}

/** Two linked sources, for tests, benchmarks and sites within one process. Throws UsageError. */
export function inProcessPair(options: InProcessPairOptions): { a: InProcessSource; b: InProcessSource } {
  onlyKnown(options, ["a", "b", "simulated", "feed", "maxWaiting"], "inProcessPair");
  const [a, b] = [ownSae(options.a, "a"), ownSae(options.b, "b")];
  if (a === b) throw new UsageError("ERR_OPTION_INVALID", "b must differ from a", { option: "b" });
  const { simulated = true, feed } = options;
  if (!simulated && feed === undefined) {
    const text = "simulated can be false only with a feed: random bytes of this process are no QKD keys";
    throw new UsageError("ERR_OPTION_INVALID", text, { option: "simulated" });
  }
  const link = { simulated, feed: feed ?? blocks(), maxWaiting: whole(options, "maxWaiting", 10_000, 1) };
  const [fromA, fromB] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
  return { a: new End(link, a, b, fromA, fromB), b: new End(link, b, a, fromB, fromA) };
}

interface Link {
  readonly simulated: boolean;
  readonly feed: (bytes: number) => Uint8Array;
  readonly maxWaiting: number;
}

class End implements InProcessSource {
  readonly kind = "in-process";
  readonly sae: string;
  readonly #peer: string;
  readonly #link: Link;
  /** Keys that we drew and the other has still to redeem, and the other way round. */
  readonly #outgoing: Map<string, Uint8Array>;
  readonly #incoming: Map<string, Uint8Array>;
  readonly #counts = { drawn: 0, redeemed: 0, lost: 0, expired: 0, failures: 0 };
  #closed = false;

  constructor(
    link: Link,
    sae: string,
    peer: string,
    outgoing: Map<string, Uint8Array>,
    incoming: Map<string, Uint8Array>,
  ) {
    this.sae = sae;
    this.#link = link;
    this.#peer = peer;
    this.#outgoing = outgoing;
    this.#incoming = incoming;
  }

  get simulated(): boolean {
    return this.#link.simulated;
  }

  get counters(): SourceCounters {
    return { ...this.#counts };
  }

  drawNow(peer: string, bytes = 32): QkdKey {
    this.#ready(peer);
    const key = this.#link.feed(whole({ bytes }, "bytes", 32, 16, 8192));
    if (key.length !== bytes)
      throw this.#fail("ERR_QKD_KEY_SIZE", `the feed gave ${key.length} bytes, not ${bytes}`);
    const id = randomUUID();
    this.#outgoing.set(id, new Uint8Array(key));
    this.#bound();
    this.#counts.drawn++;
    return { id, key, simulated: this.simulated, kind: this.kind };
  }

  redeemNow(peer: string, id: string, bytes = 32): QkdKey {
    this.#ready(peer);
    const name = keyId(id);
    const key = this.#incoming.get(name);
    if (key === undefined) throw this.#fail("ERR_QKD_UNKNOWN_KEY", "no key waits under this key_ID");
    if (key.length !== bytes) {
      throw this.#fail("ERR_QKD_KEY_SIZE", `the key has ${key.length} bytes, ${bytes} were asked for`);
    }
    this.#incoming.delete(name);
    this.#counts.redeemed++;
    return { id: name, key, simulated: this.simulated, kind: this.kind };
  }

  async draw(peer: string, options: CallOptions = {}): Promise<QkdKey> {
    return this.drawNow(peer, options.bytes);
  }

  async drawMany(peer: string, count: number, options: CallOptions = {}): Promise<QkdKey[]> {
    return Array.from({ length: whole({ count }, "count", 1, 1) }, () => this.drawNow(peer, options.bytes));
  }

  async redeem(peer: string, id: string, options: CallOptions = {}): Promise<QkdKey> {
    return this.redeemNow(peer, id, options.bytes);
  }

  async status(peer: string): Promise<{ peer: string; keyBits: number; simulated: boolean }> {
    this.#ready(peer);
    return { peer, keyBits: 256, simulated: this.simulated };
  }

  close(): void {
    this.#closed = true;
    for (const waiting of [this.#incoming, this.#outgoing]) {
      wipe(...waiting.values());
      waiting.clear();
    }
  }

  #ready(peer: string): void {
    if (this.#closed) throw new KeySourceError("ERR_QKD_CLOSED", "the key source is closed");
    if (peer !== this.#peer) throw this.#fail("ERR_QKD_REFUSED", "this pair does not reach that SAE");
  }

  #bound(): void {
    for (const [id, key] of this.#outgoing) {
      if (this.#outgoing.size <= this.#link.maxWaiting) return;
      wipe(key);
      this.#outgoing.delete(id);
      this.#counts.expired++;
    }
  }

  #fail(code: KeySourceError["code"], message: string): KeySourceError {
    this.#counts.failures++;
    return new KeySourceError(code, message);
  }
}

/** Random bytes drawn in blocks: one call to the system per hundred keys. Each key gets an array of its own. */
function blocks(): (bytes: number) => Uint8Array {
  let block = new Uint8Array(0);
  let at = 0;
  return (bytes) => {
    if (at + bytes > block.length) {
      block = randomFillSync(new Uint8Array(Math.max(4096, bytes)));
      at = 0;
    }
    const key = block.slice(at, at + bytes);
    block.fill(0, at, at + bytes);
    at += bytes;
    return key;
  };
}
