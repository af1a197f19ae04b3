import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { type Block, type BlockSink, type KeyFeed, sharedGenerator } from "../../src/kme/feed.ts";
import { linkedStores, loopStore, openLinkedStores, openLoopStore } from "../../src/kme/pair.ts";
import { type Place, within } from "../../src/kme/place.ts";
import { NOTHING } from "../../src/kme/records.ts";
import type { Issue, KmeLink } from "../../src/kme/issue.ts";
import { keyStore, type KeyStore, openKeyStore } from "../../src/kme/store.ts";
import { postgresServer } from "../support/postgres.ts";
import { clock, isWiped } from "../support/scripted-source.ts";

const request = { master: "sae-a", slaves: ["sae-b"], number: 1, bytes: 32 };

/** The other end as long as nothing goes wrong. */
const reached: KmeLink = {
  announce: async () => undefined,
  withdraw: async () => undefined,
  agree: async () => [],
};

/** A link that puts what the test says. */
function fedOnce() {
  let sink: BlockSink | undefined;
  const feed: KeyFeed = {
    simulated: false,
    blockBytes: 16,
    start: (to) => (sink = to),
    stop: () => (sink = undefined),
  };
  const fill = (direction: "outgoing" | "incoming", id: string) =>
    sink?.put(direction, { id, key: new Uint8Array(16).fill(1) });
  return { feed, fill, sink: () => sink };
}

const postgres = await postgresServer();
if (typeof postgres === "string") console.log(`no test of stores in PostgreSQL: ${postgres}`);
const root = mkdtempSync(join(tmpdir(), "qkd-tls-store-"));
afterAll(async () => {
  rmSync(root, { recursive: true });
  if (typeof postgres !== "string") await postgres.close();
});

type Kind = "memory" | "a directory" | "PostgreSQL";
const LASTING: readonly Kind[] = [
  "a directory",
  ...(typeof postgres === "string" ? [] : (["PostgreSQL"] as const)),
];
const KINDS: readonly Kind[] = ["memory", ...LASTING];
let made = 0;
/** A new place of a lasting kind. */
function placeOf(kind: Kind): Place {
  const key = new Uint8Array(32).fill(5);
  const name = `${made++}`;
  if (kind === "PostgreSQL" && typeof postgres !== "string") return { url: postgres.url(), name, key };
  return { directory: join(root, name), key };
}
const opened: KeyStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

/** A store whose blocks and other end are the test's. */
const setUpIn =
  (kind: Kind) =>
  async (options: object = {}) => {
    const { feed, sink } = fedOnce();
    const time = clock();
    const all = { feed, maxStored: 4, now: time.now, ...options };
    const store = kind === "memory" ? keyStore(all) : await openKeyStore({ ...all, place: placeOf(kind) });
    opened.push(store);
    const blocks: Block[] = [];
    const put = (direction: "outgoing" | "incoming", id: string, fill: number) => {
      const block = { id, key: new Uint8Array(16).fill(fill) };
      blocks.push(block);
      sink()?.put(direction, block);
    };
    const accept = (id: string, of: string[], slaves = ["s"]) =>
      store.accept({ master: "m", slaves, bytes: 16 * of.length, keys: [{ id, blocks: of }] });
    /** What was put and is not needed in the clear any more. */
    const areWiped = () => blocks.map(({ key }) => isWiped(key));
    return { store, time, put, blocks, areWiped, accept, sink, room: () => sink()?.room("outgoing") };
  };

