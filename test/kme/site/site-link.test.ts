import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { KeyStore } from "../../../src/kme/store.ts";
import { startSiteLink } from "../../../src/kme/site/site-link.ts";
import type { SiteLinkOptions } from "../../../src/kme/site/site-options.ts";
import { clock } from "../../support/scripted-source.ts";
import { ANYWHERE, fibre, type SiteEnd, site, tap, trusted, until } from "./site-bed.ts";

const request = { master: "m", slaves: ["s"], number: 1, bytes: 32 };

/** Draws at one site and fetches at the other. */
async function exchange(from: KeyStore, to: KeyStore): Promise<Uint8Array> {
  const keys = await from.issue(request);
  if (typeof keys === "string") throw new Error(keys);
  const [key] = keys;
  expect(await to.deliver("s", "m", [key!.id])).toEqual(keys);
  return key!.key;
}

const isFed = (...ends: readonly SiteEnd[]) =>
  until(() => ends.every(({ store }) => store.stored > 0 && store.storedIncoming > 0));

describe("two sites", () => {
  test("come to the same keys, both ways, and to the same stock", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } });
    const b = await site("b", { fibre: endpoint, meet: { connect: a.link.endpoint! } });
    await isFed(a, b);
    expect([a.store.stored, b.store.stored]).toEqual([b.store.storedIncoming, a.store.storedIncoming]);
    const keys = [await exchange(a.store, b.store), await exchange(b.store, a.store)];
    expect(keys[0]).not.toEqual(keys[1]);
    expect(a.blocks).toHaveLength(1);
    expect(a.blocks[0]).toMatchObject({ outcome: "key", simulated: true, block: 1 });
    expect(b.blocks[0]?.secretBits).toBe(a.blocks[0]?.secretBits);
    expect(a.link.status).toMatchObject({
      preset: "metro-10km",
      fibre: { lengthKm: 10 },
      connected: { fibre: true, channel: true, peer: true },
      sessions: { opened: 1, lastStop: undefined },
    });
    expect(a.link.status.authentication.send.spentBits).toBeGreaterThan(0);
    expect(JSON.stringify(a.link.status)).not.toContain("adversary");
  });

  test("do so whichever of them listens, by a key both were given, with another way to authenticate", async () => {
    const { endpoint } = await fibre();
    const options: Partial<SiteLinkOptions> = { psk: new Uint8Array(32).fill(9), method: "hmac" };
    const b = await site("b", { fibre: endpoint, meet: { listen: ANYWHERE }, ...options });
    const a = await site("a", { fibre: endpoint, meet: { connect: b.link.endpoint! }, ...options });
    await isFed(a, b);
    await exchange(b.store, a.store);
  });

  test("put no more than fits at either of them", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } }, { maxStored: 100 });
    const b = await site("b", { fibre: endpoint, meet: { connect: a.link.endpoint! } }, { maxStored: 3 });
    await until(() => a.store.stored === 3 && b.store.stored === 3);
    expect([a.store.storedIncoming, b.store.storedIncoming]).toEqual([3, 3]);
    await exchange(a.store, b.store);
    expect([a.store.stored, b.store.storedIncoming]).toEqual([2, 2]);
  });

  test("begin anew by themselves when the fibre was gone, and when the line was cut", async () => {
    const first = await fibre();
    const a = await site("a", { fibre: first.endpoint, meet: { listen: ANYWHERE } }, { maxStored: 4 });
    const line = await tap(a.link.endpoint!);
    const b = await site("b", { fibre: first.endpoint, meet: { connect: line.endpoint } }, { maxStored: 4 });
    await isFed(a, b);
    await first.close();
    await until(() => a.changes.includes("fibre gone") && b.changes.includes("fibre gone"));
    await until(() => !a.link.status.connected.channel && !b.link.status.connected.channel);
    expect(a.link.status.fibre).toBeUndefined();
    // What was made before is delivered all the same.
    for (let left = 4; left > 0; left--) await exchange(a.store, b.store);
    expect(a.store.stored).toBe(0);
    await fibre({ listen: first.endpoint, seed: "again" });
    await until(() => a.store.stored > 0);

    const { opened } = a.link.status.sessions;
    line.cut();
    await until(() => a.link.status.sessions.opened > opened && a.link.status.connected.peer);
    while (typeof (await a.store.issue(request)) !== "string");
    await until(() => a.store.stored > 0);
    await exchange(a.store, b.store);
  });

  test("drop what the other one has lost with its memory, and count it", async () => {
    const { endpoint } = await fibre();
    const time = clock();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } }, { now: time.now });
    const meet = { connect: a.link.endpoint! };
    const before = await site("b", { fibre: endpoint, meet });
    await isFed(a, before);
    const { stored, storedIncoming } = a.store;
    // Old enough for a lack to mean something.
    time.add(10_001);
    await before.store.close();
    await until(() => !a.link.status.connected.peer);
    const after = await site("b", { fibre: endpoint, meet });
    await isFed(a, after);
    await until(() => a.store.counters.lost === stored + storedIncoming);
    await until(() => a.store.stored === after.store.storedIncoming);
    await exchange(a.store, after.store);
    await exchange(after.store, a.store);
  });
});

