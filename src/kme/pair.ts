/** Two KMEs and the link between them, in one process. */

import { onlyKnown } from "../protocol/options.ts";
import type { KmeLimits } from "./api.ts";
import { type GeneratorOptions, sharedGenerator } from "./feed.ts";
import { type Kme, type Listen, type ServerLimits, startKme } from "./server.ts";
import { type KeyStore, keyStore, type StoreOptions } from "./store.ts";

export interface LinkOptions extends GeneratorOptions, Omit<StoreOptions, "feed"> {}

export interface LinkedStores {
  readonly a: KeyStore;
  readonly b: KeyStore;
  /** Lets the link deliver up to this many keys each way at once. */
  fill(count: number): void;
}

/** The stores of two KMEs, fed by one simulated link. Throws UsageError for options out of range. */
export function linkedStores(options: LinkOptions = {}): LinkedStores {
  const { generator, store } = split(options);
  const link = sharedGenerator(generator);
  const a = keyStore({ ...store, feed: link.a });
  const b = keyStore({ ...store, feed: link.b });
  announce(a, b);
  announce(b, a);
  return { a, b, fill: (count) => link.fill(count) };
}

/** The store of a KME that serves both SAEs itself: a link that leads back. Throws UsageError likewise. */
export function loopStore(options: LinkOptions = {}): { store: KeyStore; fill(count: number): void } {
  const { generator, store } = split(options);
  const link = sharedGenerator(generator);
  let start = (): void => undefined;
  const both = keyStore({
    ...store,
    feed: {
      ...link.a,
      start(sink) {
        link.a.start(sink);
        start = () => link.b.start(sink);
      },
    },
  });
  start();
  announce(both, both);
  return { store: both, fill: (count) => link.fill(count) };
}

export interface Member {
  readonly id: string;
  readonly listen: Listen;
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** The SAEs that it serves. */
  readonly saes: readonly string[];
}

export interface PairOptions {
  readonly ca: string | Uint8Array;
  readonly a: Member;
  readonly b: Member;
  readonly link?: LinkOptions;
  readonly limits?: KmeLimits;
  readonly server?: ServerLimits;
}

export interface KmePair {
  readonly a: Kme;
  readonly b: Kme;
  readonly stores: LinkedStores;
  /** Ends both, and wipes what they hold. */
  close(): Promise<void>;
}

/** Starts two linked KMEs. Throws UsageError when one cannot start; then neither runs. */
export async function startPair(options: PairOptions): Promise<KmePair> {
  onlyKnown(options, ["ca", "a", "b", "link", "limits", "server"], "startPair");
  const { ca, limits, server } = options;
  const stores = linkedStores(options.link);
  const closeStores = (): void => {
    stores.a.close();
    stores.b.close();
  };
  const start = (own: Member, other: Member, store: KeyStore): Promise<Kme> =>
    startKme({
      ...own,
      ca,
      links: [{ kme: other.id, saes: other.saes, store }],
      ...(limits && { limits }),
      ...(server && { server }),
    });
  const started = await Promise.allSettled([
    start(options.a, options.b, stores.a),
    start(options.b, options.a, stores.b),
  ]);
  const [a, b] = started;
  if (a.status === "fulfilled" && b.status === "fulfilled") {
    return {
      a: a.value,
      b: b.value,
      stores,
      async close() {
        await Promise.all([a.value.close(), b.value.close()]);
        closeStores();
      },
    };
  }
  for (const one of started) if (one.status === "fulfilled") await one.value.close();
  closeStores();
  throw a.status === "rejected" ? a.reason : b.status === "rejected" ? b.reason : new Error("unreachable");
}

function announce(from: KeyStore, to: KeyStore): void {
  from.connect({
    async announce(issue) {
      if (!to.accept(issue)) throw new Error("the other end lacks a block of this issue");
    },
  });
}

function split(options: LinkOptions): { generator: GeneratorOptions; store: Omit<StoreOptions, "feed"> } {
  const ofGenerator = ["keysPerSecond", "initialKeys", "blockBytes", "tickMs"];
  const entries = Object.entries(options);
  const pick = (mine: boolean): object =>
    Object.fromEntries(entries.filter(([name]) => ofGenerator.includes(name) === mine));
  return { generator: pick(true), store: pick(false) };
}