describe.each(KINDS)("in %s", (kind) => {
  const setUp = setUpIn(kind);
  const isLasting = kind !== "memory";

  test("whoever puts blocks hears when they are where they stay", async () => {
    const { store, put, sink } = await setUp();
    put("incoming", "one", 1);
    const first = sink()?.landed();
    put("incoming", "two", 2);
    await sink()?.landed();
    // What is counted is durable.
    expect(store.counters.made).toBe(2);
    await first;
  });

  test("notes are compared when somebody wants it, though there is no doubt", async () => {
    const { store, time, put } = await setUp();
    expect(await store.settle()).toBe(false);
    let lacking: string[] = [];
    const agree = vi.fn(async () => lacking);
    store.connect({ ...reached, agree });
    put("outgoing", "one", 1);
    expect(await store.settle()).toBe(true);
    time.add(10_001);
    lacking = ["one"];
    expect([await store.settle(), store.stored, agree.mock.calls.length]).toEqual([true, 0, 2]);
  });

  describe("a key", () => {
    test("is made of whole blocks; what is left over is wiped", async () => {
      const { store, put, areWiped, room } = await setUp();
      const announced: Issue[] = [];
      store.connect({ ...reached, announce: async (issue) => void announced.push(issue) });
      for (const [n, id] of ["one", "two", "three"].entries()) put("outgoing", id, n + 1);
      expect([store.stored, room()]).toEqual([3, 1]);
      const issued = await store.issue({ ...request, bytes: 24 });
      if (typeof issued === "string") throw new Error(issued);
      expect(Buffer.from(issued[0]!.key).toString("hex")).toBe("01".repeat(16) + "02".repeat(8));
      expect(announced).toEqual([
        {
          master: "sae-a",
          slaves: ["sae-b"],
          bytes: 24,
          keys: [{ id: issued[0]!.id, blocks: ["one", "two"] }],
        },
      ]);
      // What lies sealed is not in memory any more, even if nobody used it.
      expect(areWiped()).toEqual([true, true, isLasting]);
      expect(await store.issue({ ...request, bytes: 24 })).toBe("insufficient");
    });

    test("goes to nobody when the other end cannot be told", async () => {
      const { store, put } = await setUp();
      put("outgoing", "one", 1);
      expect(await store.issue({ ...request, bytes: 16 })).toBe("unlinked");
      expect(store.stored).toBe(1);
      store.connect({ ...reached, announce: () => Promise.reject(new Error("down")) });
      expect(await store.issue({ ...request, bytes: 16 })).toBe("unlinked");
      // It may have been told in spite of that: the block is gone.
      expect(store.stored).toBe(0);
    });

    test("is accepted only whole", async () => {
      const { store, put, blocks } = await setUp();
      put("incoming", "one", 1);
      const issue = {
        master: "sae-a",
        slaves: ["sae-b"],
        bytes: 32,
        keys: [{ id: "k", blocks: ["one", "two"] }],
      };
      expect(await store.accept(issue)).toBe(false);
      expect(isWiped(blocks[0]!.key)).toBe(true);
      expect(await store.deliver("sae-b", "sae-a", ["k"])).toBe("unknown");
    });

    test("waits for its slaves so long, and no longer", async () => {
      const { store, put, time } = await setUp({ holdMs: 1000 });
      for (const id of ["one", "two"]) put("incoming", id, 1);
      const issue = (id: string, block: string) =>
        store.accept({ master: "sae-a", slaves: ["sae-b"], bytes: 16, keys: [{ id, blocks: [block] }] });
      await issue("k1", "one");
      time.add(999);
      await issue("k2", "two");
      time.add(1);
      expect(await store.deliver("sae-b", "sae-a", ["k1"])).toBe("unknown");
      expect(await store.deliver("sae-b", "sae-a", ["k2"])).toMatchObject([{ id: "k2" }]);
    });

    test("that waits is pushed out by later ones when there are too many", async () => {
      const { store, put } = await setUp({ maxHeld: 2 });
      for (const id of ["k1", "k2", "k3"]) {
        put("incoming", `block of ${id}`, 1);
        await store.accept({
          master: "m",
          slaves: ["s"],
          bytes: 16,
          keys: [{ id, blocks: [`block of ${id}`] }],
        });
      }
      expect(await store.deliver("s", "m", ["k1"])).toBe("unknown");
      expect(await store.deliver("s", "m", ["k2", "k3"])).toHaveLength(2);
    });
  });

  test("a closed store holds nothing and is fed no more", async () => {
    const { store, put, blocks, room } = await setUp();
    put("outgoing", "one", 1);
    put("incoming", "two", 2);
    await store.close();
    expect(blocks.every(({ key }) => isWiped(key))).toBe(true);
    expect([store.stored, room()]).toEqual([0, undefined]);
  });

  describe("counters", () => {
    test("tell what became of each block, once", async () => {
      const { store, put, time, accept } = await setUp({ holdMs: 1000, maxHeld: 2, maxStored: 99 });
      for (const n of [1, 2, 3, 4, 5, 6, 7]) put("incoming", `in ${n}`, n);
      await accept("taken", ["in 1", "in 2"], ["s", "t"]);
      await store.deliver("s", "m", ["taken"]);
      expect(store.counters).toEqual({ ...NOTHING, made: 7, delivered: 2 });
      await store.deliver("t", "m", ["taken"]);
      expect(store.counters).toEqual({ ...NOTHING, made: 7, delivered: 2 });

      await accept("pushed out", ["in 3"]);
      await accept("half taken", ["in 4"], ["s", "t"]);
      await store.deliver("s", "m", ["half taken"]);
      await accept("waits", ["in 5"]);
      expect(store.counters).toEqual({ ...NOTHING, made: 7, delivered: 3, wasted: 1, waiting: 1 });

      expect(await accept("not whole", ["in 6", "in 66"])).toBe(false);
      time.add(1000);
      expect(await store.deliver("s", "m", ["waits"])).toBe("unknown");
      expect(await store.deliver("t", "m", ["half taken"])).toBe("unknown");
      expect(store.counters).toEqual({ ...NOTHING, made: 7, delivered: 3, wasted: 1, lost: 1, expired: 1 });
      await store.drain();
      expect(store.counters).toEqual({ ...NOTHING, made: 7, delivered: 3, wasted: 1, lost: 2, expired: 1 });
    });
  });

  describe("stock", () => {
    test("grows too old at the end that issues, and a little later at the other", async () => {
      const { store, put, time, accept, blocks } = await setUp({ maxAgeMs: 1000 });
      store.connect(reached);
      for (const id of ["one", "two"]) put("incoming", id, 1);
      put("outgoing", "three", 3);
      expect(await accept("k1", ["one"])).toBe(true);
      time.add(1000);
      expect(await store.issue({ ...request, bytes: 16 })).toBe("insufficient");
      expect(await accept("k2", ["two"])).toBe(true);
      put("incoming", "four", 4);
      await accept("k3", ["four"]);
      expect(store.counters).toMatchObject({ made: 4, expired: 1, waiting: 3 });
      expect(isWiped(blocks[2]!.key)).toBe(true);
      put("incoming", "five", 5);
      time.add(61_000);
      expect(await accept("k4", ["five"])).toBe(false);
      expect(store.counters).toMatchObject({ made: 5, expired: 2 });
    });

    test("is wiped in time though nobody asks for it", async () => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
      try {
        const { store, put, time, blocks } = await setUp({ maxAgeMs: 1000 });
        put("outgoing", "one", 1);
        await vi.advanceTimersByTimeAsync(2000);
        await store.agree([]);
        expect(store.counters.expired).toBe(0);
        expect(isWiped(blocks[0]!.key)).toBe(isLasting);
        time.add(1000);
        await vi.advanceTimersByTimeAsync(1000);
        // The sweep is under way.
        await vi.waitFor(() => expect([store.counters.expired, store.stored]).toEqual([1, 0]));
        expect(isWiped(blocks[0]!.key)).toBe(true);
        await store.close();
        expect(vi.getTimerCount()).toBe(0);
      } finally {
        vi.useRealTimers();
      }
    });
  });

  test("a block whose id is there already is wiped, and the first one stays", async () => {
    const { store, put, blocks, room } = await setUp();
    store.connect(reached);
    for (const fill of [1, 2]) put("outgoing", "one", fill);
    const issued = await store.issue({ ...request, bytes: 16 });
    if (typeof issued === "string") throw new Error(issued);
    expect(issued[0]!.key).toEqual(new Uint8Array(16).fill(1));
    expect(isWiped(blocks[1]!.key)).toBe(true);
    put("outgoing", "two", 3);
    put("outgoing", "two", 4);
    expect(await store.issue({ ...request, bytes: 16 })).toHaveLength(1);
    expect(store.counters).toEqual({ ...NOTHING, made: 2, delivered: 2 });
    expect([store.stored, room()]).toEqual([0, 4]);
    // All that arrives may be there already.
    for (const fill of [5, 6]) {
      put("outgoing", "three", fill);
      await store.agree([]);
    }
    await vi.waitFor(() => expect([store.counters.made, store.stored, room()]).toEqual([3, 1, 3]));
  });

  describe("the other end", () => {
    test("that is away costs one key, and none more until both agree again", async () => {
      const { store, put } = await setUp();
      for (const id of ["one", "two", "three"]) put("outgoing", id, 1);
      const told: string[] = [];
      let isThere = true;
      const tell = async <T>(what: string, answer: T): Promise<T> => {
        if (!isThere) throw new Error("away");
        told.push(what);
        return answer;
      };
      store.connect({
        announce: (issue) => tell(`announce ${issue.keys[0]?.blocks.join()}`, undefined),
        withdraw: (keys) => tell(`withdraw ${keys.flatMap(({ blocks }) => blocks).join()}`, undefined),
        agree: (blocks) => tell(`agree ${blocks.join()}`, []),
      });
      const issue = () => store.issue({ ...request, bytes: 16 });
      expect(await issue()).toHaveLength(1);
      isThere = false;
      expect(await issue()).toBe("unlinked");
      expect(await issue()).toBe("unlinked");
      expect([store.stored, store.counters.doubtful, store.counters.lost]).toEqual([1, 1, 0]);
      isThere = true;
      expect(await issue()).toHaveLength(1);
      expect(told).toEqual([
        "agree one,two,three",
        "announce one",
        "withdraw two",
        "agree three",
        "announce three",
      ]);
      expect(store.counters).toEqual({ ...NOTHING, made: 3, delivered: 2, lost: 1 });
    });

    test("is asked once what it holds, not by each of many at once; keys on their way are not withdrawn", async () => {
      const { store, put } = await setUp({ maxStored: 99 });
      for (let n = 0; n < 20; n++) put("outgoing", `block ${n}`, n);
      const told: string[] = [];
      store.connect({
        announce: async () => void told.push("announce"),
        withdraw: async () => void told.push("withdraw"),
        agree: async () => {
          told.push("agree");
          return [];
        },
      });
      const all = await Promise.all(Array.from({ length: 20 }, () => store.issue({ ...request, bytes: 16 })));
      expect(all.every((keys) => typeof keys !== "string")).toBe(true);
      expect(told).toEqual(["agree", ...Array.from({ length: 20 }, () => "announce")]);
    });

    test("has what is in doubt withdrawn: the key, or its blocks if it was never told", async () => {
      const { store, put, accept } = await setUp();
      for (const id of ["one", "two", "three"]) put("incoming", id, 1);
      await accept("k1", ["one"]);
      await store.withdraw([
        { id: "k1", blocks: ["one"] },
        { id: "k2", blocks: ["two"] },
      ]);
      expect(await store.deliver("s", "m", ["k1"])).toBe("unknown");
      // The announcement comes after all.
      expect(await accept("k2", ["two"])).toBe(false);
      expect(await accept("k3", ["three"])).toBe(true);
      expect(store.counters).toEqual({ ...NOTHING, made: 3, lost: 2, waiting: 1 });
      await store.withdraw([{ id: "k1", blocks: ["one"] }]);
      expect(store.counters.lost).toBe(2);
    });

    test("lacks a block: it goes here too, once the link had time to put it there", async () => {
      const { store, put, time } = await setUp();
      let lacking: string[] = [];
      store.connect({ ...reached, agree: async () => lacking });
      put("outgoing", "one", 1);
      await store.issue({ ...request, bytes: 16, number: 2 });
      time.add(10_000);
      for (const id of ["two", "three"]) put("outgoing", id, 2);
      lacking = ["one", "two"];
      store.connect({ ...reached, agree: async () => lacking });
      expect(await store.issue({ ...request, bytes: 16 })).toHaveLength(1);
      expect(store.counters).toEqual({ ...NOTHING, made: 3, lost: 1, delivered: 1 });
    });

    test("names its stock: what it does not name goes here too, and it hears what is not here", async () => {
      const { store, put, time } = await setUp();
      put("incoming", "one", 1);
      put("incoming", "two", 1);
      expect(await store.agree(["two", "three"])).toEqual(["three"]);
      // Young blocks may not have arrived there yet.
      expect(store.counters.lost).toBe(0);
      time.add(10_000);
      put("incoming", "four", 1);
      expect(await store.agree(["two", "three"])).toEqual(["three"]);
      expect(store.counters).toEqual({ ...NOTHING, made: 3, lost: 1 });
    });

    test("named a key_ID twice, or one that is there already: nobody gets it", async () => {
      const { store, put, accept } = await setUp();
      for (const id of ["one", "two", "three"]) put("incoming", id, 1);
      await accept("k", ["one"]);
      expect(await accept("k", ["two"])).toBe(false);
      const keys = [
        { id: "l", blocks: ["three"] },
        { id: "l", blocks: ["four"] },
      ];
      expect(await store.accept({ master: "m", slaves: ["s"], bytes: 16, keys })).toBe(false);
      expect(await store.deliver("s", "m", ["l"])).toBe("unknown");
      expect(await store.deliver("s", "m", ["k"])).toHaveLength(1);
      expect(store.counters).toEqual({ ...NOTHING, made: 3, delivered: 1, lost: 2 });
    });
  });
});

