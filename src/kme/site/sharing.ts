/**
 * How a block of the link comes into the stock of two sites without either issuing from a piece that the other lacks:
 * the site that will not issue from a piece puts it first, durably, and says so; then the other one puts it. Whatever is
 * interrupted in between leaves a piece that nobody issues from, which the next agreement on stock drops.
 */

import { wipe } from "../../protocol/bytes.ts";
import type { Block, BlockSink } from "../feed.ts";
import { cutKey, isFromA } from "../link-keys.ts";
import type { Site } from "./fibre-messages.ts";
import { type LinkBlock, type PeerLink, sameBlock } from "./peer-calls.ts";

export interface SharingOptions {
  readonly site: Site;
  readonly blockBytes: number;
  /** Undefined once the store is closed. */
  readonly sink: () => BlockSink | undefined;
  readonly peer: Pick<PeerLink, "land">;
}

/** How long the other site is waited for: its end of the block, or its word that it has put its pieces. */
const PATIENCE_MS = 3000;
/** Blocks that wait for their other end, or of which the other end asks before they are there. */
const MOST_WAITING = 4;

/** Pieces that the other site will issue from, until it says that it has them too. */
interface Pending extends LinkBlock {
  readonly pieces: readonly Block[];
  readonly late: NodeJS.Timeout;
}

/** The other site was quicker. */
interface Early extends LinkBlock {
  readonly count: number;
  readonly resolve: (count: number) => void;
  readonly late: NodeJS.Timeout;
}

export class Sharing {
  readonly #options: SharingOptions;
  #pending: readonly Pending[] = [];
  #early: readonly Early[] = [];
  /** One block after the other, so that the room for one is not given twice. */
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  /** A block of key, as this site has it; taken over. */
  take(block: LinkBlock, key: Uint8Array): void {
    const { site, blockBytes } = this.#options;
    const pieces = cutKey(key, { ...block, blockBytes });
    wipe(key);
    const isOurs = (at: number): boolean => isFromA(at) === (site === "a");
    const [ours, theirs] = [true, false].map((wanted) => pieces.filter((_, at) => isOurs(at) === wanted)) as [
      Block[],
      Block[],
    ];
    if (this.#isClosed) return wipePieces(pieces);
    this.#keep(block, theirs);
    this.#last = this.#last.then(() => this.#issueFrom(block, ours));
  }

  /** The other site is about to issue from the first `count` pieces that are its own: how many of them are here now. */
  async land(block: LinkBlock, count: number): Promise<number> {
    if (this.#isClosed) return 0;
    const pending = this.#pending.find((each) => sameBlock(each, block));
    if (pending !== undefined) return this.#put(pending, count);
    if (this.#early.length >= MOST_WAITING) return 0;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#giveUp(early), PATIENCE_MS);
      const early: Early = { ...block, count, resolve, late };
      this.#early = [...this.#early, early];
    });
  }

  /** Fulfilled once what was taken before is in our stock, or is lost. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Wipes what waits. */
  close(): void {
    this.#isClosed = true;
    for (const pending of this.#pending) this.#drop(pending);
    for (const early of this.#early) this.#giveUp(early);
  }

  #keep(block: LinkBlock, pieces: readonly Block[]): void {
    const late = setTimeout(() => this.#drop(pending), 2 * PATIENCE_MS);
    const pending: Pending = { ...block, pieces, late };
    const [oldest] = this.#pending.slice(0, this.#pending.length - MOST_WAITING + 1);
    if (oldest !== undefined) this.#drop(oldest);
    this.#pending = [...this.#pending, pending];
    for (const early of this.#early.filter((each) => sameBlock(each, block))) {
      this.#forget(early);
      void this.#put(pending, early.count).then(early.resolve);
    }
  }

  async #put(pending: Pending, count: number): Promise<number> {
    clearTimeout(pending.late);
    this.#pending = this.#pending.filter((each) => each !== pending);
    const sink = this.#options.sink();
    const fits = Math.max(0, Math.min(count, sink?.room("incoming") ?? 0));
    const [put, rest] = [pending.pieces.slice(0, fits), pending.pieces.slice(fits)];
    wipePieces(rest);
    for (const piece of put) sink?.put("incoming", piece);
    await sink?.landed();
    return put.length;
  }

  async #issueFrom(block: LinkBlock, pieces: readonly Block[]): Promise<void> {
    const { sink, peer } = this.#options;
    const fits = Math.max(0, Math.min(pieces.length, sink()?.room("outgoing") ?? 0));
    // A promise that is rejected, or that nobody can tell about: then the other site alone has them.
    const landed = fits === 0 ? 0 : await peer.land(block, fits).catch(() => 0);
    const to = this.#isClosed ? undefined : sink();
    const puts = to === undefined ? 0 : Math.min(landed, fits);
    for (const piece of pieces.slice(0, puts)) to?.put("outgoing", piece);
    wipePieces(pieces.slice(puts));
  }

  #drop(pending: Pending): void {
    clearTimeout(pending.late);
    this.#pending = this.#pending.filter((each) => each !== pending);
    wipePieces(pending.pieces);
  }

  #giveUp(early: Early): void {
    this.#forget(early);
    early.resolve(0);
  }

  #forget(early: Early): void {
    clearTimeout(early.late);
    this.#early = this.#early.filter((each) => each !== early);
  }
}

const wipePieces = (pieces: readonly Block[]): void => wipe(...pieces.map(({ key }) => key));
