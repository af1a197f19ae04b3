/** What is in doubt between the two ends of a link, and how they come to agree on it again. */

import type { DoubtRow, Transaction, Wanted } from "./records.ts";
import { discard } from "./spend.ts";
import type { KmeLink, Recipe } from "./issue.ts";

/** The two ends are not given a block at the same moment: before this the lack of one means nothing. */
export const SETTLING_MS = 10_000;
/** Another process that announces a key in a shared store has heard of it by then, or it was killed. */
const ABANDONED_MS = 30_000;

export interface SettlingOptions {
  /** Whether other processes announce keys from the same store. */
  readonly isShared: boolean;
  readonly now: () => number;
  readonly work: <T>(wanted: Wanted, work: (records: Transaction) => Promise<T>) => Promise<T>;
}

export class Settling {
  readonly #isShared: boolean;
  readonly #now: () => number;
  readonly #work: SettlingOptions["work"];
  /** Keys that are being announced right now. */
  readonly #announcing = new Set<string>();
  /** Keys whose announcement failed here. */
  readonly #failed = new Set<string>();
  /** How often there was a reason to compare notes with the other end, and up to which of them that was done. */
  #doubts = 1;
  #settled = 0;
  #comparing: Promise<boolean> | undefined;

  constructor({ isShared, now, work }: SettlingOptions) {
    this.#isShared = isShared;
    this.#now = now;
    this.#work = work;
  }

  /** There is a reason to compare notes. */
  doubt(): void {
    this.#doubts++;
  }

  /** Keys that are written down as doubtful are about to be announced. */
  begin(keys: readonly Recipe[]): void {
    for (const { id } of keys) this.#announcing.add(id);
  }

  /** Nobody will hand them out: the other end shall not, either. */
  fail(keys: readonly Recipe[]): void {
    for (const { id } of keys) this.#failed.add(id);
    this.#doubts++;
  }

  /** Their announcement is over, whatever became of it. */
  end(keys: readonly Recipe[]): void {
    for (const { id } of keys) this.#announcing.delete(id);
  }

  /** Notices what other processes left behind. */
  async notice(records: Transaction): Promise<void> {
    if (!this.#isShared) return;
    const abandoned = await records.oldest("doubt", Infinity, this.#now() - ABANDONED_MS);
    if (abandoned.some((id) => !this.#announcing.has(id))) this.#doubts++;
  }

  /**
   * Compares notes with the other end after a start or a failure: what is in doubt is spent at both ends, and what
   * one end lacks goes at the other. False when that end cannot be reached.
   */
  settle(link: KmeLink): Promise<boolean> {
    if (this.#settled === this.#doubts) return Promise.resolve(true);
    this.#comparing ??= this.#compare(link).finally(() => {
      this.#comparing = undefined;
    });
    return this.#comparing;
  }

  async #compare(link: KmeLink): Promise<boolean> {
    const upTo = this.#doubts;
    const failed = [...this.#failed];
    const { doubtful, blocks } = await this.#work({}, (records) => this.#notes(records));
    let lacking: ReadonlySet<string> = new Set();
    const reached = await succeeds(async () => {
      if (doubtful.length > 0) await link.withdraw(doubtful);
      lacking = new Set(await link.agree(blocks));
    });
    if (!reached) return false;
    await this.#work({ doubt: doubtful.map(({ id }) => id) }, async (records) => {
      for (const { id, blocks } of doubtful) {
        if (!(await records.has("doubt", id))) continue;
        records.remove("doubt", id);
        records.count("doubtful", -blocks.length);
        records.count("lost", blocks.length);
      }
      const settled = await records.oldest("outgoing", Infinity, this.#now() - SETTLING_MS);
      const lost = settled.filter((id) => lacking.has(id));
      await discard(records, "outgoing", lost, "lost");
    });
    // Also those that another process has withdrawn.
    for (const id of failed) this.#failed.delete(id);
    this.#settled = upTo;
    return true;
  }

  /** Keys that nobody announces any more, and blocks that keys can still be made of, or are being made of. */
  async #notes(records: Transaction): Promise<{ readonly doubtful: Recipe[]; readonly blocks: string[] }> {
    const doubtful: Recipe[] = [];
    const blocks = [...(await records.oldest("outgoing", Infinity))];
    for (const id of await records.oldest("doubt", Infinity)) {
      const row = await records.get("doubt", id);
      if (row === undefined) continue;
      if (this.#isUnderWay(id, row)) blocks.push(...row.blocks);
      else doubtful.push({ id, blocks: row.blocks });
    }
    return { doubtful, blocks };
  }

  /** Whether some process is announcing it right now: ours we know, and others get time for it. */
  #isUnderWay(id: string, { at }: DoubtRow): boolean {
    if (this.#announcing.has(id)) return true;
    return this.#isShared && !this.#failed.has(id) && at > this.#now() - ABANDONED_MS;
  }
}

export const succeeds = (work: () => Promise<void>): Promise<boolean> =>
  work().then(
    () => true,
    () => false,
  );
