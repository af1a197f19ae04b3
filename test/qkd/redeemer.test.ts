import { afterEach, describe, expect, test } from "vitest";
import { kmeApi } from "../../src/kme/api.ts";
import { linkedStores } from "../../src/kme/pair.ts";
import { etsi014 } from "../../src/qkd/etsi014.ts";
import { inProcessPair } from "../../src/qkd/pair.ts";
import { type RedeemerOptions, redeemer } from "../../src/qkd/redeemer.ts";
import { authority } from "../support/certificates.ts";
import { hangUp, startFaultyKme } from "../support/faulty-kme.ts";
import { clock, fails, gate, isWiped, scriptedSource, settled } from "../support/scripted-source.ts";

const id = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function setUp(options: Partial<RedeemerOptions> = {}) {
  const source = scriptedSource();
  const time = clock();
  const guard = redeemer(source, { allow: ["sae-a", "sae-c"], now: time.now, ...options });
  open.push(guard);
  return { source, time, guard };
}

describe("one key, one connection", () => {
  test("a key taken and committed is wiped, and spent for good without another look-up", async () => {
    const { source, guard } = setUp();
    const key = await guard.take("sae-a", id(1).toUpperCase());
    expect(key.id).toBe(id(1));
    expect(isWiped(key.key)).toBe(false);
    guard.commit("sae-a", id(1));
    expect(isWiped(source.given[0]!.key)).toBe(true);
    expect(isWiped(key.key)).toBe(false);
    await expect(guard.take("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    expect(source.asked).toEqual([`redeem sae-a ${id(1)}`]);
    expect(guard.counters).toEqual({
      lookups: 1,
      shared: 0,
      committed: 1,
      expired: 0,
      refused: 1,
      failed: 0,
    });
  });

  test("takes that race share one look-up, get copies of their own, and only one commits", async () => {
    const { source, guard } = setUp();
    const slow = gate();
    source.script = () => slow.passed;
    const taking = Promise.all([1, 2, 3].map(() => guard.take("sae-a", id(1))));
    slow.open();
    const [first, second, third] = await taking;
    expect(first).toEqual(second);
    first!.key.fill(0);
    expect(isWiped(third!.key)).toBe(false);
    // A replayed hello that comes while the key still waits costs nothing either.
    await guard.take("sae-a", id(1));
    expect(source.asked).toHaveLength(1);
    guard.commit("sae-a", id(1));
    expect(() => guard.commit("sae-a", id(1))).toThrow(expect.objectContaining({ code: "ERR_QKD_KEY_USED" }));
    expect(guard.counters).toMatchObject({ lookups: 1, shared: 3, committed: 1 });
  });

  test("the same key_ID from another initiator is another question", async () => {
    const { source, guard } = setUp();
    await guard.take("sae-a", id(1));
    await guard.take("sae-c", id(1));
    expect(source.asked).toEqual([`redeem sae-a ${id(1)}`, `redeem sae-c ${id(1)}`]);
  });

  test("what was never taken cannot be committed", () => {
    const { guard } = setUp();
    expect(() => guard.commit("sae-a", id(1))).toThrow(expect.objectContaining({ code: "ERR_QKD_KEY_USED" }));
    expect(() => guard.commit("sae-a", "nonsense")).toThrow(
      expect.objectContaining({ code: "ERR_QKD_KEY_USED" }),
    );
  });

  test("over an in-process pair a key goes through once", async () => {
    const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
    const guard = redeemer(b, { allow: (sae) => sae === "sae-a" });
    open.push(guard);
    const drawn = await a.draw("sae-b");
    expect((await guard.take("sae-a", drawn.id)).key).toEqual(drawn.key);
    guard.commit("sae-a", drawn.id);
    await expect(guard.take("sae-a", drawn.id)).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    await expect(guard.take("sae-a", id(9))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
    // Whoever asks again for a key that the source does not know asks again.
    await expect(guard.take("sae-a", id(9))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
  });
});

describe("the waiting keys are bounded", () => {
  test("in time: an expired key is wiped and its name spent", async () => {
    const { source, time, guard } = setUp({ cacheTtlMs: 1000 });
    await guard.take("sae-a", id(1));
    time.add(1000);
    expect(() => guard.commit("sae-a", id(1))).toThrow("waited too long");
    expect(isWiped(source.given[0]!.key)).toBe(true);
    await expect(guard.take("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    expect(guard.counters).toMatchObject({ lookups: 1, expired: 1 });
  });

  test("in time, even when nobody looks", async () => {
    const source = scriptedSource();
    const guard = redeemer(source, { allow: ["sae-a"], cacheTtlMs: 5 });
    open.push(guard);
    await guard.take("sae-a", id(1));
    await expect.poll(() => isWiped(source.given[0]!.key)).toBe(true);
    expect(guard.counters.expired).toBe(1);
  });

  test("in number: the oldest goes", async () => {
    const { source, guard } = setUp({ cacheSize: 2 });
    for (const n of [1, 2, 3]) await guard.take("sae-a", id(n));
    expect(source.given.map(({ key }) => isWiped(key))).toEqual([true, false, false]);
    guard.commit("sae-a", id(2));
    guard.commit("sae-a", id(3));
    expect(() => guard.commit("sae-a", id(1))).toThrow();
  });

  test("the memory of used names too", async () => {
    const { source, guard } = setUp({ usedSize: 2 });
    for (const n of [1, 2, 3]) {
      await guard.take("sae-a", id(n));
      guard.commit("sae-a", id(n));
    }
    await expect(guard.take("sae-a", id(2))).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
    source.script = fails("ERR_QKD_UNKNOWN_KEY");
    await expect(guard.take("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
  });
});

describe("nothing is spent on", () => {
  test.each(["", "7", id(1).slice(1), `${id(1)}0`, id(1).replace("-", "g"), `${id(1)}\n`])(
    "the key_ID %j",
    async (keyId) => {
      const { source, guard } = setUp();
      await expect(guard.take("sae-a", keyId)).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
      expect(source.asked).toEqual([]);
    },
  );

  test.each(["sae-b", "", "a\0b", "SAE-A"])("the stranger %j", async (initiator) => {
    const { source, guard } = setUp();
    await expect(guard.take(initiator, id(1))).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
    expect(source.asked).toEqual([]);
  });

  test("a predicate that does not say true", async () => {
    const { guard } = setUp({ allow: (() => "yes") as never });
    await expect(guard.take("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_REFUSED" });
  });

  test("one initiator's haste, while others go on", async () => {
    const { source, time, guard } = setUp({ maxPerPeerPerMinute: 3 });
    for (const n of [1, 2, 3]) await guard.take("sae-a", id(n));
    await expect(guard.take("sae-a", id(4))).rejects.toMatchObject({ code: "ERR_QKD_BUSY" });
    await guard.take("sae-c", id(5));
    // What waits already costs nothing.
    await guard.take("sae-a", id(1));
    time.add(20_000);
    await guard.take("sae-a", id(4));
    expect(source.asked).toHaveLength(5);
  });

  test("too many at once", async () => {
    const { source, guard } = setUp({ maxConcurrent: 2 });
    const slow = gate();
    source.script = () => slow.passed;
    const taking = [guard.take("sae-a", id(1)), guard.take("sae-a", id(2))];
    await expect(guard.take("sae-a", id(3))).rejects.toMatchObject({ code: "ERR_QKD_BUSY" });
    const shared = guard.take("sae-a", id(2));
    slow.open();
    await Promise.all([...taking, shared]);
    await guard.take("sae-a", id(3));
    expect(source.asked).toHaveLength(3);
  });

  test("a source that is down, until the cool-down is over", async () => {
    const { source, time, guard } = setUp({ breaker: { failures: 2, coolDownMs: 1000 } });
    source.script = fails("ERR_QKD_UNREACHABLE");
    for (const n of [1, 2, 3, 4]) {
      await expect(guard.take("sae-a", id(n))).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
    }
    expect(source.asked).toHaveLength(2);
    source.script = () => undefined;
    time.add(1000);
    await guard.take("sae-a", id(5));
    expect(guard.breaker.open).toBe(false);
  });

  test("unknown keys announced at length do not open the breaker", async () => {
    const { source, guard } = setUp({ breaker: { failures: 2 } });
    source.script = fails("ERR_QKD_UNKNOWN_KEY");
    for (let n = 0; n < 10; n++) {
      await expect(guard.take("sae-a", id(n))).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
    }
    expect(guard.breaker.open).toBe(false);
    expect(guard.counters.failed).toBe(10);
  });
});

describe("time", () => {
  test("a look-up that takes too long ends; its late key is wiped", async () => {
    const { source, guard } = setUp({ timeoutMs: 20 });
    const slow = gate();
    source.script = () => slow.passed;
    await expect(guard.take("sae-a", id(1))).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
    slow.open();
    await settled();
    expect(source.given).toHaveLength(1);
    expect(isWiped(source.given[0]!.key)).toBe(true);
  });

  test("a taker who gives up leaves the look-up to the others", async () => {
    const { source, guard } = setUp();
    const slow = gate();
    source.script = () => slow.passed;
    const controller = new AbortController();
    const [first, second] = [guard.take("sae-a", id(1), controller.signal), guard.take("sae-a", id(1))];
    controller.abort(new Error("the connection is gone"));
    await expect(first).rejects.toMatchObject({
      code: "ERR_QKD_TIMEOUT",
      cause: { message: "the connection is gone" },
    });
    slow.open();
    expect((await second).id).toBe(id(1));
  });

  test("a look-up that fails after its takers gave up disturbs nobody", async () => {
    const { source, guard } = setUp();
    const slow = gate();
    source.script = async () => {
      await slow.passed;
      fails("ERR_QKD_UNREACHABLE")();
    };
    const taking = guard.take("sae-a", id(1), AbortSignal.abort());
    await expect(taking).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
    slow.open();
    await settled();
    expect(guard.counters.failed).toBe(1);
  });

  test("close ends what is under way, wipes what waits, and leaves the source open", async () => {
    const { source, guard } = setUp();
    await guard.take("sae-a", id(1));
    source.script = () => new Promise<void>(() => undefined);
    const taking = guard.take("sae-a", id(2));
    guard.close();
    await expect(taking).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    await expect(guard.take("sae-a", id(3))).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    expect(isWiped(source.given[0]!.key)).toBe(true);
    expect(source.closed).toBe(false);
  });
});

test("over a real KME: two racing takes cost one request, and a lost answer is a typed error", async () => {
  const trusted = authority();
  const stores = linkedStores({ initialKeys: 10, keysPerSecond: 0 });
  const api = kmeApi({
    id: "kme-b",
    saes: ["sae-b"],
    links: [{ kme: "kme-a", saes: ["sae-a"], store: stores.b }],
  });
  const kme = await startFaultyKme({ api, ca: trusted.ca, ...trusted.issue("kme-b") });
  const source = etsi014({ url: kme.url, sae: "sae-b", ca: trusted.ca, ...trusted.issue("sae-b") });
  const guard = redeemer(source, { allow: ["sae-a"] });
  open.push(guard, source);
  const issued = await stores.a.issue({ master: "sae-a", slaves: ["sae-b"], number: 2, bytes: 32 });
  if (typeof issued === "string") throw new Error(issued);

  const [first, second] = await Promise.all([1, 2].map(() => guard.take("sae-a", issued[0]!.id)));
  expect(first!.key).toEqual(issued[0]!.key);
  expect(second).toEqual(first);
  expect(kme.seen.filter((what) => what === "dec_keys")).toHaveLength(1);

  kme.spoil("dec_keys", hangUp);
  await expect(guard.take("sae-a", issued[1]!.id)).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
  expect(source.counters).toMatchObject({ redeemed: 1, lost: 1 });
  await kme.close();
});

test.each([
  [{ allow: undefined }, "ERR_OPTION_MISSING", "allow"],
  [{ allow: "sae-a" }, "ERR_OPTION_INVALID", "allow"],
  [{ allow: [""] }, "ERR_OPTION_INVALID", "allow"],
  [{ cacheSize: 0 }, "ERR_OPTION_INVALID", "cacheSize"],
  [{ ttl: 5 }, "ERR_OPTION_UNKNOWN", "ttl"],
])("the options %j are refused by name", (options, code, option) => {
  expect(() => setUp(options as Partial<RedeemerOptions>)).toThrow(expect.objectContaining({ code, option }));
});
