import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import type { AliceRecord, BobRecord } from "../../../src/link/quantum-channel.ts";
import type { Endpoint } from "../../../src/kme/site/endpoint.ts";
import { FibreEnd } from "../../../src/kme/site/fibre-end.ts";
import { type BatchTag, FibreMessages, type Site } from "../../../src/kme/site/fibre-messages.ts";
import { type FibreOptions, startFibre } from "../../../src/kme/site/fibre-process.ts";
import { ANYWHERE, closing, fibre, until } from "./site-bed.ts";

const root = mkdtempSync(join(tmpdir(), "qkd-tls-fibre-"));
chmodSync(root, 0o700);
afterAll(() => rmSync(root, { recursive: true }));

const tag = (batch: number): BatchTag => ({ session: new Uint8Array(16).fill(5), block: 3, batch });

/** One end of the fibre, and what it is told. */
function end(site: Site, endpoint: Endpoint) {
  const prepared: { readonly tag: BatchTag; readonly record: AliceRecord }[] = [];
  const detected: { readonly tag: BatchTag; readonly record: BobRecord }[] = [];
  const said: string[] = [];
  const fibreEnd = closing(
    new FibreEnd({
      endpoint,
      site,
      onUp: ({ preset, fibre: { lengthKm } }) => void said.push(`${preset.name}, ${lengthKm} km`),
      onDown: (why) =>
        void said.push(
          `down: ${why === undefined ? "left" : "code" in why ? String(why.code) : why.message}`,
        ),
      onPrepared: (of, record) => void prepared.push({ tag: of, record }),
      onDazzled: (of) => void said.push(`dazzled ${of.batch}`),
      onDetected: (of, record) => void detected.push({ tag: of, record }),
    }),
  );
  return { end: fibreEnd, prepared, detected, said };
}

async function ends(options: Partial<FibreOptions> = {}) {
  const process = await fibre(options);
  const [a, b] = [end("a", process.endpoint), end("b", process.endpoint)];
  await until(() => a.end.devices !== undefined && b.end.devices !== undefined);
  return { process, a, b };
}

