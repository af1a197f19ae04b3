import { expect, test } from "vitest";
import { drawer } from "../../src/qkd/drawer.ts";
import { clock, fails, gate, isWiped, scriptedSource, settled } from "../support/scripted-source.ts";

test("passes keys and the other calls through", async () => {
  const source = scriptedSource();
  const guarded = drawer(source);
  const key = await guarded.draw("sae-b", { bytes: 48 });
  expect(key.key).toHaveLength(48);
  await guarded.redeem("sae-b", "id");
  await guarded.status("sae-b");
  expect(source.asked).toEqual(["draw sae-b 1", "redeem sae-b id", "status sae-b"]);
  expect(guarded).toMatchObject({ kind: "scripted", sae: "sae-x", simulated: true });
  guarded.close();
  expect(source.closed).toBe(true);
});

test("a source that ignores its signal still meets the time limit; its late key is wiped and counted", async () => {
  const source = scriptedSource();
  const late = gate();
  source.script = () => late.passed;
  const guarded = drawer(source, { timeoutMs: 20 });
  await expect(guarded.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
  late.open();
  await settled();
  expect(source.given.map(({ key }) => isWiped(key))).toEqual([true]);
  expect(guarded.counters).toMatchObject({ drawn: 0, lost: 1 });
});

test("a source that keeps failing is left alone for a while", async () => {
  const source = scriptedSource();
  const time = clock();
  source.script = fails("ERR_QKD_UNREACHABLE");
  const guarded = drawer(source, { breaker: { failures: 2, coolDownMs: 100 }, now: time.now });
  for (let i = 0; i < 5; i++) {
    await expect(guarded.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
  }
  expect(source.asked).toHaveLength(2);
  time.add(100);
  source.script = () => undefined;
  await guarded.draw("sae-b");
  expect(guarded.breaker.open).toBe(false);
});

test("a caller who gives up says nothing about the source", async () => {
  const source = scriptedSource();
  source.script = () => new Promise<void>(() => undefined);
  const guarded = drawer(source, { breaker: { failures: 1 } });
  const controller = new AbortController();
  const drawing = guarded.draw("sae-b", { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(drawing).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT", cause: { message: "enough" } });
  expect(guarded.breaker.open).toBe(false);
});
