/** Two KMEs and the link between them, in one process. */

import { UsageError } from "../protocol/errors.ts";
import { onlyKnown } from "../protocol/options.ts";
import type { KmeLimits } from "./api.ts";
import { type Generator, type GeneratorOptions, type KeyFeed, sharedGenerator } from "./feed.ts";
import { type SimulatedLink, simulatedLink, type SimulatedLinkOptions } from "./link.ts";
import { type Place, within } from "./place.ts";
import { type Kme, type Listen, type ServerLimits, startKme } from "./server.ts";
import { type KeyStore, keyStore, openKeyStore, type StoreOptions } from "./store.ts";

/**
 * A simulated link; or, where `keysPerSecond`, `initialKeys` or `tickMs` is given, a random generator in place of it,
 * which gives an exact number of keys. Options of both are refused.
 */
export interface LinkOptions extends GeneratorOptions, SimulatedLinkOptions, Omit<StoreOptions, "feed"> {}

export interface LinkedStores {
  readonly a: KeyStore;
  readonly b: KeyStore;
  /** Lets the link deliver up to this many keys each way at once; a simulated one, some blocks of them. */
  fill(count: number): void;
  /** The link, unless a generator stands in for it. */
  readonly link: SimulatedLink | undefined;
}

/** The stores of two KMEs, fed by one simulated link. Throws UsageError for options out of range. */
export function linkedStores(options: LinkOptions = {}): LinkedStores {
  const { link, store } = split(options);
  return linked(keyStore({ ...store, feed: link.a }), keyStore({ ...store, feed: link.b }), link);
}

/** The same in two places, `a` and `b` in the one given. Throws UsageError likewise, and StoreError. */
export async function openLinkedStores(options: LinkOptions, place: Place): Promise<LinkedStores> {
  demandFresh(options);
  const { link, store } = split(options);
  const a = await openKeyStore({ ...store, feed: link.a, place: within(place, "a") });
  try {
    return linked(a, await openKeyStore({ ...store, feed: link.b, place: within(place, "b") }), link);
  } catch (error) {
    await a.close();
    throw error;
  }
}

export interface LoopStore {
  readonly store: KeyStore;
  fill(count: number): void;
  /** As in LinkedStores. */
  readonly link: SimulatedLink | undefined;
}

/** The store of a KME that serves both SAEs itself: a link that leads back. Throws UsageError likewise. */
export function loopStore(options: LinkOptions = {}): LoopStore {
  const { link, store } = split(options);
  return looped(keyStore({ ...store, feed: loop(link) }), link);
}

/** The same in the place `loop` in the one given. Throws UsageError likewise, and StoreError. */
export async function openLoopStore(options: LinkOptions, place: Place): Promise<LoopStore> {
  demandFresh(options);
  const { link, store } = split(options);
  const feed = loop(link);
  return looped(await openKeyStore({ ...store, feed, place: within(place, "loop") }), link);
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
  /** Where their keys outlast the process; without it they lie in memory. */
  readonly place?: Place;
  /** The pairs of SAEs that may share keys; default: each of A with each of B. */
  readonly allow?: readonly (readonly [sae: string, sae: string])[];
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

/** Starts two linked KMEs. Throws UsageError or StoreError when one cannot start; then neither runs. */
export async function startPair(options: PairOptions): Promise<KmePair> {
  onlyKnown(options, ["ca", "a", "b", "link", "place", "allow", "limits", "server"], "startPair");
  const { ca, allow, limits, server, link, place } = options;
  const stores = place === undefined ? linkedStores(link) : await openLinkedStores(link ?? {}, place);
  const closeStores = async (): Promise<void> => {
    await Promise.all([stores.a.close(), stores.b.close()]);
  };
  const start = (own: Member, other: Member, store: KeyStore): Promise<Kme> =>
    startKme({
      ...own,
      ca,
      links: [{ kme: other.id, saes: other.saes, store }],
      ...(allow && { allow }),
      ...(limits && { limits }),
      ...(server && { server }),
    });
  const started = await Promise.allSettled([
    start(options.a, options.b, stores.a),
    start(options.b, options.a, stores.b),
  ]);
  const [a, b] = started;
  if (a.status === "fulfilled" && b.status === "fulfilled") {
    // Whoever asks at once finds keys.
    await stores.link?.ready;
    return {
      a: a.value,
      b: b.value,
      stores,
      async close() {
        await Promise.all([a.value.close(), b.value.close()]);
        await closeStores();
      },
    };
  }
  for (const one of started) if (one.status === "fulfilled") await one.value.close();
  await closeStores();
  throw a.status === "rejected" ? a.reason : b.status === "rejected" ? b.reason : new Error("unreachable");
}

function linked(a: KeyStore, b: KeyStore, link: Generator | SimulatedLink): LinkedStores {
  connect(a, b);
  connect(b, a);
  return { a, b, fill: (count) => link.fill(count), link: "lay" in link ? link : undefined };
}

function looped(store: KeyStore, link: Generator | SimulatedLink): LoopStore {
  connect(store, store);
  return { store, fill: (count) => link.fill(count), link: "lay" in link ? link : undefined };
}

/** One feed that hands what arrives at both ends to one sink. */
function loop({ a, b }: Generator): KeyFeed {
  return {
    ...a,
    start(sink) {
      a.start(sink);
      b.start(sink);
    },
    stop() {
      a.stop();
      b.stop();
    },
  };
}

function connect(from: KeyStore, to: KeyStore): void {
  from.connect({
    async announce(issue) {
      if (!(await to.accept(issue))) throw new Error("the other end lacks a block of this issue");
    },
    withdraw: (keys) => to.withdraw(keys),
    agree: (blocks) => to.agree(blocks),
  });
}

/** A seed gives the same keys under the same ids again: a store that lasts has given them out before. */
function demandFresh({ seed }: LinkOptions): void {
  if (seed === undefined) return;
  throw new UsageError("ERR_OPTION_INVALID", "keys of a seed are not kept: they come again", {
    option: "seed",
  });
}

const OF_GENERATOR = ["keysPerSecond", "initialKeys", "tickMs"];
const OF_STORE = ["maxStored", "maxAgeMs", "maxHeld", "holdMs", "now"];

function split(options: LinkOptions): {
  readonly link: Generator | SimulatedLink;
  readonly store: Omit<StoreOptions, "feed">;
} {
  const entries = Object.entries(options);
  const pick = (ofStore: boolean): object =>
    Object.fromEntries(entries.filter(([name]) => OF_STORE.includes(name) === ofStore));
  const isGenerator = entries.some(([name]) => OF_GENERATOR.includes(name));
  return { link: (isGenerator ? sharedGenerator : simulatedLink)(pick(false)), store: pick(true) };
}
