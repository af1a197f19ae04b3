import { duplexPair } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { EndedBlock } from "../../../src/link/block.ts";
import type { BootstrapSettings } from "../../../src/link/bootstrap-settings.ts";
import { preset } from "../../../src/link/presets.ts";
import { ClassicalEnd, type ClassicalEndOptions, type Session } from "../../../src/kme/site/classical-end.ts";
import { provider } from "../../support/credentials.ts";

const settingsOf = (party: "alice" | "bob", key = 7): BootstrapSettings => ({
  provider,
  party,
  method: "wegman-carter",
  trust: { kind: "psk", identity: "test", key: new Uint8Array(32).fill(key) },
});

function options(settings: BootstrapSettings) {
  const ended: EndedBlock[] = [];
  let opened: (session: Session) => void;
  let closed: (error: Error | undefined) => void;
  const all: ClassicalEndOptions = {
    settings,
    block: {
      hash: provider.hash("sha256"),
      random: (length) => provider.random(length),
      source: preset("metro-10km").optics.source,
    },
    onOpen: (session) => opened(session),
    onHeard: () => undefined,
    onEnded: (block) => void ended.push(block),
    onClose: (error) => closed(error),
  };
  const open = new Promise<Session>((resolve) => (opened = resolve));
  const close = new Promise<Error | undefined>((resolve) => (closed = resolve));
  return { all, ended, open, close };
}

function pair(keys: { readonly alice?: number; readonly bob?: number } = {}) {
  const [left, right] = duplexPair();
  // As a connection does.
  left.once("close", () => right.destroy());
  right.once("close", () => left.destroy());
  const [ofA, ofB] = [options(settingsOf("alice", keys.alice)), options(settingsOf("bob", keys.bob))];
  const b = { end: new ClassicalEnd(right, ofB.all), ...ofB };
  const a = { end: new ClassicalEnd(left, ofA.all), ...ofA };
  return { a, b, left, right };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("two ends of the classical channel", () => {
  test("come to one session, each with its own party", async () => {
    const { a, b } = pair();
    const [ofA, ofB] = await Promise.all([a.open, b.open]);
    expect(ofA.context).toEqual(ofB.context);
    expect([ofA.party.constructor.name, ofB.party.constructor.name]).toEqual(["Alice", "Bob"]);
    expect(a.end.session).toBe(ofA);
    a.end.close();
    expect(await b.close).toBeUndefined();
    expect([ofA.party.closed, ofB.party.closed]).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("carry what a party says, and end its block when the channel ends", async () => {
    const { a, b } = pair();
    const [ofA, ofB] = await Promise.all([a.open, b.open]);
    if (!("open" in ofA.party)) throw new Error("A is Alice");
    const heard = new Promise<void>((resolve) => vi.spyOn(b.all, "onHeard").mockImplementation(resolve));
    a.end.perform(ofA.party.open(2));
    await heard;
    expect(ofB.party.block).toBe(1);
    b.end.close();
    await Promise.all([a.close, b.close]);
    for (const { ended } of [a, b]) {
      expect(ended).toMatchObject([{ record: { block: 1, outcome: "closed", secretBits: 0 } }]);
      expect(ended[0]?.key).toBeUndefined();
    }
  });

  test("with different secrets have no session: the first proof that does not fit ends it", async () => {
    const { a, b } = pair({ alice: 7, bob: 8 });
    const errors = await Promise.all([a.close, b.close]);
    expect(errors).toContainEqual(expect.objectContaining({ code: "ERR_LINK_FORGED" }));
    expect([a.end.session, b.end.session]).toEqual([undefined, undefined]);
  });
});

test("a message that is not the peer's next one stops the party, with the block under way", async () => {
  const { a, b, left } = pair();
  const [ofA] = await Promise.all([a.open, b.open]);
  if (!("open" in ofA.party)) throw new Error("A is Alice");
  a.end.perform(ofA.party.open(1));
  left.write(Buffer.concat([Buffer.from([0, 0, 0, 20]), Buffer.alloc(20, 1)]));
  expect(await b.close).toMatchObject({ code: expect.stringMatching(/^ERR_LINK_/) });
  expect(b.ended[0]?.record.outcome).toBe("authentication_failed");
});

test("whoever sends more than a bootstrap has in it is not listened to", async () => {
  const { b, left } = pair();
  left.write(Buffer.from([0, 0x10, 0, 0]));
  expect(await b.close).toMatchObject({ code: "ERR_LINK_LIMIT" });
});

test("whoever says nothing is not waited for", async () => {
  const [left] = duplexPair();
  const { all, close } = options(settingsOf("bob"));
  const end = new ClassicalEnd(left, all);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await close).toMatchObject({ code: "ERR_LINK_CLOSED" });
  expect([end.session, vi.getTimerCount()]).toEqual([undefined, 0]);
});