describe.each(LASTING)("a store in %s", (kind) => {
  const quiet = { keysPerSecond: 0, maxStored: 50 };

  test("gives a key that was issued before a restart, once, and the same", async () => {
    const at = placeOf(kind);
    let stores = await openLinkedStores({ ...quiet, initialKeys: 10 }, at);
    const issued = await stores.a.issue({ ...request, number: 2, bytes: 40 });
    if (typeof issued === "string") throw new Error(issued);
    const close = () => Promise.all([stores.a.close(), stores.b.close()]);
    await close();
    stores = await openLinkedStores(quiet, at);
    expect([stores.a.stored, stores.b.stored]).toEqual([6, 10]);
    const [first, second] = issued.map(({ id }) => id) as [string, string];
    expect(await stores.b.deliver("sae-b", "sae-a", [first])).toEqual([issued[0]]);
    await close();
    stores = await openLinkedStores(quiet, at);
    expect(await stores.b.deliver("sae-b", "sae-a", [first])).toBe("unknown");
    expect(await stores.b.deliver("sae-b", "sae-a", [second])).toEqual([issued[1]]);
    expect(stores.a.counters).toEqual({ ...NOTHING, made: 20, delivered: 4 });
    expect(stores.b.counters).toEqual({ ...NOTHING, made: 20, delivered: 4 });
    await close();
  });

  test("that ended in the middle of an announcement has that key spent at both ends, never delivered", async () => {
    const at = placeOf(kind);
    const time = clock();
    let stores = await openLinkedStores({ ...quiet, initialKeys: 10, now: time.now }, at);
    const told = new Promise<Issue>((resolve) => {
      // The other end takes it, and the answer never comes.
      stores.a.connect({
        ...reached,
        announce: async (issue) => {
          await stores.b.accept(issue);
          resolve(issue);
          return new Promise(() => undefined);
        },
      });
    });
    void stores.a.issue(request);
    const { keys } = await told;
    const close = () => Promise.all([stores.a.close(), stores.b.close()]);
    await close();
    // Longer than another process that shares the store would take for it.
    time.add(30_000);
    stores = await openLinkedStores({ ...quiet, now: time.now }, at);
    expect(stores.a.counters).toMatchObject({ doubtful: 1, delivered: 0 });
    expect(await stores.a.issue(request)).toHaveLength(1);
    expect(stores.a.counters).toEqual({ ...NOTHING, made: 20, lost: 1, delivered: 1 });
    expect(await stores.b.deliver("sae-b", "sae-a", [keys[0]!.id])).toBe("unknown");
    expect(stores.b.counters).toEqual({ ...NOTHING, made: 20, lost: 1, waiting: 1 });
    await close();
  });

  test("expires by the times that count now, whatever counted when it was last open", async () => {
    const time = clock();
    const at = placeOf(kind);
    const { feed, fill } = fedOnce();
    const open = (options: object) => openKeyStore({ feed, now: time.now, place: at, ...options });
    let store = await open({ maxAgeMs: 1_000_000 });
    fill("outgoing", "one");
    fill("incoming", "two");
    await store.accept({ master: "m", slaves: ["s"], bytes: 16, keys: [{ id: "k", blocks: ["two"] }] });
    await store.close();
    time.add(1000);
    store = await open({ holdMs: 1001, maxAgeMs: 1001 });
    expect(await store.deliver("s", "m", ["nothing"])).toBe("unknown");
    expect(store.counters).toEqual({ ...NOTHING, made: 2, waiting: 1 });
    await store.close();
    store = await open({ holdMs: 1000, maxAgeMs: 1000 });
    expect(await store.deliver("s", "m", ["k"])).toBe("unknown");
    expect(store.counters).toEqual({ ...NOTHING, made: 2, expired: 2 });
    await store.close();
    await expect(open({ maxAgeMs: 0 })).rejects.toMatchObject({ option: "maxAgeMs" });
  });

  test("leaves nothing open when its other end does not open", async () => {
    const at = placeOf(kind);
    const other = { ...within(at, "b"), key: new Uint8Array(32).fill(6) };
    await (await openKeyStore({ feed: sharedGenerator().b, place: other })).close();
    await expect(openLinkedStores(quiet, at)).rejects.toMatchObject({ code: "ERR_STORE_KEY" });
    await (await openKeyStore({ feed: sharedGenerator().a, place: within(at, "a") })).close();
  });

  test("may be a loop", async () => {
    const at = placeOf(kind);
    let loop = await openLoopStore({ ...quiet, initialKeys: 3 }, at);
    const issued = await loop.store.issue(request);
    if (typeof issued === "string") throw new Error(issued);
    await loop.store.close();
    loop = await openLoopStore(quiet, at);
    expect(await loop.store.deliver("sae-b", "sae-a", [issued[0]!.id])).toEqual(issued);
    expect(loop.store.stored).toBe(2);
    await loop.store.close();
  });
});

