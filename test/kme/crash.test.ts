import { type ChildProcess, fork } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Tally } from "../../src/kme/records.ts";
import type { IssuedKey } from "../../src/kme/issue.ts";
import { fuzz } from "../support/fuzz.ts";
import { postgresServer } from "../support/postgres.ts";

/** In memory where there is such a place: what a killed process wrote is there all the same, and it is quicker. */
const root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "qkd-tls-crash-"));
const running = new Set<ChildProcess>();
const postgres = await postgresServer();
if (typeof postgres === "string") console.log(`no process over PostgreSQL is killed: ${postgres}`);
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(root, { recursive: true });
  if (typeof postgres !== "string") await postgres.close();
});

type Name = "a" | "b";
const SIDES = ["a", "b"] as const;
const other = (name: Name): Name => (name === "a" ? "b" : "a");
interface Key extends Omit<IssuedKey, "key"> {
  readonly key: string;
}
type Given = readonly Key[] | string;
interface Count {
  readonly counters: Tally;
  readonly stored: number;
  readonly incoming: number;
}

/** The same choices for the same seed. */
function chooser(state: number): (below: number) => number {
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
/** Two ends of a link. */
interface Site {
  /** KME processes at each of them, over one store. */
  readonly processes: number;
  readonly kills: number;
  placeOf(name: Name): object;
}
const inDirectories: Site = {
  processes: 1,
  kills: fuzz(15).numRuns,
  placeOf: (name) => ({ directory: join(root, name) }),
};
const inPostgres: Site = {
  processes: 2,
  kills: fuzz(8).numRuns,
  placeOf: (name) => ({ url: typeof postgres === "string" ? "" : postgres.url(), name }),
};

/** What one end of a link tells and is asked, in a process of its own. */
class End {
  readonly name: Name;
  readonly #child: ChildProcess;
  readonly #network: Network;
  readonly #waiting = new Map<string, { resolve: (value: any) => void; reject: (error: Error) => void }>();
  readonly gone: Promise<void>;

  static async start(name: Name, place: object, network: Network): Promise<End> {
    const args = [JSON.stringify(place), String(network.time())];
    const child = fork("test/support/store-end.mjs", args, { execArgv: [] });
    running.add(child);
    const end = new End(name, child, network);
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("exit", (code) => reject(new Error(`the end ${name} did not open (${code})`)));
    });
    child.on("message", (message: any) => void end.#hear(message));
    return end;
  }

  private constructor(name: Name, child: ChildProcess, network: Network) {
    this.name = name;
    this.#child = child;
    this.#network = network;
    this.gone = new Promise((resolve) => {
      child.once("exit", () => {
        running.delete(child);
        for (const { reject } of this.#waiting.values()) reject(new Error("killed"));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  ask<T>(what: string, given?: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = randomUUID();
      this.#waiting.set(id, { resolve, reject });
      if (!this.#child.connected) return reject(new Error("killed"));
      this.#child.send({ id, what, given }, (error) => error && reject(error));
    });
  }

  get isGone(): boolean {
    return !running.has(this.#child);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.gone;
  }

  async close(): Promise<void> {
    await this.ask("close");
    this.#child.disconnect();
    await this.gone;
  }

  async #hear({ id, what, given, answer, failed }: any): Promise<void> {
    this.#network.happened();
    if (what === undefined) {
      const asking = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (failed === undefined) asking?.resolve(answer);
      else asking?.reject(new Error(failed));
      return;
    }
    // The network between the two: what one end asks, the other end answers, if it is there.
    const reply = await this.#network
      .end(other(this.name))
      .ask(what, given)
      .then(
        (answer) => ({ answer }),
        () => ({ failed: true }),
      );
    if (this.#child.connected) this.#child.send({ id, ...reply }, () => undefined);
  }
}

interface Network {
  /** Called at each message. */
  happened(): void;
  /** Some process at that end. */
  end(name: Name): End;
  time(): number;
}

const conserved = ({ counters, stored, incoming }: Count): number => {
  const { waiting, doubtful, delivered, expired, wasted, lost } = counters;
  return stored + incoming + waiting + doubtful + delivered + expired + wasted + lost;
};

/** Both ends, what their SAEs were given, and who is killed when. */
class Story implements Network {
  readonly #site: Site;
  readonly ends: Record<Name, End[]> = { a: [], b: [] };
  /** What has left: for each side, every key that an SAE was given there. */
  readonly issued: Record<Name, Map<string, string>> = { a: new Map(), b: new Map() };
  readonly delivered: Record<Name, Map<string, string>> = { a: new Map(), b: new Map() };
  readonly givenTwice: string[] = [];
  readonly #bytesSeen: Record<Name, Set<string>> = { a: new Set(), b: new Set() };
  /** Kills after so many messages. */
  #fuse = Infinity;
  #victims: readonly End[] = [];
  #struck: Promise<unknown> = Promise.resolve();
  #minutes = 0;
  readonly below = chooser(fuzz(1).seed);

  constructor(site: Site) {
    this.#site = site;
  }

  time(): number {
    return 1_700_000_000_000 + 60_000 * this.#minutes;
  }

  end(name: Name): End {
    return this.ends[name][this.below(this.#site.processes)] as End;
  }

  /** Starts whatever does not run. Time goes on by a minute, so that what lay there before counts as settled. */
  async start(): Promise<void> {
    this.#minutes++;
    const all = SIDES.flatMap((name) => this.ends[name]).filter((end) => !end.isGone);
    await Promise.all(all.map((end) => end.ask("time", this.time())));
    for (const name of SIDES) {
      const place = this.#site.placeOf(name);
      const runs = this.ends[name].filter((end) => !end.isGone);
      const started = Array.from({ length: this.#site.processes - runs.length }, () =>
        End.start(name, place, this),
      );
      this.ends[name] = [...runs, ...(await Promise.all(started))];
    }
  }

  async close(): Promise<void> {
    await Promise.all(SIDES.flatMap((name) => this.ends[name].map((end) => end.close())));
  }

  happened(): void {
    if (--this.#fuse === 0) this.#struck = Promise.all(this.#victims.map((end) => end.kill()));
  }

  /** Works until some process, or one at each end, was killed. */
  async untilKilled(): Promise<void> {
    const [a, b] = [this.end("a"), this.end("b")];
    this.#victims = [[a], [b], [a, b]][this.below(3)] as End[];
    this.#fuse = 1 + this.below(40);
    while (this.#fuse > 0) {
      await this.#make(4);
      const exchanges = (["a", "b", "a", "b"] as const).map((name) => this.exchange(name));
      await Promise.allSettled(exchanges);
    }
    await this.#struck;
    this.#fuse = Infinity;
  }

  /** An SAE at one side draws a key, the SAE at the other fetches it, twice at once. */
  async exchange(name: Name): Promise<Given> {
    const request = {
      master: `sae-${name}`,
      slaves: [`sae-${other(name)}`],
      number: 1 + this.below(2),
      bytes: 32,
    };
    const keys = await this.end(name).ask<Given>("issue", request);
    this.#give(name, this.issued[name], keys);
    if (typeof keys === "string") return keys;
    const ids = keys.map(({ id }) => id);
    await Promise.allSettled(
      this.ends[other(name)].flatMap((end) => [end, end]).map((end) => this.fetch(end, ids)),
    );
    return keys;
  }

  async fetch(at: End, ids: readonly string[]): Promise<void> {
    const request = { slave: `sae-${at.name}`, master: `sae-${other(at.name)}`, ids };
    this.#give(at.name, this.delivered[at.name], await at.ask<Given>("deliver", request));
  }

  /** Key bytes come once at each side, whatever they are called: as a master's key or as a slave's. */
  #give(name: Name, to: Map<string, string>, keys: Given): void {
    if (typeof keys === "string") return;
    for (const { id, key } of keys) {
      if (to.has(id) || this.#bytesSeen[name].has(key)) this.givenTwice.push(`${id} at ${name}`);
      to.set(id, key);
      this.#bytesSeen[name].add(key);
    }
  }

  /** The link makes blocks and puts them at both ends, if they are there. */
  async #make(count: number): Promise<void> {
    for (const name of SIDES) {
      const blocks = Array.from({ length: count }, () => ({
        id: randomUUID(),
        key: randomBytes(32).toString("hex"),
      }));
      const at = (end: Name, direction: string) =>
        this.end(end).ask(
          "put",
          blocks.map((block) => ({ ...block, direction })),
        );
      await Promise.allSettled([at(name, "outgoing"), at(other(name), "incoming")]);
    }
  }
}

const SITES: [what: string, site: Site][] = [[`are killed ${inDirectories.kills} times`, inDirectories]];
if (typeof postgres !== "string")
  SITES.push([`of which two work on each PostgreSQL store are killed ${inPostgres.kills} times`, inPostgres]);

test.each(SITES)(
  "no key is given twice, or lost and still there, though processes %s",
  async (_, site) => {
    const { kills } = site;
    const story = new Story(site);
    await story.start();
    const madeBefore: Record<Name, number> = { a: 0, b: 0 };
    for (let kill = 0; kill < kills; kill++) {
      await story.untilKilled();
      await story.start();
      // Whoever got no answer asks again, and who got one tries it too.
      for (const name of SIDES) {
        for (const id of [...story.issued[name].keys()].slice(-6))
          await story.fetch(story.end(other(name)), [id]);
        const count = await story.end(name).ask<Count>("count");
        expect(conserved(count)).toBe(count.counters.made);
        expect(count.counters.made).toBeGreaterThanOrEqual(madeBefore[name]);
        madeBefore[name] = count.counters.made;
      }
      expect(story.givenTwice).toEqual([]);
    }

    // Once all is quiet and both have settled, both name the same stock, and all of it can be given, once.
    await story.close();
    await story.start();
    await Promise.all([story.exchange("a"), story.exchange("b")]);
    for (const name of SIDES) {
      const [own, theirs] = await Promise.all([
        story.end(name).ask<Count>("count"),
        story.end(other(name)).ask<Count>("count"),
      ]);
      expect(own.stored).toBe(theirs.incoming);
      expect(own.counters.doubtful).toBe(0);
      for (let left = own.stored; left > 0; ) {
        const keys = await story.exchange(name);
        if (keys === "insufficient") break;
        if (typeof keys === "string") throw new Error(keys);
        left -= keys.length;
      }
      for (const [id, key] of story.delivered[other(name)]) expect(story.issued[name].get(id)).toBe(key);
    }
    expect(story.givenTwice).toEqual([]);
    expect(story.issued.a.size + story.issued.b.size).toBeGreaterThan(kills);
    await story.close();
  },
  600_000,
);
