/** What the page shows, as it travels to the browser: plain values, no key, no key_ID. */

export interface Figures {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** Whether any key here comes from a simulation. */
  readonly simulated: boolean;
  readonly standing: Standing;
  /** Undefined where a generator stands in for a link. */
  readonly link?: LinkFigures;
  readonly kmes: readonly KmeFigures[];
  readonly stock: readonly StockFigures[];
  readonly deliveries: readonly DeliveryRow[];
  /** Blocks that ended since the figures before, oldest first; in the first figures all that are remembered. */
  readonly blocks: readonly BlockFigures[];
  /** Likewise. */
  readonly samples: readonly Sample[];
}

export interface Standing {
  /** `failing`: no key can be stored or delivered. `degraded`: keys have run out, or none are made. */
  readonly status: "ok" | "degraded" | "failing";
  readonly reasons: readonly Reason[];
}

export interface Reason {
  readonly code: "store_failed" | "stock_empty" | "link_apart" | "link_without_key" | "link_silent";
  /** For people. */
  readonly text: string;
}

export interface LinkFigures {
  readonly preset?: string;
  readonly lengthKm?: number;
  /** Undefined where this end of the link cannot know who is in it. */
  readonly fibre?: FibreFigures;
  /** Whether the fibre may be changed from the page. */
  readonly hasControls: boolean;
  readonly qberThreshold: number;
  /** Key for delivery made in the latest half minute. */
  readonly keyBitsPerSecond: number;
  readonly authentication: Readonly<Record<"send" | "receive", AccountFigures>>;
  /** How often the parties had to begin anew, and why they stopped last. */
  readonly sessions: { readonly opened: number; readonly lastStop?: string };
  /** Blocks since the start by what became of them. */
  readonly outcomes: readonly { readonly outcome: string; readonly count: number }[];
}

/** Also what the controls send. */
export interface FibreFigures {
  readonly lengthKm: number;
  /** Share of pulses that are intercepted and sent again. */
  readonly interceptShare: number;
  /** Photon-number splitting: share of single-photon pulses that are stopped; 0 for none. */
  readonly splitShare: number;
  readonly addedLossDb: number;
  readonly cut: boolean;
}

/** Authentication key in bits. */
export interface AccountFigures {
  readonly bootstrapBits: number;
  readonly earnedBits: number;
  readonly spentBits: number;
  readonly droppedBits: number;
  readonly reserveBits: number;
}

export interface KmeFigures {
  readonly id: string;
  readonly saes: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  readonly refused: readonly { readonly status: number; readonly count: number }[];
}

/** Stock in one direction. */
export interface StockFigures {
  readonly label: string;
  readonly blocks: number;
  readonly maxBlocks: number;
  readonly blockBytes: number;
}

/** Keys since the start. */
export interface DeliveryRow {
  readonly master: string;
  readonly slave: string;
  /** By `enc_keys`. */
  readonly drawn: number;
  /** By `dec_keys`. */
  readonly redeemed: number;
}

export interface BlockFigures {
  readonly at: number;
  readonly block: number;
  readonly outcome: string;
  /** Undefined where nothing was judged. */
  readonly qberCheck?: number;
  readonly qberKey?: number;
  readonly qberThreshold: number;
  readonly siftedBits: number;
  readonly leakedBits: number;
  readonly secretBits: number;
}

export interface Sample {
  readonly at: number;
  /** In the order of `stock`. */
  readonly blocks: readonly number[];
  readonly keyBitsPerSecond: number;
}
