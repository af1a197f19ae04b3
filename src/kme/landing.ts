/** Blocks on their way from the link into their tables. */

import { wipe } from "../protocol/bytes.ts";
import type { Block, Direction } from "./feed.ts";
import type { Backend } from "./records.ts";

interface Arrived {
  readonly direction: Direction;
  readonly block: Block;
  readonly at: number;
}

export class Landing {
  readonly #backend: Backend;
  #arriving: Arrived[] = [];
  readonly #size: Record<Direction, number> = { outgoing: 0, incoming: 0 };
  #landed: Promise<unknown> = Promise.resolve();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Blocks put by the link that are not in a table yet. */
  get size(): Readonly<Record<Direction, number>> {
    return this.#size;
  }

  /** Takes over the block. */
  put(direction: Direction, block: Block, at: number): void {
    this.#size[direction]++;
    this.#arriving.push({ direction, block, at });
    // What a link makes at once is put at once.
    if (this.#arriving.length === 1) queueMicrotask(() => void this.land());
  }

  /** Puts into the tables what arrived so far; work that is begun afterwards finds it there. Never rejects. */
  async land(): Promise<void> {
    const arrived = this.#arriving;
    this.#arriving = [];
    if (arrived.length === 0) return;
    const landing = this.#putAll(arrived);
    this.#landed = Promise.all([this.#landed, landing]);
    await landing;
  }

  /** Fulfilled once all that was put so far is where it outlasts a crash, or could not be put. */
  async landed(): Promise<void> {
    void this.land();
    await this.#landed;
  }

  async #putAll(arrived: readonly Arrived[]): Promise<void> {
    let isFlying = true;
    const landed = (): void => {
      if (isFlying) for (const { direction } of arrived) this.#size[direction]--;
      isFlying = false;
    };
    const idsOf = (direction: Direction): string[] =>
      arrived.filter((each) => each.direction === direction).map(({ block }) => block.id);
    const wanted = { outgoing: idsOf("outgoing"), incoming: idsOf("incoming") };
    try {
      await this.#backend.transact(async (records) => {
        for (const { direction, block, at } of arrived) {
          // One id is one block, whatever a link says: the first stays.
          if (await records.has(direction, block.id)) {
            wipe(block.key);
            continue;
          }
          records.put(direction, block.id, { key: block.key, at });
          records.count("made", 1);
        }
        records.afterwards(landed);
      }, wanted);
    } catch {
      // A store that cannot be written says so to whoever asks it for keys; the link need not know.
      for (const { block } of arrived) wipe(block.key);
      landed();
    }
  }
}
