import { describe, expect, test, vi } from "vitest";
import { type Block, type BlockSink, type KeyFeed, sharedGenerator } from "../../src/kme/feed.ts";
import { linkedStores, loopStore } from "../../src/kme/pair.ts";
import { type Issue, keyStore, type KmeLink } from "../../src/kme/store.ts";
import { clock, isWiped } from "../support/scripted-source.ts";

const request = { master: "sae-a", slaves: ["sae-b"], number: 1, bytes: 32 };

/** The other end as long as nothing goes wrong. */
const reached: KmeLink = {
  announce: async () => undefined,
  withdraw: async () => undefined,
  agree: async () => [],
};

/** A store whose blocks and other end are the test's. */
function setUp(options: object = {}) {
  let sink: BlockSink | undefined;
  const feed: KeyFeed = {
    simulated: false,
    blockBytes: 16,
    start: (to) => (sink = to),
    stop: () => (sink = undefined),
  };
  const time = clock();
  const store = keyStore({ feed, maxStored: 4, now: time.now, ...options });
  const blocks: Block[] = [];
  const put = (direction: "outgoing" | "incoming", id: string, fill: number) => {
    const block = { id, key: new Uint8Array(16).fill(fill) };
    blocks.push(block);
    sink?.put(direction, block);
  };
  return { store, time, put, blocks, room: () => sink?.room("outgoing") };
}

describe("a key", () => {
  test("is made of whole blocks; what is left over is wiped", async () => {
    const { store, put, blocks, room } = setUp();
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
    expect(blocks.map(({ key }) => isWiped(key))).toEqual([true, true, false]);
    expect(await store.issue({ ...request, bytes: 24 })).toBe("insufficient");
  });

  test("goes to nobody when the other end cannot be told", async () => {
    const { store, put } = setUp();
    put("outgoing", "one", 1);
    expect(await store.issue({ ...request, bytes: 16 })).toBe("unlinked");
    expect(store.stored).toBe(1);
    store.connect({ ...reached, announce: () => Promise.reject(new Error("down")) });
    expect(await store.issue({ ...request, bytes: 16 })).toBe("unlinked");
    // It may have been told in spite of that: the block is gone.
    expect(store.stored).toBe(0);
  });

  test("is accepted only whole", async () => {
    const { store, put, blocks } = setUp();
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
    const { store, put, time } = setUp({ holdMs: 1000 });
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
    const { store, put } = setUp({ maxHeld: 2 });
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
  const { store, put, blocks, room } = setUp();
  put("outgoing", "one", 1);
  put("incoming", "two", 2);
  await store.close();
  expect(blocks.every(({ key }) => isWiped(key))).toBe(true);
  expect([store.stored, room()]).toEqual([0, undefined]);
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
