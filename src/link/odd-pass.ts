import { MAX_QUESTIONS } from "./cascade.ts";
import type { Bits } from "./bits.ts";
import { middleOf, type Partition } from "./partition.ts";

/** A pass with, for each interval, whether Bob's parity differs from Alice's: set at the start of an odd one. */
export interface OddPass {
  readonly partition: Partition;
  readonly odd: Bits;
  oddCount: number;
  /** Blocks whose parity Alice tells when the pass begins. */
  readonly toldBlocks: number;
}

/** Where intervals of one pass are cut in half. */
export interface Halves {
  readonly pass: OddPass;
  readonly starts: readonly number[];
}

/** Cuts of one interval in one message. */
const MAX_LEVELS = 6;
const MUCH_LONGER = 512;

export const sizeOf = (halves: readonly Halves[]): number =>
  halves.reduce((sum, { starts }) => sum + starts.length, 0);

/** Where the odd intervals of a pass start. */
export function oddStarts({ odd }: OddPass): number[] {
  const starts: number[] = [];
  for (let at = odd.nextSet(0); at < odd.length; at = odd.nextSet(at + 1)) {
    starts.push(at);
  }
  return starts;
}

/**
 * How often each odd interval is halved in one message: `levels` of them ask for 2^levels - 1 parities, where as many
 * messages would ask for `levels`.
 */
export function levelsFor(odd: number, roundTripBits: number): number {
  const gain = (levels: number) => (levels - 1) * roundTripBits - (2 ** levels - 1 - levels) * odd;
  let levels = 1;
  while (levels < MAX_LEVELS && gain(levels + 1) > gain(levels)) levels += 1;
  return levels;
}

/** Where to cut the odd intervals of a pass, in order: a whole one before its halves. */
export function cutsOf(pass: OddPass, levels: number): readonly number[] {
  const starts = oddStarts(pass);
  if (levels === 1) return starts;
  const cuts: number[] = [];
  const cut = (start: number, end: number, deeper: number): void => {
    if (deeper === 0 || end - start < 2) return;
    cuts.push(start);
    cut(start, middleOf(start, end), deeper - 1);
    cut(middleOf(start, end), end, deeper - 1);
  };
  for (const start of starts) cut(start, pass.partition.endOf(start), levels);
  return cuts;
}

/**
 * The cuts of several passes, as many as one message takes. `patient` leaves intervals for later that are far longer
 * than the shortest: their error may be found in a shorter one, for fewer parities.
 */
export function cutsOfAll(passes: readonly OddPass[], levels: number, patient: boolean): readonly Halves[] {
  const longest = patient ? MUCH_LONGER * shortestOf(passes) : Number.POSITIVE_INFINITY;
  let room = MAX_QUESTIONS;
  const cuts = passes.map((pass) => {
    const isShort = (start: number) => pass.partition.endOf(start) - start <= longest;
    const starts = (patient ? oddStarts(pass).filter(isShort) : cutsOf(pass, levels)).slice(0, room);
    room -= starts.length;
    return { pass, starts };
  });
  return cuts.filter(({ starts }) => starts.length > 0);
}

function shortestOf(passes: readonly OddPass[]): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (const pass of passes) {
    for (const start of oddStarts(pass)) shortest = Math.min(shortest, pass.partition.endOf(start) - start);
  }
  return shortest;
}
