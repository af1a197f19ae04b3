/** A KME reached by ETSI GS QKD 014 V1.1.1, as a key source. */

import { setTimeout as pause } from "node:timers/promises";
import { wipe } from "../protocol/bytes.ts";
import { KeySourceError } from "../protocol/errors.ts";
import { type Delivery, type KmeStatus, readKeys, readMessage, readStatus } from "./container.ts";
import { type Etsi014Options, type Etsi014Settings, readOptions } from "./endpoint.ts";
import { type Line, line, type Outcome } from "./exchange.ts";
import { keyId, peerSae } from "./names.ts";
import { whole } from "../protocol/options.ts";
import type { CallOptions, KeySource, QkdKey, SourceCounters, SourceStatus } from "./source.ts";

export type { Etsi014Options };

/** A key source with batches. */
export type Etsi014 = KeySource & Required<Pick<KeySource, "drawMany">>;

/**
 * A key source that asks a KME over mutual TLS. Throws UsageError for options it cannot work with.
 * A request is sent again only when none of it can have reached the KME. ETSI GS QKD 014 §5.
 */
export function etsi014(options: Etsi014Options): Etsi014 {
  const { endpoint, ...rest } = readOptions(options);
  const prefix = endpoint.url.pathname.replace(/\/+$/, "");
  return new Kme({ ...rest, kind: "etsi-qkd-014", prefix, line: line(endpoint) });
}

/** What a source is made of once its options are read. */
export interface Etsi014Parts extends Omit<Etsi014Settings, "endpoint"> {
  readonly kind: string;
  /** What stands before `/api/v1/keys`. */
  readonly prefix: string;
  readonly line: Line;
}

/** The same over another line than one of sockets. */
export const etsi014Over = (parts: Etsi014Parts): Etsi014 => new Kme(parts);

/** Waits before the second and third try. */
const RETRY_MS = [100, 300];
/** How long the first key waits to learn which KMEs it lay in. */
const STATUS_GRACE_MS = 500;
/** Key_IDs remembered to notice a KME that hands one out again. */
const REMEMBERED_IDS = 4096;

interface Counts {
  drawn: number;
  redeemed: number;
  lost: number;
  expired: number;
  failures: number;
}

class Kme implements Etsi014 {
  readonly kind: string;
  readonly sae: string;
  readonly #line: Line;
  readonly #prefix: string;
  readonly #method: "POST" | "GET";
  readonly #timeoutMs: number;
  readonly #keyBytes: number;
  readonly #counts: Counts = { drawn: 0, redeemed: 0, lost: 0, expired: 0, failures: 0 };
  readonly #learned = new Map<string, Promise<KmeStatus | undefined>>();
  readonly #seen = new Set<string>();
  #simulated = false;

  constructor({ kind, sae, method, timeoutMs, keyBytes, prefix, line }: Etsi014Parts) {
    this.kind = kind;
    this.sae = sae;
    this.#method = method;
    this.#timeoutMs = timeoutMs;
    this.#keyBytes = keyBytes;
    this.#prefix = `${prefix}/api/v1/keys`;
    this.#line = line;
  }

  get simulated(): boolean {
    return this.#simulated;
  }

  get counters(): SourceCounters {
    return { ...this.#counts };
  }

  async draw(peer: string, options: CallOptions = {}): Promise<QkdKey> {
    const [key] = await this.drawMany(peer, 1, options);
    if (key === undefined) throw new KeySourceError("ERR_QKD_MALFORMED", "the KME delivered no key");
    return key;
  }

  async drawMany(peer: string, count: number, options: CallOptions = {}): Promise<QkdKey[]> {
    whole({ count }, "count", 1, 1, 65535);
    const bytes = this.#bytes(options);
    const size = 8 * bytes;
    const learned = this.#learn(peerSae(peer));
    const path = this.#path(peer, "enc_keys");
    const delivery = await this.#take(
      this.#method === "GET" ? `${path}?number=${count}&size=${size}` : path,
      { number: count, size },
      count,
      bytes,
      options.signal,
    );
    this.#refuseRepeats(delivery);
    this.#counts.drawn += count;
    const status = await learned;
    const kmes = status && { source: status.source_KME_ID, target: status.target_KME_ID };
    return this.#keys(delivery, status, kmes);
  }

