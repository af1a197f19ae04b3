import { duplexPair } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { Alice } from "../../../src/link/alice.ts";
import type { BlockRecord } from "../../../src/link/block.ts";
import { Bob } from "../../../src/link/bob.ts";
import { preset } from "../../../src/link/presets.ts";
import { type Batch, QuantumChannel } from "../../../src/link/quantum-channel.ts";
import { ClassicalEnd, type Session } from "../../../src/kme/site/classical-end.ts";
import { AliceDrive, BobDrive } from "../../../src/kme/site/drive.ts";
import type { BatchTag } from "../../../src/kme/site/fibre-messages.ts";
import { provider } from "../../support/credentials.ts";
import { isWiped } from "../../support/scripted-source.ts";

const { optics } = preset("metro-10km");
const open: ClassicalEnd[] = [];
afterEach(() => {
  for (const end of open.splice(0)) end.close();
});

interface Asked {
  readonly tag: BatchTag;
  readonly pulses: number;
}

/** Two sites on one stream; what A asks of the fibre the test answers. */
async function sites() {
  const channel = new QuantumChannel(optics, (length) => provider.random(length));
  const streams = duplexPair();
  const keys: Partial<Record<"alice" | "bob", Uint8Array>> = {};
  const records: Partial<Record<"alice" | "bob", BlockRecord>> = {};
  const asked: Asked[] = [];
  const drives: { alice?: AliceDrive; bob?: BobDrive } = {};
  const sessions: Session[] = [];
  let onChange = (): void => undefined;
  for (const [at, party] of (["bob", "alice"] as const).entries()) {
    open.push(
      new ClassicalEnd(streams[at]!, {
        settings: {
          provider,
          party,
          method: "wegman-carter",
          trust: { kind: "psk", identity: "test", key: new Uint8Array(32).fill(7) },
        },
        block: {
          hash: provider.hash("sha256"),
          random: (length) => provider.random(length),
          source: optics.source,
        },
        onOpen(session, end) {
          sessions.push(session);
          const shared = { context: session.context, perform: end.perform.bind(end) };
          const send = (tag: BatchTag, pulses: number): void => {
            asked.push({ tag, pulses });
            onChange();
          };
          if (session.party instanceof Alice)
            drives.alice = new AliceDrive(session.party, { ...shared, send });
          if (session.party instanceof Bob) drives.bob = new BobDrive(session.party, shared);
          onChange();
        },
        onHeard() {
          drives[party]?.heard();
          onChange();
        },
        onEnded({ record, key }) {
          records[party] = record;
          if (key !== undefined) keys[party] = key;
          onChange();
        },
        onClose: () => onChange(),
      }),
    );
  }
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise<void>((resolve) => (onChange = resolve));
  };
  await until(() => sessions.length === 2);
  const { alice, bob } = drives;
  if (alice === undefined || bob === undefined) throw new Error("both are there");
  const pulses = (): Batch => channel.send(asked.at(-1)!.pulses);
  return { alice, bob, asked, keys, records, until, pulses };
}

const plan = { pulses: 5_000_000, batches: 4 };

describe("a block", () => {
  test("is brought to its key batch by batch, Bob's at most one ahead of what is sifted", async () => {
    const { alice, bob, asked, keys, records, until, pulses } = await sites();
    alice.open(plan);
    for (let batch = 0; batch < plan.batches; batch++) {
      await until(() => asked.length > batch);
      expect(asked).toHaveLength(batch + 1);
      expect(asked[batch]).toMatchObject({ tag: { block: 1, batch }, pulses: plan.pulses });
      const seen = pulses();
      alice.prepared(asked[batch]!.tag, seen.alice);
      bob.detected(asked[batch]!.tag, seen.bob);
    }
    await until(() => records.alice !== undefined && records.bob !== undefined);
    expect(records.alice?.outcome).toBe(records.bob?.outcome);
    expect(records.bob?.qber?.key).toBeCloseTo(0.02, 2);
    expect(keys.alice).toEqual(keys.bob);
  });

  test("is opened at B after its first detections came: they wait for it", async () => {
    const { alice, bob, asked, records, until, pulses } = await sites();
    alice.open({ ...plan, batches: 1 });
    const seen = pulses();
    bob.detected(asked[0]!.tag, seen.bob);
    alice.prepared(asked[0]!.tag, seen.alice);
    await until(() => records.alice !== undefined && records.bob !== undefined);
    expect(records.bob?.detections).toBe(records.alice?.detections);
    expect(records.bob?.outcome).not.toBe("stopped");
  });

  test("of which B missed a batch is stopped at both", async () => {
    const { alice, bob, asked, records, until, pulses } = await sites();
    alice.open(plan);
    const first = pulses();
    alice.prepared(asked[0]!.tag, first.alice);
    await until(() => asked.length === 2);
    bob.detected(asked[1]!.tag, pulses().bob);
    await until(() => records.alice !== undefined && records.bob !== undefined);
    expect([records.alice?.outcome, records.bob?.outcome]).toEqual(["stopped", "stopped"]);
  });

  test("whose detectors were dazzled is stopped", async () => {
    const { alice, asked, records, until } = await sites();
    alice.open(plan);
    alice.dazzled(asked[0]!.tag);
    await until(() => records.alice !== undefined && records.bob !== undefined);
    expect(records.alice?.outcome).toBe("stopped");
  });
});

describe("a batch of another session, block or place", () => {
  test("is wiped, and changes nothing", async () => {
    const { alice, bob, asked, records, pulses } = await sites();
    alice.open(plan);
    const { tag } = asked[0]!;
    for (const odd of [
      { ...tag, session: new Uint8Array(16) },
      { ...tag, block: 7 },
      { ...tag, batch: 1 },
    ]) {
      const seen = pulses();
      alice.prepared(odd, seen.alice);
      expect(isWiped(seen.alice.choices)).toBe(true);
    }
    const { bob: foreign } = pulses();
    bob.detected({ ...tag, session: new Uint8Array(16) }, foreign);
    expect(isWiped(foreign.outcomes)).toBe(true);
    expect([asked.length, records.alice, records.bob]).toEqual([1, undefined, undefined]);
  });

  test("waits at B up to a bound, and is wiped when B is closed", async () => {
    const { alice, bob, asked, pulses } = await sites();
    alice.open({ pulses: 1000, batches: 1 });
    const all = Array.from({ length: 10 }, (_, n) => {
      const { bob: seen } = pulses();
      bob.detected({ ...asked[0]!.tag, block: 100 + n }, seen);
      return seen;
    });
    // A batch of so few pulses may have seen nothing, which is wiped in any case.
    expect(all.slice(8).every(({ outcomes }) => isWiped(outcomes))).toBe(true);
    bob.close();
    expect(all.every(({ outcomes }) => isWiped(outcomes))).toBe(true);
  });
});
