import type { BlockFigures, Figures, Sample } from "../figures.ts";

const MOST_BLOCKS = 256;
const MOST_SAMPLES = 300;

/** The figures with what is new in them added to what was there before. */
export function joined(before: Figures, news: Figures): Figures {
  return {
    ...news,
    blocks: latest<BlockFigures>(before.blocks, news.blocks, MOST_BLOCKS),
    samples: latest<Sample>(before.samples, news.samples, MOST_SAMPLES),
  };
}

const latest = <T>(before: readonly T[], news: readonly T[], most: number): readonly T[] =>
  [...before, ...news].slice(-most);
