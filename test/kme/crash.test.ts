import { type ChildProcess, fork } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Tally } from "../../src/kme/records.ts";
import type { IssuedKey } from "../../src/kme/store.ts";
import { fuzz } from "../support/fuzz.ts";

const { numRuns: KILLS, seed } = fuzz(25);
/** In memory where there is such a place: what a killed process wrote is there all the same, and it is quicker. */
const root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "qkd-tls-crash-"));
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(root, { recursive: true });
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
const below = chooser(seed);

/** Time goes on by a minute with each start, so that what lay there before counts as settled. */
let starts = 0;

class End {
  readonly name: Name;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, { resolve: (value: any) => void; reject: (error: Error) => void }>();
  readonly gone: Promise<void>;

  static async start(name: Name): Promise<End> {
    const now = 1_700_000_000_000 + 60_000 * starts++;
    const child = fork("test/support/store-end.mjs", [join(root, name), String(now)], { execArgv: [] });
    running.add(child);
    const end = new End(name, child);
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("exit", (code) => reject(new Error(`the end ${name} did not open (${code})`)));
    });
    child.on("message", (message: any) => void end.#hear(message));
    return end;
  }

  private constructor(name: Name, child: ChildProcess) {
    this.name = name;
    this.#child = child;
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
    happened();
    if (what === undefined) {
      const asking = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (failed === undefined) asking?.resolve(answer);
      else asking?.reject(new Error(failed));
      return;
    }
    // The network between the two: what one end asks, the other end answers, if it is there.
    const reply = await ends[other(this.name)].ask(what, given).then(
      (answer) => ({ answer }),
      () => ({ failed: true }),
    );
    if (this.#child.connected) this.#child.send({ id, ...reply }, () => undefined);
  }
}

const ends = {} as Record<Name, End>;
const start = async (name: Name): Promise<void> => void (ends[name] = await End.start(name));

/** Kills after so many messages. */
let fuse = Infinity;
const isArmed = (): boolean => fuse > 0;
let victims: readonly Name[] = [];
let struck: Promise<unknown> = Promise.resolve();

function happened(): void {
  if (--fuse === 0) struck = Promise.all(victims.map((name) => ends[name].kill()));
}

/** What has left: for each side, every key that an SAE was given there, and how often. */
const issued: Record<Name, Map<string, string>> = { a: new Map(), b: new Map() };
const delivered: Record<Name, Map<string, string>> = { a: new Map(), b: new Map() };
const givenTwice: string[] = [];
const bytesSeen: Record<Name, Set<string>> = { a: new Set(), b: new Set() };

/** Key bytes come once at each side, whatever they are called: as a master's key or as a slave's. */
function give(name: Name, to: Map<string, string>, keys: Given): void {
  if (typeof keys === "string") return;
  for (const { id, key } of keys) {
    if (to.has(id) || bytesSeen[name].has(key)) givenTwice.push(`${id} at ${name}`);
    to.set(id, key);
    bytesSeen[name].add(key);
  }
}

/** An SAE at one side draws a key, the SAE at the other fetches it, twice at once. */
async function exchange(name: Name): Promise<Given> {
  const request = { master: `sae-${name}`, slaves: [`sae-${other(name)}`], number: 1 + below(2), bytes: 32 };
  const keys = await ends[name].ask<Given>("issue", request);
  give(name, issued[name], keys);
  if (typeof keys === "string") return keys;
  const ids = keys.map(({ id }) => id);
  await Promise.allSettled([fetchKeys(name, ids), fetchKeys(name, ids)]);
  return keys;
}

async function fetchKeys(issuer: Name, ids: readonly string[]): Promise<void> {
  const at = other(issuer);
  const request = { slave: `sae-${at}`, master: `sae-${issuer}`, ids };
  give(at, delivered[at], await ends[at].ask<Given>("deliver", request));
}

/** The link makes blocks and puts them at both ends, if they are there. */
async function make(count: number): Promise<void> {
  for (const name of SIDES) {
    const blocks = Array.from({ length: count }, () => ({
      id: randomUUID(),
      key: randomBytes(32).toString("hex"),
    }));
    const at = (end: Name, direction: string) =>
      ends[end].ask(
        "put",
        blocks.map((block) => ({ ...block, direction })),
      );
    await Promise.allSettled([at(name, "outgoing"), at(other(name), "incoming")]);
  }
}

const conserved = ({ counters, stored, incoming }: Count): number => {
  const { waiting, doubtful, delivered, expired, wasted, lost } = counters;
  return stored + incoming + waiting + doubtful + delivered + expired + wasted + lost;
};

test(`no key is given twice, or lost and still there, though processes are killed ${KILLS} times`, async () => {
  await Promise.all(SIDES.map(start));
  const madeBefore: Record<Name, number> = { a: 0, b: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    victims = ([["a"], ["b"], ["a", "b"]] as const)[below(3)]!;
    fuse = 1 + below(40);
    while (isArmed()) {
      await make(4);
      await Promise.allSettled([exchange("a"), exchange("b"), exchange("a"), exchange("b")]);
    }
    await struck;
    fuse = Infinity;
    await Promise.all(victims.map(start));
    // Whoever got no answer asks again, and who got one tries it too.
    for (const name of SIDES) {
      for (const id of [...issued[name].keys()].slice(-6)) await fetchKeys(name, [id]);
      const count = await ends[name].ask<Count>("count");
      expect(conserved(count)).toBe(count.counters.made);
      expect(count.counters.made).toBeGreaterThanOrEqual(madeBefore[name]);
      madeBefore[name] = count.counters.made;
    }
    expect(givenTwice).toEqual([]);
  }

  // Once all is quiet and both have settled, both name the same stock, and all of it can be given, once.
  await Promise.all(SIDES.map((name) => ends[name].close()));
  await Promise.all(SIDES.map(start));
  await Promise.all([exchange("a"), exchange("b")]);
  for (const name of SIDES) {
    const [own, theirs] = await Promise.all([
      ends[name].ask<Count>("count"),
      ends[other(name)].ask<Count>("count"),
    ]);
    expect(own.stored).toBe(theirs.incoming);
    expect(own.counters.doubtful).toBe(0);
    for (let left = own.stored; left > 0; ) {
      const keys = await exchange(name);
      if (keys === "insufficient") break;
      if (typeof keys === "string") throw new Error(keys);
      left -= keys.length;
    }
    for (const [id, key] of delivered[other(name)]) expect(issued[name].get(id)).toBe(key);
  }
  expect(givenTwice).toEqual([]);
  expect(issued.a.size + issued.b.size).toBeGreaterThan(KILLS);
  await Promise.all([ends.a.close(), ends.b.close()]);
}, 600_000);
