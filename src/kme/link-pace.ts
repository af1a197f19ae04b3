/** The pace of a link: what a block is made of, when one is wanted, and how long to wait after one that gave nothing. */

import { anyClick, expectedCounts, type Optics, pulsesFor, settingsOf } from "../link/clicks.ts";
import { MOST_DETECTIONS } from "../link/sifting-messages.ts";
import { real, whole } from "../protocol/options.ts";
import type { BlockSink, Direction } from "./feed.ts";

export interface PaceOptions {
  /** Error rate above which a block gives no key; default 0.05, which the presets do not reach undisturbed. */
  readonly qberThreshold?: number;
  /** Key a piece in stock; default 32. */
  readonly blockBytes?: number;
  /** Bits of key before correction in the first block, until one has given key; default 360000. */
  readonly firstBits?: number;
  /** The same in later blocks; default 1000000. */
  readonly blockBits?: number;
}

export const PACE_OPTIONS = ["qberThreshold", "blockBytes", "firstBits", "blockBits"] as const;

/** The options with their defaults. Throws UsageError. */
export function checkedPace(options: PaceOptions): Required<PaceOptions> {
  return {
    qberThreshold: real(options, "qberThreshold", { fallback: 0.05, min: 0, max: 0.11 }),
    blockBytes: whole(options, "blockBytes", 32, 8, 1024),
    firstBits: whole(options, "firstBits", 360_000, 1000, 10_000_000),
    blockBits: whole(options, "blockBits", 1_000_000, 1000, 10_000_000),
  };
}

/** Clicks in one batch: a slice of work of some ten milliseconds. */
const BATCH_CLICKS = 100_000;
const MOST_BATCHES = 64;
/** A block whose pulses would take longer is sent with fewer. */
const MOST_PULSE_SECONDS = 20;
/** Their number takes 32 bits. */
const MOST_BATCH_PULSES = 2 ** 32 - 1;

/** How the pulses of a block are sent. */
export interface PulsePlan {
  readonly pulses: number;
  readonly batches: number;
}

/** How a block of so many bits is sent, as it would be undisturbed: nobody tells the parties of an adversary. */
export function pulsePlan({ fibre, source, receiver }: Optics, bits: number): PulsePlan {
  const { adversary: _, ...undisturbed } = fibre;
  const optics: Optics = { fibre: undisturbed, source, receiver };
  const all = Math.min(pulsesFor(optics, bits), MOST_PULSE_SECONDS * source.clockHz);
  const { key } = expectedCounts(optics, all);
  const clicks = key.detections.reduce((sum, each) => sum + each, 0) / source.keyBasisProbability ** 2;
  const least = Math.max(clicks / BATCH_CLICKS, all / MOST_BATCH_PULSES);
  const batches = Math.min(MOST_BATCHES, Math.max(1, Math.ceil(least)));
  return { pulses: Math.min(MOST_BATCH_PULSES, Math.ceil(all / batches)), batches };
}

/** Whether so many pulses over a fibre as it is now would click more often than a message, or a memory, can hold. */
export function isDazzling(optics: Optics, pulses: number): boolean {
  const { deadGates, afterPulseProbability } = optics.receiver;
  const light = settingsOf(optics).reduce((sum, each) => sum + each.probability * anyClick(each.clicks), 0);
  const rate = light / (1 - afterPulseProbability);
  return (pulses * rate) / (1 + rate * deadGates) > MOST_DETECTIONS / 2;
}

/** How many more blocks of stock fit at one end. */
export type Room = Readonly<Record<Direction, number>>;

export const roomOf = (sink: BlockSink): Room => ({
  outgoing: sink.room("outgoing"),
  incoming: sink.room("incoming"),
});

/** The stock is filled up again once this part of it is gone: a quarter. */
const REFILL_PARTS = 4;

/** When a block is wanted: one for each key that is taken would be work for nothing. */
export class Appetite {
  #mostRoom = 0;

  /** Whether a part of the stock is gone that is worth a block, where so many blocks of stock fit. */
  isFor(room: number): boolean {
    this.#mostRoom = Math.max(this.#mostRoom, room);
    return room > 0 && room >= this.#mostRoom / REFILL_PARTS;
  }
}

/** Pauses that are doubled each time, from `firstMs` up to `longestMs`. */
export class Pauses {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#nextMs = firstMs;
  }

  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(2 * ms, this.#longestMs);
    return ms;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

/** Pauses after a block without key, and after a stop. */
export const blockPauses = (): Pauses => new Pauses(100, 2000);