describe("on the line between two sites", () => {
  test("there is no bit of a key, though nothing of the classical channel is encrypted", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } });
    const seen: Buffer[] = [];
    const line = await tap(a.link.endpoint!, (chunk) => {
      seen.push(Buffer.from(chunk));
      return chunk;
    });
    const b = await site("b", { fibre: endpoint, meet: { connect: line.endpoint } });
    await isFed(a, b);
    const keys = [];
    while (a.store.stored > 0) keys.push(await exchange(a.store, b.store));
    while (b.store.stored > 0) keys.push(await exchange(b.store, a.store));
    const heard = Buffer.concat(seen);
    expect(keys.length).toBeGreaterThan(10);
    // Sifting is public: what was detected is a byte or two for each click.
    expect(heard.length).toBeGreaterThan(a.blocks[0]!.detections);
    for (const key of keys) {
      for (let at = 0; at + 8 <= key.length; at++)
        expect(heard.includes(Buffer.from(key.subarray(at, at + 8)))).toBe(false);
      expect(heard.includes(Buffer.from(key).toString("base64"))).toBe(false);
    }
  });

  test("whoever alters one bit of the classical channel stops it, and no key comes of it until he goes", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } });
    let isTampering = true;
    const channels = new Set<number>();
    const heard = new Map<number, number>();
    const line = await tap(a.link.endpoint!, (chunk, way, connection) => {
      if (way === "in" && !heard.has(connection) && chunk[0] === 0x51) channels.add(connection);
      const before = heard.get(connection) ?? 0;
      heard.set(connection, before + chunk.length);
      // Well behind the bootstrap: a message of the block.
      if (isTampering && channels.has(connection) && before > 30_000) chunk[chunk.length - 1]! ^= 1;
      return chunk;
    });
    const b = await site("b", { fibre: endpoint, meet: { connect: line.endpoint } });
    const stops = () => [a, b].map(({ link }) => link.status.sessions.lastStop);
    await until(() => stops().includes("ERR_LINK_FORGED") && a.blocks.length >= 2);
    expect([...a.blocks, ...b.blocks].filter(({ outcome }) => outcome === "key")).toEqual([]);
    expect(a.blocks.some(({ outcome }) => ["authentication_failed", "closed"].includes(outcome))).toBe(true);
    expect([a.store.counters.made, b.store.counters.made]).toEqual([0, 0]);
    isTampering = false;
    await isFed(a, b);
    await exchange(a.store, b.store);
  });

  test("somebody else's certificate, or none, opens nothing", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } });
    const meet = { connect: a.link.endpoint! };
    const stranger = await site("b", { fibre: endpoint, meet, ...trusted.issue("sae-b") });
    await until(() => a.changes.some((line) => /^channel gone: .*kme-b/.test(line)));
    await until(() => a.changes.some((line) => line.startsWith("peer gone: ")));
    expect(a.link.status.connected).toEqual({ fibre: true, channel: false, peer: false });
    expect(stranger.link.status.connected.peer).toBe(false);
    expect(a.blocks).toEqual([]);
  });

  test("nor does another pre-shared key", async () => {
    const { endpoint } = await fibre();
    const a = await site("a", {
      fibre: endpoint,
      meet: { listen: ANYWHERE },
      psk: randomBytes(32),
    });
    const b = await site("b", {
      fibre: endpoint,
      meet: { connect: a.link.endpoint! },
      psk: randomBytes(32),
    });
    await until(
      () => b.link.status.sessions.lastStop !== undefined || a.link.status.sessions.lastStop !== undefined,
    );
    expect([a, b].map(({ link }) => link.status.sessions.lastStop)).toContain("ERR_LINK_FORGED");
    expect([a.blocks, b.blocks]).toEqual([[], []]);
  });
});

test("an older link of the other site is over once it has begun anew", async () => {
  const { endpoint } = await fibre();
  const a = await site("a", { fibre: endpoint, meet: { listen: ANYWHERE } }, { maxStored: 0 });
  const meet = { connect: a.link.endpoint! };
  await site("b", { fibre: endpoint, meet });
  await until(() => a.link.status.connected.channel && a.link.status.connected.peer);
  // The end of the fibre is taken, so this one only speaks to the KME.
  const second = await site("b", { fibre: endpoint, meet });
  await until(() => second.changes.some((line) => line.startsWith("fibre gone: another process")));
  await until(() => second.link.status.connected.peer);
  expect(second.link.status.connected).toEqual({ fibre: false, channel: false, peer: true });
});

test.each<[string, Partial<SiteLinkOptions>]>([
  ["cert", { cert: "nothing" }],
  ["ca", { ca: "nothing" }],
  ["blockBytes", { blockBytes: 0 }],
  ["trust", { psk: new Uint8Array(31) }],
  ["method", { psk: new Uint8Array(32), method: "signature" }],
  ["fibre", { fibre: { host: "192.0.2.1", port: 7000 } }],
  ["method", { method: "trust" as never }],
  ["site", { site: "c" as never }],
  ["speed", { speed: 1 } as never],
])("refuses by name: %s", async (option, changes) => {
  const all: SiteLinkOptions = {
    site: "a",
    peer: "kme-b",
    ca: trusted.ca,
    ...trusted.issue("kme-a"),
    fibre: { host: "127.0.0.1", port: 1 },
    meet: { connect: { host: "127.0.0.1", port: 1 } },
    ...changes,
  };
  await expect(startSiteLink(all)).rejects.toMatchObject({ name: "UsageError", option });
});
