import { join } from "node:path";
import { Command } from "commander";
import { afterEach, describe, expect, test } from "vitest";
import { registerKme } from "../../../src/cli/commands/kme.ts";
import type { KeyFeed } from "../../../src/kme/feed.ts";
import { type KeyStore, openKeyStore } from "../../../src/kme/store.ts";
import { fuzz } from "../../support/fuzz.ts";
import { type Name, other, Processes, type Side, SIDES } from "./three-processes.ts";

let processes: Processes | undefined;
afterEach(async () => {
  await processes?.close();
  processes = undefined;
});

/** The same choices for the same seed. */
function chooser(state: number): (below: number) => number {
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What SAEs were given, and whether any of it came twice. */
class Receipts {
  readonly issued: Record<Side, Map<string, string>> = { a: new Map(), b: new Map() };
  readonly delivered: Record<Side, Map<string, string>> = { a: new Map(), b: new Map() };
  readonly twice: string[] = [];
  readonly #bytes: Record<Side, Set<string>> = { a: new Set(), b: new Set() };

  /** Key bytes come once at each side, whatever they are called: as a master's key or as a slave's. */
  note(side: Side, to: Map<string, string>, keys: readonly { key_ID: string; key: string }[]): void {
    for (const { key_ID, key } of keys) {
      if (to.has(key_ID) || this.#bytes[side].has(key)) this.twice.push(`${key_ID} at ${side}`);
      to.set(key_ID, key);
      this.#bytes[side].add(key);
    }
  }

  /** Keys that a slave got and that are not what its master got. */
  get contradictions(): string[] {
    return SIDES.flatMap((side) =>
      [...this.delivered[side]]
        .filter(([id, key]) => {
          const issued = this.issued[other(side)].get(id);
          // A master whose answer was lost with its KME never saw the key that the slave cannot have heard of either.
          return issued !== key;
        })
        .map(([id]) => id),
    );
  }
}

/** SAEs at both sides that draw and fetch keys as fast as they get them, until they are told to stop. */
class Clients {
  readonly receipts = new Receipts();
  /** Told of each answer, and of each that did not come. */
  onAnswer: (got: boolean, side: Side) => void = () => undefined;
  readonly #processes: Processes;
  readonly #unfetched: Record<Side, string[]> = { a: [], b: [] };
  #isOver = false;
  readonly #all: Promise<void>;

  constructor(on: Processes) {
    this.#processes = on;
    this.#all = Promise.all(SIDES.map((side) => this.#work(side))).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#all;
    for (const side of SIDES) await this.#fetch(side);
  }

  async #work(side: Side): Promise<void> {
    while (!this.#isOver) {
      const got = await this.#draw(side).catch(() => false);
      await this.#fetch(side).catch(() => undefined);
      this.onAnswer(got, side);
      // Whoever gets nothing asks again a little later, as SAEs do.
      if (!got) await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async #draw(side: Side): Promise<boolean> {
    const { status, body } = await this.#processes.ask(side, "enc_keys");
    if (status !== 200) return false;
    this.receipts.note(side, this.receipts.issued[side], body.keys);
    this.#unfetched[other(side)].push(body.keys[0].key_ID);
    return true;
  }

  /** Twice at once, so that each key might be given twice. */
  async #fetch(side: Side): Promise<void> {
    const ids = this.#unfetched[side].splice(0, 4);
    const answers = await Promise.allSettled(
      [...ids, ...ids].map((key_ID) => this.#processes.ask(side, "dec_keys", { key_IDs: [{ key_ID }] })),
    );
    for (const [at, answer] of answers.entries()) {
      const id = ids[at % ids.length] as string;
      if (answer.status === "rejected") this.#unfetched[side].push(id);
      else if (answer.value.status === 200) {
        this.receipts.note(side, this.receipts.delivered[side], answer.value.body.keys);
      }
    }
  }
}

const NO_FEED: KeyFeed = { simulated: true, blockBytes: 32, start: () => undefined, stop: () => undefined };

/** What both sites left behind, opened here, a minute later and connected: as after their next restart. */
async function openBoth(on: Processes): Promise<Record<Side, KeyStore>> {
  const open = (side: Side): Promise<KeyStore> =>
    openKeyStore({
      feed: NO_FEED,
      place: { directory: join(on.root, "store", side), key: Buffer.from(on.storeKey, "hex") },
      now: () => Date.now() + 60_000,
    });
  const stores = { a: await open("a"), b: await open("b") };
  for (const side of SIDES) {
    const to = stores[other(side)];
    stores[side].connect({
      async announce(issue) {
        if (!(await to.accept(issue))) throw new Error("the other end lacks a block of this issue");
      },
      withdraw: (keys) => to.withdraw(keys),
      agree: (blocks) => to.agree(blocks),
    });
  }
  for (const side of SIDES) expect(await stores[side].settle()).toBe(true);
  return stores;
}

const { numRuns: KILLS, seed } = fuzz(6);

test(`two sites give each key once and the same at both, though one of three processes is killed ${KILLS} times`, async () => {
  processes = await Processes.prepare();
  const on = processes;
  on.add(SIDES, ["--stock", "60", "--store", join(on.root, "store")]);
  const below = chooser(seed);
  for (const name of ["fibre", "a", "b"] as const) await on.start(name);
  const clients = new Clients(on);
  const { receipts } = clients;

  const names: readonly Name[] = ["a", "b", "fibre"];
  for (let kill = 0; kill < KILLS; kill++) {
    const victim = names[(kill + below(2)) % 3] as Name;
    // Every second time while keys flow, however long that takes; else at any moment, also before they flow again.
    let [fuse, keys] = [1 + below(80), kill % 2 === 0 ? 4 : 0];
    await new Promise<void>((resolve) => {
      clients.onAnswer = (got) => {
        fuse--;
        if (got) keys--;
        if (fuse <= 0 && keys <= 0) resolve();
      };
    });
    await on.end(victim, "SIGKILL");
    await on.start(victim);
    expect([receipts.twice, receipts.contradictions]).toEqual([[], []]);
  }

  // Nobody does anything, and keys flow again, both ways.
  const flowing = new Set<Side>();
  await new Promise<void>((resolve) => {
    clients.onAnswer = (got, side) => {
      if (got && flowing.add(side).size === 2) resolve();
    };
  });
  await clients.stop();
  expect([receipts.twice, receipts.contradictions]).toEqual([[], []]);
  expect(receipts.issued.a.size + receipts.issued.b.size).toBeGreaterThan(KILLS);
  expect(receipts.delivered.a.size + receipts.delivered.b.size).toBeGreaterThan(KILLS);

  for (const name of names) await on.end(name, "SIGTERM");
  const stores = await openBoth(on);
  for (const side of SIDES) {
    const { stored, counters } = stores[side];
    expect(stored).toBe(stores[other(side)].storedIncoming);
    expect(counters.doubtful).toBe(0);
  }
  await Promise.all(SIDES.map((side) => stores[side].close()));
}, 600_000);

/** Draws until the KME has nothing more. */
async function drain(on: Processes, side: Side): Promise<void> {
  while ((await on.ask(side, "enc_keys")).status === 200);
}

test("somebody in the fibre is seen at both sites, who make no key until it is alone again", async () => {
  processes = await Processes.prepare();
  const on = processes;
  on.add(SIDES, ["--stock", "4"]);
  for (const name of ["fibre", "a", "b"] as const) await on.start(name);
  const draw = async (): Promise<void> => {
    for (;;) {
      const { status, body } = await on.ask("a", "enc_keys");
      if (status === 200) {
        const { key_ID, key } = body.keys[0];
        const fetched = await on.ask("b", "dec_keys", { key_IDs: [{ key_ID }] });
        return expect(fetched.body.keys).toEqual([{ key_ID, key }]);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await draw();

  on.tell("fibre", "intercept=0.2");
  await on.hears("fibre", ({ event }) => event === "fibre");
  const ended = (outcome: string) => (event: Record<string, unknown>) =>
    event["event"] === "block" && event["outcome"] === outcome;
  await Promise.all(SIDES.map((side) => drain(on, side)));
  for (const side of SIDES) {
    const { qber } = await on.hears(side, ended("qber_over_threshold"));
    expect((qber as { check: number }).check).toBeGreaterThan(0.05);
    expect((qber as { check: number }).check).toBeLessThan(0.1);
  }
  // A block that was under way when somebody came may have given the last keys.
  await Promise.all(SIDES.map((side) => drain(on, side)));
  expect((await on.ask("a", "status")).body.stored_key_count).toBe(0);

  on.tell("fibre", "clear");
  for (const side of SIDES) await on.hears(side, ended("key"));
  await draw();
}, 60_000);

test("a site that cannot begin ends with the reason, and leaves nothing open", async () => {
  processes = await Processes.prepare();
  processes.add(["a"], ["--store", join(processes.root, "ca.crt")]);
  await expect(processes.start("a")).rejects.toThrow("ERR_STORE_UNWRITABLE");
});

describe("refuses", () => {
  const run = (args: string[]): Promise<unknown> => {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    registerKme(program);
    for (const command of program.commands) command.copyInheritedSettings(program);
    return program.parseAsync(["node", "qkd-tls", "kme", ...args]);
  };
  const site = ["--site", "a", "--fibre", "127.0.0.1:7000"];

  test.each([
    [["--fibre", "127.0.0.1:7000"], "ERR_OPTION_INVALID", "--fibre"],
    [["--peer", "127.0.0.1:7001"], "ERR_OPTION_INVALID", "--peer"],
    [["--listen-link", "127.0.0.1:7001"], "ERR_OPTION_INVALID", "--listen-link"],
    [["--link-auth", "hmac"], "ERR_OPTION_INVALID", "--link-auth"],
    [["--link-psk-file", "x"], "ERR_OPTION_INVALID", "--link-psk-file"],
    [["--site", "a"], "ERR_OPTION_MISSING", "--fibre"],
    [site, "ERR_OPTION_MISSING", "--peer"],
    [[...site, "--peer", "h:1", "--listen-link", "h:1"], "ERR_OPTION_INVALID", "--peer"],
    [[...site, "--single"], "ERR_OPTION_INVALID", "--single"],
    [[...site, "--rate", "1"], "ERR_OPTION_INVALID", "--rate"],
    [[...site, "--seed", "x"], "ERR_OPTION_INVALID", "--seed"],
    [[...site, "--link", "metro-10km"], "ERR_OPTION_INVALID", "--link"],
    [[...site, "--length-km", "3"], "ERR_OPTION_INVALID", "--length-km"],
    [[...site, "--eavesdrop", "cut"], "ERR_OPTION_INVALID", "--eavesdrop"],
    [
      [...site, "--peer", "h:1", "--link-auth", "signature", "--link-psk-file", "x"],
      "ERR_OPTION_INVALID",
      "--link-auth",
    ],
    [[...site, "--peer", "h:1"], "ERR_OPTION_MISSING", "--ca"],
  ])("%j", async (args, code, option) => {
    await expect(run(args)).rejects.toMatchObject({ name: "UsageError", code, option });
  });

  test.each([
    [["--site", "c"], "--site"],
    [["--fibre", "nowhere"], "--fibre"],
    [["--peer", "host:99999"], "--peer"],
    [["--link-auth", "trust"], "--link-auth"],
  ])("%j", async (args, named) => {
    const message = expect.stringContaining(named);
    await expect(run(args)).rejects.toMatchObject({ code: "commander.invalidArgument", message });
  });

  test("a fibre that others than this machine's processes could reach", async () => {
    processes = await Processes.prepare();
    const words = ["--pki", processes.root, "--site", "a", "--fibre", "192.0.2.1:7000", "--peer", "h:1"];
    await expect(run(words)).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "fibre" });
  });
});
