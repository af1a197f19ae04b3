/** A reference KME (ETSI GS QKD 014) on a simulated link: to run, to test against, or to hold in the same process. */
export { type Kme, type KmeOptions, type ServerLimits, startKme } from "./server.ts";
export type { Listen } from "./listen.ts";
export {
  type KmeAnswer,
  type KmeApi,
  kmeApi,
  type KmeIdentity,
  type KmeLimits,
  type KmeRequest,
} from "./api.ts";
export {
  type KmePair,
  type LinkedStores,
  linkedStores,
  type LinkOptions,
  type Member,
  openLinkedStores,
  type PairOptions,
  startPair,
} from "./pair.ts";
export { type KeyStore, keyStore, openKeyStore, type StoreOptions } from "./store.ts";
export type { Block, BlockSink, Direction, KeyFeed } from "./feed.ts";
export type { Place } from "./place.ts";
export type { Tally } from "./records.ts";
export { type LinkStatus, type SimulatedLink, simulatedLink, type SimulatedLinkOptions } from "./link.ts";
export { type SiteLink, type SiteStatus, startSiteLink } from "./site/site-link.ts";
export type { Part, SiteLinkOptions } from "./site/site-options.ts";
export { type FibreOptions, type FibreProcess, startFibre } from "./site/fibre-process.ts";
export type { Endpoint } from "./site/endpoint.ts";
export { type Page, type PageOptions, startPage } from "./page/server.ts";
export type { Watched } from "./page/watched.ts";
export { LinkError, StoreError } from "../protocol/errors.ts";