describe.runIf(typeof postgres !== "string")("a store that two processes share", () => {
  /** Two KMEs' stores on one place, whose announcements end when the test says. */
  async function two() {
    const place = placeOf("PostgreSQL");
    const time = clock();
    const { feed, fill } = fedOnce();
    const still: KeyFeed = { ...feed, start: () => undefined };
    const [one, other] = [
      await openKeyStore({ feed, place, now: time.now }),
      await openKeyStore({ feed: still, place, now: time.now }),
    ];
    opened.push(one, other);
    for (const id of ["first", "second", "third"]) fill("outgoing", id);
    let end: { arrives(): void; fails(): void } | undefined;
    const announced = new Promise<Issue>((resolve) => {
      one.connect({
        ...reached,
        announce: (issue) =>
          new Promise((arrives, fail) => {
            end = { arrives, fails: () => fail(new Error("away")) };
            resolve(issue);
          }),
      });
    });
    const given = one.issue({ ...request, bytes: 16 });
    const told: string[] = [];
    other.connect({
      announce: async (issue) => void told.push(`announce ${issue.keys[0]?.blocks.join()}`),
      withdraw: async (keys) => void told.push(`withdraw ${keys.flatMap(({ blocks }) => blocks).join()}`),
      agree: async (blocks) => {
        told.push(`agree ${[...blocks].sort().join()}`);
        return [];
      },
    });
    const [key] = (await announced).keys;
    return { one, other, time, given, told, key: key!, end: end! };
  }

  test("one leaves alone what the other is announcing, and names its blocks as still there", async () => {
    const { one, other, given, told, end } = await two();
    expect(await other.issue({ ...request, bytes: 16 })).toHaveLength(1);
    expect(told).toEqual(["agree first,second,third", "announce second"]);
    end.arrives();
    expect(await given).toHaveLength(1);
    await other.drain();
    expect(other.counters).toEqual({ ...NOTHING, made: 3, delivered: 2, lost: 1 });
    await one.drain();
    expect(one.counters).toEqual(other.counters);
  });

  test("what a process that was killed was announcing is withdrawn by the other, after a while", async () => {
    const { other, time, told } = await two();
    time.add(30_000);
    expect(await other.issue({ ...request, bytes: 16 })).toHaveLength(1);
    expect(told).toEqual(["withdraw first", "agree second,third", "announce second"]);
    expect(other.counters).toEqual({ ...NOTHING, made: 3, delivered: 1, lost: 1 });
  });

  test("a process that was taken for dead and was not gives nothing to anybody", async () => {
    const { one, other, time, given, end } = await two();
    time.add(30_000);
    await other.issue({ ...request, bytes: 16 });
    end.arrives();
    expect(await given).toBe("unlinked");
    await one.drain();
    expect(one.counters).toEqual({ ...NOTHING, made: 3, delivered: 1, lost: 2 });
  });
});