  async redeem(peer: string, id: string, options: CallOptions = {}): Promise<QkdKey> {
    const bytes = this.#bytes(options);
    const key_ID = keyId(id);
    const learned = this.#learn(peerSae(peer));
    const path = this.#path(peer, "dec_keys");
    const delivery = await this.#take(
      this.#method === "GET" ? `${path}?key_ID=${key_ID}` : path,
      { key_IDs: [{ key_ID }] },
      1,
      bytes,
      options.signal,
      [key_ID],
    );
    this.#counts.redeemed++;
    const status = await learned;
    const kmes = status && { source: status.target_KME_ID, target: status.source_KME_ID };
    const [key] = this.#keys(delivery, status, kmes);
    if (key === undefined) throw new KeySourceError("ERR_QKD_MALFORMED", "the KME delivered no key");
    return key;
  }

  async status(peer: string, options: CallOptions = {}): Promise<SourceStatus> {
    const status = await this.#askStatus(peerSae(peer), options.signal);
    return {
      peer,
      stored: status.stored_key_count,
      perRequest: status.max_key_per_request,
      keyBits: status.key_size,
      simulated: status.simulated,
      kmes: { source: status.source_KME_ID, target: status.target_KME_ID },
    };
  }

  close(): void {
    this.#line.close();
    this.#learned.clear();
    this.#seen.clear();
  }

  #bytes({ bytes }: CallOptions): number {
    return whole({ bytes }, "bytes", this.#keyBytes, 16, 8192);
  }

  #path(peer: string, what: string): string {
    return `${this.#prefix}/${encodeURIComponent(peer)}/${what}`;
  }

  /** Asks for keys; whatever may have left the KME without reaching us whole is counted as lost. */
  async #take(
    path: string,
    body: object,
    count: number,
    bytes: number,
    signal: AbortSignal | undefined,
    ids?: readonly string[],
  ): Promise<Delivery> {
    const outcome = await this.#call(path, this.#method === "GET" ? undefined : JSON.stringify(body), signal);
    try {
      const answer = this.#succeeded(outcome);
      try {
        const delivery = readKeys(answer, count, bytes, ids);
        this.#simulated ||= delivery.simulated;
        return delivery;
      } finally {
        wipe(answer);
      }
    } catch (error) {
      if (mayHaveDelivered(outcome)) this.#counts.lost += count;
      this.#counts.failures++;
      throw error;
    }
  }

  async #askStatus(peer: string, signal: AbortSignal | undefined): Promise<KmeStatus> {
    try {
      const outcome = await this.#call(this.#path(peer, "status"), undefined, signal, true);
      const status = readStatus(this.#succeeded(outcome));
      this.#simulated ||= status.simulated;
      this.#learned.set(peer, Promise.resolve(status));
      return status;
    } catch (error) {
      this.#counts.failures++;
      throw error;
    }
  }

  /** Which KMEs serve this peer: asked once beside the first key, and never at that key's expense. */
  #learn(peer: string): Promise<KmeStatus | undefined> {
    const known = this.#learned.get(peer);
    if (known !== undefined) return known;
    const patience = AbortSignal.timeout(STATUS_GRACE_MS);
    const asked = this.#call(this.#path(peer, "status"), undefined, patience)
      .then((outcome) => readStatus(this.#succeeded(outcome)))
      .catch(() => {
        this.#learned.delete(peer);
        return undefined;
      });
    if (this.#learned.size >= 1024) this.#learned.clear();
    this.#learned.set(peer, asked);
    return asked;
  }

  /** The standard makes only status repeatable; a request for keys is repeated while it was never sent. */
  async #call(
    path: string,
    body: string | undefined,
    signal?: AbortSignal,
    repeatable = false,
  ): Promise<Outcome> {
    const deadline = performance.now() + this.#timeoutMs;
    const method = body === undefined ? "GET" : "POST";
    for (let tries = 0; ; tries++) {
      const timeoutMs = Math.max(1, Math.ceil(deadline - performance.now()));
      const call = { method, path, timeoutMs, signal, ...(body === undefined ? {} : { body }) } as const;
      const outcome = await this.#line.exchange(call);
      const waitMs = RETRY_MS[tries];
      if (outcome.ok || outcome.error.code !== "ERR_QKD_UNREACHABLE" || waitMs === undefined) return outcome;
      if ((outcome.sent && !repeatable) || performance.now() + waitMs >= deadline) return outcome;
      await pause(waitMs, undefined, signal && { signal }).catch(() => undefined);
    }
  }

  #succeeded(outcome: Outcome): Buffer {
    if (!outcome.ok) throw outcome.error;
    if (outcome.status === 200) return outcome.body;
    throw refusal(this.#line.host, outcome.status, readMessage(outcome.body));
  }

  #refuseRepeats(delivery: Delivery): void {
    const repeated = delivery.keys.find(({ id }) => this.#seen.has(id));
    if (repeated !== undefined) {
      wipe(...delivery.keys.map(({ key }) => key));
      this.#counts.failures++;
      this.#counts.lost += delivery.keys.length;
      throw new KeySourceError(
        "ERR_QKD_KEY_USED",
        `the KME handed out the key_ID ${repeated.id} a second time`,
      );
    }
    for (const { id } of delivery.keys) this.#seen.add(id);
    for (const id of this.#seen) {
      if (this.#seen.size <= REMEMBERED_IDS) break;
      this.#seen.delete(id);
    }
  }

  #keys(delivery: Delivery, status: KmeStatus | undefined, kmes: QkdKey["kmes"]): QkdKey[] {
    const simulated = delivery.simulated || status?.simulated === true;
    this.#simulated ||= simulated;
    const { kind } = this;
    return delivery.keys.map(({ id, key }) => ({ id, key, simulated, kind, ...(kmes && { kmes }) }));
  }
}

