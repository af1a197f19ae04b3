import { afterEach, describe, expect, test, vi } from "vitest";
import { KeySourceError } from "../../src/protocol/errors.ts";
import { type ReserveOptions, reserve } from "../../src/qkd/reserve.ts";
import { clock, fails, gate, isWiped, scriptedSource, settled } from "../support/scripted-source.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  vi.useRealTimers();
});

function setUp(options: Partial<ReserveOptions> = {}) {
  const source = scriptedSource();
  const time = clock();
  const start = () => {
    const stock = reserve(source, { peers: "sae-b", low: 2, high: 6, now: time.now, ...options });
    open.push(stock);
    return stock;
  };
  return { source, time, start };
}

describe("filling", () => {
  test("begins at once, and refills in one batch when few are left", async () => {
    const { source, start } = setUp();
    const stock = start();
    await settled();
    expect(source.asked).toEqual(["status sae-b", "draw sae-b 6"]);
    expect(stock.held("sae-b")).toBe(6);
    for (let i = 0; i < 3; i++) await stock.draw("sae-b");
    await settled();
    expect(source.asked).toHaveLength(2);
    await stock.draw("sae-b");
    await settled();
    expect(source.asked.slice(2)).toEqual(["draw sae-b 4"]);
    expect(stock.held("sae-b")).toBe(6);
  });

  test("never asks for more than the source gives in one request", async () => {
    const { source, start } = setUp();
    source.perRequest = 4;
    start();
    await settled();
    expect(source.asked).toEqual(["status sae-b", "draw sae-b 4", "draw sae-b 2"]);
  });

  test("asks for half as many while the source has not enough", async () => {
    const { source, start } = setUp();
    source.script = (call) => {
      if (/[2-9]$/.test(call)) fails("ERR_QKD_EMPTY")();
    };
    const stock = start();
    await stock.draw("sae-b");
    expect(source.asked.slice(1, 4)).toEqual(["draw sae-b 6", "draw sae-b 3", "draw sae-b 1"]);
  });

  test("a source without batches is asked key by key", async () => {
    const { source, start } = setUp({ high: 3 });
    delete source.drawMany;
    const stock = start();
    await settled();
    expect(source.asked).toEqual(["draw sae-b 1", "draw sae-b 1", "draw sae-b 1"]);
    expect(stock.held("sae-b")).toBe(3);
  });

  test("a source that serves no status is asked for one key at a time", async () => {
    const { source, start } = setUp({ high: 2, low: 0 });
    source.script = (call) => {
      if (call.startsWith("status")) fails("ERR_QKD_REJECTED")();
    };
    const stock = start();
    await settled();
    expect(source.asked.filter((call) => call.startsWith("draw"))).toEqual(["draw sae-b 1", "draw sae-b 1"]);
    expect(stock.held("sae-b")).toBe(2);
  });
});

describe("handing out", () => {
  test("no key twice, however many draw at once", async () => {
    const { source, start } = setUp();
    const stock = start();
    const keys = await Promise.all(Array.from({ length: 50 }, () => stock.draw("sae-b")));
    expect(new Set(keys.map(({ id }) => id)).size).toBe(50);
    expect(keys.some(({ key }) => isWiped(key))).toBe(false);
    await settled();
    expect(stock.counters.drawn).toBe(50);
    expect(source.counters.drawn).toBe(50 + stock.held("sae-b"));
  });

  test("other lengths, other peers and redemption go straight to the source", async () => {
    const { source, start } = setUp();
    const stock = start();
    await settled();
    source.asked.length = 0;
    expect((await stock.draw("sae-b", { bytes: 64 })).key).toHaveLength(64);
    await stock.draw("sae-c");
    await stock.redeem("sae-b", "id");
    expect(source.asked).toEqual(["draw sae-b 1", "draw sae-c 1", "redeem sae-b id"]);
    expect(stock.counters.drawn).toBe(2);
  });

  test("a caller who gives up leaves the key to the next one", async () => {
    const { source, start } = setUp({ low: 0, high: 1 });
    const slow = gate();
    source.script = () => slow.passed;
    const stock = start();
    const controller = new AbortController();
    const drawing = stock.draw("sae-b", { signal: controller.signal });
    controller.abort();
    await expect(drawing).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
    slow.open();
    await settled();
    expect(stock.held("sae-b")).toBe(1);
    expect(stock.counters).toMatchObject({ drawn: 0, lost: 0 });
  });
});

