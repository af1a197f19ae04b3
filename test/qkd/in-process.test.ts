import { afterEach, expect, test } from "vitest";
import { kmeApi } from "../../src/kme/api.ts";
import { type LinkedStores, linkedStores } from "../../src/kme/pair.ts";
import { inProcess, type KeyDelivery } from "../../src/qkd/in-process.ts";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

function site() {
  const stores: LinkedStores = linkedStores({ initialKeys: 3, keysPerSecond: 0 });
  opened.push(stores.a, stores.b);
  const a = kmeApi({
    id: "kme-a",
    saes: ["sae-a"],
    links: [{ kme: "kme-b", saes: ["sae-b"], store: stores.a }],
  });
  const b = kmeApi({
    id: "kme-b",
    saes: ["sae-b"],
    links: [{ kme: "kme-a", saes: ["sae-a"], store: stores.b }],
  });
  const source = (kme: KeyDelivery, sae: string, options: object = {}) => {
    const made = inProcess({ kme, sae, ...options });
    opened.push(made);
    return made;
  };
  return { a, b, source };
}

test("what one SAE draws from its KME the other redeems at its own, once, and it says where it lay", async () => {
  const { a, b, source } = site();
  const [master, slave] = [source(a, "sae-a"), source(b, "sae-b")];
  const key = await master.draw("sae-b");
  expect(key).toMatchObject({
    kind: "in-process",
    simulated: true,
    kmes: { source: "kme-a", target: "kme-b" },
    key: { length: 32 },
  });
  expect((await slave.redeem("sae-a", key.id)).key).toEqual(key.key);
  await expect(slave.redeem("sae-a", key.id)).rejects.toMatchObject({ code: "ERR_QKD_UNKNOWN_KEY" });
  expect(await master.drawMany("sae-b", 2, { bytes: 16 })).toHaveLength(2);
  await expect(master.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_EMPTY" });
  expect(await master.status("sae-b")).toMatchObject({ stored: 0, keyBits: 256, simulated: true });
  expect(master.counters).toMatchObject({ drawn: 3, lost: 0 });
});

test("an SAE that the KME does not serve is refused", async () => {
  const { a, source } = site();
  await expect(source(a, "sae-x").draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_UNAUTHORIZED" });
});

test("a KME that fails, or does not answer in time, is a failure; a key that it may have given is lost", async () => {
  const { source } = site();
  const failing = source({ answer: () => Promise.reject(new Error("broken")) }, "sae-a");
  await expect(failing.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_UNREACHABLE" });
  const silent = source({ answer: () => new Promise(() => undefined) }, "sae-a", { timeoutMs: 20 });
  await expect(silent.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
  expect(silent.counters).toMatchObject({ lost: 1, failures: 1 });
});

test("a call that is given up, or cut by closing, ends", async () => {
  const { source } = site();
  const silent = source({ answer: () => new Promise(() => undefined) }, "sae-a");
  const giveUp = new AbortController();
  const call = silent.draw("sae-b", { signal: giveUp.signal });
  giveUp.abort();
  await expect(call).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
  const cut = silent.draw("sae-b");
  silent.close();
  await expect(cut).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
  await expect(silent.draw("sae-b")).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
});

test("options are refused by name", () => {
  const { a } = site();
  expect(() => inProcess({ kme: a, sae: "" })).toThrow(expect.objectContaining({ option: "sae" }));
  expect(() => inProcess({ kme: a, sae: "x", url: "" } as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_UNKNOWN", option: "url" }),
  );
  expect(() => inProcess({ kme: a, sae: "x", keyBytes: 1 })).toThrow(
    expect.objectContaining({ option: "keyBytes" }),
  );
});