describe("the generator", () => {
  test("feeds both ends at its rate until they are full", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    try {
      const stores = linkedStores({ keysPerSecond: 10, maxStored: 25, tickMs: 100 });
      await vi.advanceTimersByTimeAsync(1000);
      expect([stores.a.stored, stores.b.stored]).toEqual([10, 10]);
      await vi.advanceTimersByTimeAsync(10_000);
      expect([stores.a.stored, stores.b.stored]).toEqual([25, 25]);
      await Promise.all([stores.a.close(), stores.b.close()]);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test("gives each end its own copy of the same fresh block, and says that it is simulated", () => {
    const link = sharedGenerator({ blockBytes: 8 });
    const got: [string, string, Block][] = [];
    const sink = (end: string): BlockSink => ({
      room: () => 2,
      put: (direction, block) => void got.push([end, direction, block]),
      landed: async () => undefined,
    });
    link.a.start(sink("a"));
    link.fill(1);
    expect(got).toEqual([]);
    link.b.start(sink("b"));
    link.fill(1);
    link.a.stop();
    link.b.stop();
    expect(got.map(([end, direction]) => `${end} ${direction}`)).toEqual([
      "a outgoing",
      "b incoming",
      "b outgoing",
      "a incoming",
    ]);
    const [out, back] = [got[0]![2], got[2]![2]];
    expect(got[1]![2]).toEqual(out);
    expect(got[1]![2].key).not.toBe(out.key);
    expect(back.key).not.toEqual(out.key);
    expect(link.a.simulated).toBe(true);
  });
});

test("a loop serves master and slave from one store", async () => {
  const loop = loopStore({ initialKeys: 2, keysPerSecond: 0, maxStored: 5 });
  const { store } = loop;
  expect(store.stored).toBe(2);
  loop.fill(10);
  expect(store.stored).toBe(5);
  const issued = await store.issue(request);
  if (typeof issued === "string") throw new Error(issued);
  expect(await store.deliver("sae-b", "sae-a", [issued[0]!.id])).toEqual(issued);
  await store.close();
});

test("options are refused by name", () => {
  expect(() => linkedStores({ stock: 3 } as never)).toThrow(expect.objectContaining({ option: "stock" }));
  expect(() => linkedStores({ keysPerSecond: -1 })).toThrow(
    expect.objectContaining({ option: "keysPerSecond" }),
  );
});
