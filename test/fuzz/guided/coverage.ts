/** Which code an input runs through, counted by V8 itself: no library, no changed source, on every Node. */
import { Session, type Profiler } from "node:inspector";

/** Counts up to this power of two are told apart. */
const MOST = 6;
/** Ways through one function that are told apart; a loop over anything would have no end of them. */
const WAYS = 300;

const holds = ({ startOffset, endOffset }: Profiler.CoverageRange, { start, end }: Block): boolean =>
  startOffset <= start && end <= endOffset;

interface Block {
  readonly start: number;
  readonly end: number;
  reached: boolean;
}

export class Coverage {
  readonly #concerns: (url: string) => boolean;
  readonly #session = new Session();
  readonly #ways = new Map<string, Set<string>>();
  readonly #blocks = new Map<string, Map<string, Block>>();
  readonly #ours = new Map<string, boolean>();

  /** Begins to count. A function that ran before is counted as a whole: load the code afterwards. */
  constructor(concerns: (url: string) => boolean) {
    this.#concerns = concerns;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Blocks of code that were reached so far, each by a name of its own. */
  get blocks(): ReadonlySet<string> {
    const reached = new Set<string>();
    for (const [name, ofOne] of this.#blocks) {
      for (const [key, block] of ofOne) if (block.reached) reached.add(`${name} ${key}`);
    }
    return reached;
  }

  /** Begins anew: what was seen so far counts as new again. */
  forget(): void {
    this.take();
    this.#ways.clear();
    this.#blocks.clear();
  }

  /**
   * Whether anything that ran since the last call went another way through a function than ever before: other
   * blocks, or the same ones much more or much less often.
   */
  take(): boolean {
    return this.#each((name, ranges) => this.#isNewWay(name, ranges));
  }

  /** Whether all that ran since the last call, taken together, reached a block that nothing reached before. */
  takeBlocks(): boolean {
    return this.#each((name, ranges) => this.#isNewBlock(name, ranges));
  }

  stop(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** True when any function of ours that ran is new in this sense. */
  #each(isNew: (name: string, ranges: readonly Profiler.CoverageRange[]) => boolean): boolean {
    const { result } = this.#post("Profiler.takePreciseCoverage") as Profiler.TakePreciseCoverageReturnType;
    let any = false;
    for (const { scriptId, url, functions } of result) {
      let ours = this.#ours.get(scriptId);
      if (ours === undefined) this.#ours.set(scriptId, (ours = this.#concerns(url)));
      if (!ours) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        if (isNew(`${scriptId} ${whole.startOffset}`, ranges)) any = true;
      }
    }
    return any;
  }

  #isNewWay(name: string, ranges: readonly Profiler.CoverageRange[]): boolean {
    let ways = this.#ways.get(name);
    if (ways === undefined) this.#ways.set(name, (ways = new Set()));
    let way = "";
    for (const { startOffset, endOffset, count } of ranges) {
      way += `${startOffset}-${endOffset}:${Math.min(32 - Math.clz32(count), MOST)} `;
    }
    if (ways.has(way) || ways.size >= WAYS) return false;
    ways.add(way);
    this.#isNewBlock(name, ranges);
    return true;
  }

  /** V8 leaves out a block that ran as often as the one around it: it was reached where it is in none that was not. */
  #isNewBlock(name: string, ranges: readonly Profiler.CoverageRange[]): boolean {
    const known = this.#blocks.get(name) ?? new Map<string, Block>();
    this.#blocks.set(name, known);
    for (const { startOffset: start, endOffset: end } of ranges) {
      const key = `${start}-${end}`;
      if (!known.has(key)) known.set(key, { start, end, reached: false });
    }
    const missed = ranges.filter(({ count }) => count === 0);
    let isNew = false;
    for (const block of known.values()) {
      if (block.reached || missed.some((range) => holds(range, block))) continue;
      block.reached = true;
      isNew = true;
    }
    return isNew;
  }

  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    // The session is of this very thread, so the answer comes before `post` returns.
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  }
}
