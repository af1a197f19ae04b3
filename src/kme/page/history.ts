/** What happened since the start, as far as it is remembered: the link's blocks, and the stock from time to time. */

import type { BlockRecord } from "../../link/block.ts";
import type { BlockFigures, Figures, Sample } from "./figures.ts";
import { type Remembered, stockOf, viewOf } from "./view.ts";
import type { Watched } from "./watched.ts";

const MOST_BLOCKS = 256;
/** Five minutes, a sample each second. */
const MOST_SAMPLES = 300;
/** The key rate is that of so long. */
const RATE_MS = 30_000;
/** At the very start one block is no rate yet. */
const SHORTEST_RATE_MS = 1000;

export interface Totals {
  readonly outcomes: ReadonlyMap<string, number>;
  /** Of privacy amplification; what became authentication key is among them. */
  readonly secretBits: number;
  readonly authenticationBits: number;
}

export interface HistoryOptions {
  /** Whether the fibre may be changed from the page. */
  readonly hasControls: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Looks at what is watched whenever it is told to. */
export class History {
  readonly #watched: Watched;
  readonly #hasControls: boolean;
  readonly #now: () => number;
  readonly #from: number;
  #lastSeen: BlockRecord | undefined;
  #lastBlockAt: number;
  #blocks: BlockFigures[] = [];
  #samples: Sample[] = [];
  /** Key for delivery, and when it was made. */
  #made: { readonly at: number; readonly bits: number }[] = [];
  readonly #outcomes = new Map<string, number>();
  #secretBits = 0;
  #authenticationBits = 0;

  constructor(watched: Watched, { hasControls, now = Date.now }: HistoryOptions) {
    this.#watched = watched;
    this.#hasControls = hasControls;
    this.#now = now;
    this.#from = now();
    this.#lastBlockAt = this.#from;
  }

  get totals(): Totals {
    return {
      outcomes: this.#outcomes,
      secretBits: this.#secretBits,
      authenticationBits: this.#authenticationBits,
    };
  }

  /** Notes what is new since the last look, and returns the figures with that alone. */
  look(): Figures {
    const at = this.#now();
    const blocks = this.#unseen().map((record) => this.#note(record, at));
    this.#blocks = [...this.#blocks, ...blocks].slice(-MOST_BLOCKS);
    const stock = stockOf(this.#watched).map((each) => each.blocks);
    const sample = { at, blocks: stock, keyBitsPerSecond: this.#rate(at) };
    this.#samples = [...this.#samples, sample].slice(-MOST_SAMPLES);
    return viewOf(this.#watched, this.#remembered(at, blocks, [sample]));
  }

  /** The figures now, with all that is remembered. */
  get whole(): Figures {
    return viewOf(this.#watched, this.#remembered(this.#now(), this.#blocks, this.#samples));
  }

  #unseen(): readonly BlockRecord[] {
    const history = this.#watched.link?.status.history ?? [];
    const seen = this.#lastSeen === undefined ? -1 : history.lastIndexOf(this.#lastSeen);
    this.#lastSeen = history.at(-1);
    return history.slice(seen + 1);
  }

  #note(record: BlockRecord, at: number): BlockFigures {
    const { block, outcome, qber, qberThreshold, siftedBits, leakedBits, secretBits } = record;
    this.#lastBlockAt = at;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    this.#secretBits += secretBits;
    this.#authenticationBits += record.authentication.earnedBits;
    this.#made.push({ at, bits: secretBits - record.authentication.earnedBits });
    return {
      at,
      block,
      outcome,
      ...(qber && { qberCheck: qber.check }),
      ...(qber?.key !== undefined && { qberKey: qber.key }),
      qberThreshold,
      siftedBits,
      leakedBits,
      secretBits,
    };
  }

  #rate(at: number): number {
    this.#made = this.#made.filter((each) => each.at > at - RATE_MS);
    const bits = this.#made.reduce((sum, each) => sum + each.bits, 0);
    return (1000 * bits) / Math.min(RATE_MS, Math.max(SHORTEST_RATE_MS, at - this.#from));
  }

  #remembered(at: number, blocks: readonly BlockFigures[], samples: readonly Sample[]): Remembered {
    return {
      at,
      sinceBlockMs: at - this.#lastBlockAt,
      keyBitsPerSecond: this.#rate(at),
      outcomes: this.#outcomes,
      blocks,
      samples,
      hasControls: this.#hasControls,
    };
  }
}
