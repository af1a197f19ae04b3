/** What the page, the metrics and the health look at. */

import type { DeliveryFigures } from "../deliveries.ts";
import type { LinkStatus, SimulatedLink } from "../link.ts";
import type { KeyStore } from "../store.ts";

export interface Watched {
  /** One KME or two. */
  readonly kmes: readonly WatchedKme[];
  /** Undefined where a generator stands in for a link. */
  readonly link?: WatchedLink | undefined;
}

export interface WatchedKme {
  readonly id: string;
  /** The KME at the other end of the link; its own where the link leads back. */
  readonly peer: string;
  readonly saes: readonly string[];
  readonly store: KeyStore;
  readonly deliveries: DeliveryFigures;
}

/** A link, or one end of it. */
export interface WatchedLink {
  readonly status: Omit<LinkStatus, "preset" | "fibre"> &
    Partial<Pick<LinkStatus, "preset" | "fibre">> & {
      /** What an end in a process of its own is connected to. */
      readonly connected?: Readonly<Record<"fibre" | "channel" | "peer", boolean>>;
    };
  /** Whoever can lay the fibre knows who is in it; one end of a link knows neither. */
  readonly lay?: SimulatedLink["lay"];
}