describe("the fibre between two sites", () => {
  test("gives each what is its own of the pulses that A asks for, with the number of the batch", async () => {
    const { a, b } = await ends();
    a.end.send(tag(0), 1_000_000);
    a.end.send(tag(1), 1_000_000);
    await until(() => a.prepared.length === 2 && b.detected.length === 2);
    for (const batch of [0, 1]) {
      const [alice, bob] = [a.prepared[batch]!, b.detected[batch]!];
      expect([alice.tag, bob.tag]).toEqual([tag(batch), tag(batch)]);
      expect(alice.record.slots.length).toBeGreaterThan(10_000);
      expect(bob.record.slots).toEqual(alice.record.slots);
      expect([alice.record.pulses, bob.record.pulses]).toEqual([1_000_000, 1_000_000]);
      expect(Object.keys(alice.record)).not.toContain("outcomes");
      // Where both measured alike they agree, but for errors: the two are of the same pulses.
      const same = [...alice.record.choices].filter((choice, at) => (choice & 3) === bob.record.outcomes[at]);
      expect(same.length / alice.record.slots.length).toBeGreaterThan(0.5);
    }
    expect([a.detected, b.prepared]).toEqual([[], []]);
  });

  test("loses the light that nobody is there to detect", async () => {
    const process = await fibre();
    const a = end("a", process.endpoint);
    await until(() => a.end.devices !== undefined);
    a.end.send(tag(0), 100_000);
    await until(() => a.prepared.length === 1);
    const b = end("b", process.endpoint);
    await until(() => b.end.devices !== undefined);
    a.end.send(tag(1), 100_000);
    await until(() => b.detected.length > 0);
    expect(b.detected.map((each) => each.tag.batch)).toEqual([1]);
  });

  test("tells both of another length, and neither of who sits in it", async () => {
    const { process, a, b } = await ends({ lengthKm: 20 });
    process.lay({ adversary: { interceptShare: 0.5 } });
    process.lay({ lengthKm: 12.5 });
    await until(() => a.said.length === 3 && b.said.length === 3);
    const told = ["metro-10km, 20 km", "metro-10km, 20 km", "metro-10km, 12.5 km"];
    expect([a.said, b.said]).toEqual([told, told]);
    expect(a.end.devices?.fibre.adversary).toBeUndefined();
    expect(process.fibre.adversary?.interceptShare).toBe(0.5);
  });

  test("lets whoever sits in it measure, which shows in the errors", async () => {
    const { a, b } = await ends({ adversary: { interceptShare: 1 } });
    a.end.send(tag(0), 1_000_000);
    await until(() => a.prepared.length === 1 && b.detected.length === 1);
    const { choices } = a.prepared[0]!.record;
    const { outcomes } = b.detected[0]!.record;
    const alike = [...choices].map((choice, at) => [choice & 3, outcomes[at]!] as const);
    const sameBasis = alike.filter(([sent, got]) => sent >> 1 === got >> 1);
    const wrong = sameBasis.filter(([sent, got]) => sent !== got);
    expect(wrong.length / sameBasis.length).toBeGreaterThan(0.2);
  });

  test("says that its detectors are dazzled instead of drawing more clicks than fit", async () => {
    const { a } = await ends({ preset: "long-100km", lengthKm: 0 });
    a.end.send(tag(0), 2 ** 32 - 1);
    await until(() => a.said.includes("dazzled 0"));
    expect(a.prepared).toEqual([]);
  });

  test("refuses a second process at an end, which comes in once the first has left", async () => {
    const onSite = vi.fn();
    const { process, a } = await ends({ onSite });
    const second = end("a", process.endpoint);
    await until(() => second.said.includes("down: ERR_LINK_CLOSED"));
    expect(second.end.devices).toBeUndefined();
    a.end.close();
    await until(() => second.end.devices !== undefined);
    expect(onSite.mock.calls).toEqual(
      expect.arrayContaining([
        ["a", "joined"],
        ["b", "joined"],
        ["a", "refused"],
        ["a", "left"],
      ]),
    );
  });

  test("is found again by its sites when it was gone", async () => {
    const { process, a, b } = await ends();
    await process.close();
    await until(() => a.said.includes("down: left") && b.said.includes("down: left"));
    await fibre({ listen: process.endpoint });
    await until(() => a.end.devices !== undefined && b.end.devices !== undefined);
  });

  test("may be a Unix socket, for its owner alone", async () => {
    const path = join(root, "fibre");
    const { process, a } = await ends({ listen: { path } });
    expect(process.endpoint).toEqual({ path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    a.end.send(tag(0), 1000);
    await until(() => a.prepared.length === 1);
    await process.close();
    expect(existsSync(path)).toBe(false);
  });
});

describe("whoever connects and", () => {
  const framed = (message: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([0, 0, 0, message.length]), message]);
  const hello = (site: number, version = 1) => framed(FibreMessages.write("hello", { version, site }));
  const pulses = (batch: number, count: number) =>
    framed(FibreMessages.write("pulses", { tag: tag(batch), pulses: count }));

  test.each<[string, Buffer]>([
    ["asks before it says which end it is", pulses(0, 1)],
    ["says that it is a third end", hello(3)],
    ["speaks another version", hello(1, 2)],
    ["asks for pulses at B", Buffer.concat([hello(2), pulses(0, 1)])],
    ["asks for no pulses", Buffer.concat([hello(1), pulses(0, 0)])],
    [
      "asks for many batches at once",
      Buffer.concat([hello(1), ...[0, 1, 2, 3, 4].map((at) => pulses(at, 2 ** 31))]),
    ],
    ["sends a long message", Buffer.from([0, 0, 1, 0])],
    ["sends something else", framed(Uint8Array.of(99))],
  ])("%s is hung up on", async (_, bytes) => {
    const { endpoint } = await fibre();
    if (!("port" in endpoint)) throw new Error("it is on TCP");
    const socket = connect(endpoint.port, endpoint.host);
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.once("close", resolve));
    // And others are served.
    const a = end("a", endpoint);
    await until(() => a.end.devices !== undefined);
  });
});

test.each<[string, Partial<FibreOptions>]>([
  ["seed", { seed: "x", production: true }],
  ["listen", { listen: { host: "0.0.0.0", port: 0 } }],
  ["listen", { listen: { host: "192.0.2.1", port: 0 } }],
  ["preset", { preset: "moon" as never }],
  ["lengthKm", { lengthKm: -1 }],
  ["interceptShare", { adversary: { interceptShare: 2 } }],
  ["speed", { speed: 1 } as never],
])("refuses by name: %s", async (option, options) => {
  await expect(startFibre({ listen: ANYWHERE, ...options })).rejects.toMatchObject({
    name: "UsageError",
    option,
  });
});

test("gives the same clicks for the same seed, and others for another", async () => {
  const clicks = async (seed: string): Promise<Uint8Array> => {
    const { a } = await ends({ seed });
    a.end.send(tag(0), 100_000);
    await until(() => a.prepared.length === 1);
    return a.prepared[0]!.record.choices;
  };
  const first = await clicks("one");
  expect(await clicks("one")).toEqual(first);
  expect(await clicks("two")).not.toEqual(first);
});