/** ETSI GS QKD 014 §5.4; which 400 or 503 means an empty pool the standard leaves to each KME's wording. */
function refusal(host: string, status: number, message: string): KeySourceError {
  const said = message === "" ? "" : `: "${message}"`;
  const make = (code: KeySourceError["code"], meaning: string): KeySourceError =>
    new KeySourceError(code, `the KME ${host} ${meaning} (HTTP ${status}${said})`, { status });
  if (status === 401 || status === 403) return make("ERR_QKD_UNAUTHORIZED", "does not authorise us");
  if (status === 400 || status === 404) {
    if (/key.*not found|not found on KME/i.test(message))
      return make("ERR_QKD_UNKNOWN_KEY", "knows no such key");
  }
  if (status === 400 || status === 503) {
    const empty =
      /insufficient|not enough|exhaust|deplet|no (?:more )?keys? |(?:pool|store|stock).*empty|out of keys/i;
    if (empty.test(`${message} `)) return make("ERR_QKD_EMPTY", "has not enough key");
  }
  if (status === 400 && /\bsize\b/i.test(message)) return make("ERR_QKD_KEY_SIZE", "refuses the key size");
  if (status >= 500) return make("ERR_QKD_UNREACHABLE", "cannot serve now");
  return make("ERR_QKD_REJECTED", "rejected the request");
}

/** True when keys may have left the KME's pool for this request. */
function mayHaveDelivered(outcome: Outcome): boolean {
  if (!outcome.ok) return outcome.sent;
  return (outcome.status >= 200 && outcome.status < 300) || (outcome.status >= 500 && outcome.status !== 503);
}
