/**
 * Where QKD keys come from: one seam for every kind of source (ETSI GS QKD 014, file, in-process, later 004 and
 * SKIP). This room knows no TLS; it hands out keys and says what became of them.
 */

/** A key that a source delivered. Its holder wipes `key` after use. */
export interface QkdKey {
  /** The key_ID that the other side redeems it with (ETSI 014: a UUID in lower case). */
  readonly id: string;
  readonly key: Uint8Array;
  /** True when no physical QKD link made it. */
  readonly simulated: boolean;
  /** The kind of source, as evidence names it: `etsi-qkd-014`, `psk-file`, `in-process`. */
  readonly kind: string;
  /** The KMEs that the key lay in, the drawing side's first, where the source knows them. */
  readonly kmes?: { readonly source: string; readonly target: string };
}

export interface CallOptions {
  /** Key length in bytes; default 32. */
  readonly bytes?: number;
  readonly signal?: AbortSignal;
}

/** How much key there is for one peer. */
export interface SourceStatus {
  readonly peer: string;
  /** Keys in stock at the source, when it tells. */
  readonly stored?: number;
  /** The most keys that one request may ask for, when the source tells. */
  readonly perRequest?: number;
  readonly keyBits: number;
  readonly simulated: boolean;
  readonly kmes?: { readonly source: string; readonly target: string };
}

/** Counted since the source was made; every key is in exactly one of delivered, lost, expired. */
export interface SourceCounters {
  readonly drawn: number;
  readonly redeemed: number;
  /** Keys that may have left the KME and never reached us (an answer that was cut off). */
  readonly lost: number;
  readonly expired: number;
  readonly failures: number;
}

/**
 * A source of keys shared with peers. Every failure is a KeySourceError.
 * A key is handed out at most once by `draw` and at most once by `redeem`.
 */
export interface KeySource {
  readonly kind: string;
  /** Our own SAE ID. */
  readonly sae: string;
  /** True when no physical QKD link makes its keys; a source that has to ask says so once it knows. */
  readonly simulated: boolean;
  /** Takes a fresh key shared with `peer` (we are the master SAE). */
  draw(peer: string, options?: CallOptions): Promise<QkdKey>;
  /** Takes `count` fresh keys in one request. All of them or none. */
  drawMany?(peer: string, count: number, options?: CallOptions): Promise<QkdKey[]>;
  /** Takes the key that `peer` (the master SAE) announced by its id (we are the slave SAE). */
  redeem(peer: string, id: string, options?: CallOptions): Promise<QkdKey>;
  status(peer: string, options?: CallOptions): Promise<SourceStatus>;
  readonly counters: SourceCounters;
  /** Wipes what is held; later calls fail with ERR_QKD_CLOSED. */
  close(): void;
}