describe("expiry", () => {
  test("old keys are wiped, counted and replaced", async () => {
    const { source, time, start } = setUp({ maxAgeMs: 1000 });
    const stock = start();
    await settled();
    const old = [...source.given];
    time.add(1000);
    expect(stock.held("sae-b")).toBe(0);
    expect(old.every(({ key }) => isWiped(key))).toBe(true);
    expect(stock.counters.expired).toBe(6);
    const fresh = await stock.draw("sae-b");
    expect(old.map(({ id }) => id)).not.toContain(fresh.id);
  });

  test("happens by itself", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { source, start } = setUp({ maxAgeMs: 1000, now: () => performance.now() });
    start();
    await settled();
    const old = [...source.given];
    await vi.advanceTimersByTimeAsync(1001);
    expect(old).toHaveLength(6);
    expect(old.every(({ key }) => isWiped(key))).toBe(true);
    await settled();
    expect(source.given).toHaveLength(12);
  });
});

describe("a source that fails", () => {
  test("is told of, rested, and asked again; a draw does not wait for that", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const heard: string[] = [];
    const { source, start } = setUp({
      now: () => performance.now(),
      backOff: { firstMs: 100, maxMs: 400 },
      onFailure: (cause, peer) => {
        heard.push(`${peer} ${(cause as KeySourceError).code}`);
        if (heard.length % 2 === 0) return Promise.reject(new Error("a listener's fault, later"));
        throw new Error("a listener's fault");
      },
    });
    source.script = fails("ERR_QKD_UNREACHABLE");
    const stock = start();
    const asked: number[] = [];
    for (let i = 0; i < 14; i++) {
      await vi.advanceTimersByTimeAsync(100);
      asked.push(source.asked.length);
    }
    // At 0, 100, 300, 700 and 1100 ms.
    expect(asked).toEqual([2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5]);
    expect(heard).toEqual(Array(5).fill("sae-b ERR_QKD_UNREACHABLE"));
    await expect(stock.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
    source.script = () => undefined;
    await stock.draw("sae-b");
    await settled();
    expect(stock.held("sae-b")).toBe(6);
  });

  test("by losing an answer costs that batch alone", async () => {
    const { source, start } = setUp();
    source.script = (call) => {
      if (!call.startsWith("draw") || source.counters.lost > 0) return;
      source.counters.lost += 6;
      throw new KeySourceError("ERR_QKD_UNREACHABLE", "cut off");
    };
    const stock = start();
    expect((await stock.draw("sae-b")).key).toHaveLength(32);
    expect(stock.counters).toMatchObject({ drawn: 1, lost: 6 });
  });

  test("by losing every answer fails the draw after the second", async () => {
    const { source, start } = setUp();
    source.script = (call) => {
      if (!call.startsWith("draw")) return;
      source.counters.lost++;
      throw new KeySourceError("ERR_QKD_UNREACHABLE", "cut off");
    };
    await expect(start().draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
    expect(source.counters.lost).toBe(2);
  });

  test("by giving nothing at all fails the draw", async () => {
    const { source, start } = setUp();
    source.drawMany = async () => [];
    await expect(start().draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_MALFORMED" });
  });
});

describe("close", () => {
  test("wipes what is held, fails what waits, and closes the source", async () => {
    const { source, start } = setUp({ peers: ["sae-b", "sae-c"] });
    const slow = gate();
    source.script = (call) => (call.includes("sae-c") ? slow.passed : undefined);
    const stock = start();
    await settled();
    const waiting = stock.draw("sae-c");
    stock.close();
    await expect(waiting).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    await expect(stock.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    slow.open();
    await settled();
    expect(source.given).toHaveLength(6);
    expect(source.given.every(({ key }) => isWiped(key))).toBe(true);
    expect(source.closed).toBe(true);
  });

  test("a batch that arrives afterwards is wiped", async () => {
    const { source, start } = setUp();
    const slow = gate();
    source.script = (call) => (call.startsWith("draw") ? slow.passed : undefined);
    const stock = start();
    await settled();
    stock.close();
    slow.open();
    await settled();
    expect(source.given).toHaveLength(6);
    expect(source.given.every(({ key }) => isWiped(key))).toBe(true);
    expect(stock.counters.expired).toBe(6);
  });
});

test.each([
  [{ peers: [] }, "peers"],
  [{ high: 0 }, "high"],
  [{ low: 6 }, "low"],
  [{ size: 3 }, "size"],
  [{ backOff: { firstMs: 10, maxMs: 5 } }, "maxMs"],
])("the options %j are refused by name", (options, option) => {
  expect(() => setUp(options as Partial<ReserveOptions>).start()).toThrow(
    expect.objectContaining({ option }),
  );
});
