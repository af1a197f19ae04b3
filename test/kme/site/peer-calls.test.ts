import { randomUUID } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PeerCalls, type PeerCallsOptions, type PeerWork } from "../../../src/kme/site/peer-calls.ts";
import { PeerMessages } from "../../../src/kme/site/peer-messages.ts";

const work: PeerWork = {
  accept: async () => true,
  withdraw: async () => undefined,
  agree: async () => [],
  room: () => ({ outgoing: 3, incoming: 4 }),
  land: async (_, count) => count,
};
const issue = { master: "m", slaves: ["s"], bytes: 32, keys: [{ id: randomUUID(), blocks: [randomUUID()] }] };

interface End {
  readonly calls: PeerCalls;
  readonly ready: Promise<unknown>;
  readonly closed: Promise<Error | undefined>;
}

function end(stream: Duplex, options: Partial<PeerCallsOptions> = {}): End {
  let isReady: (value: unknown) => void;
  let isClosed: (error: Error | undefined) => void;
  const ready = new Promise((resolve) => (isReady = resolve));
  const closed = new Promise<Error | undefined>((resolve) => (isClosed = resolve));
  const calls = new PeerCalls(stream, {
    site: "a",
    blockBytes: 32,
    simulated: true,
    work,
    onReady: (value) => isReady(value),
    onClose: (error) => isClosed(error),
    ...options,
  });
  return { calls, ready, closed };
}

/** Two KMEs that know each other; what `b` is asked it does by `ofB`. */
async function pair(ofB: Partial<PeerWork> = {}) {
  const [left, right] = duplexPair();
  const a = end(left);
  const b = end(right, { site: "b", work: { ...work, ...ofB } });
  await Promise.all([a.ready, b.ready]);
  return { a, b };
}

/** A KME whose other end is the test, which has said hello. */
async function spoken(ofA: Partial<PeerWork> = {}) {
  const [left, right] = duplexPair();
  const a = end(left, { work: { ...work, ...ofA } });
  const say = (message: Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    right.write(Buffer.concat([length, message]));
  };
  say(PeerMessages.write("hello", { version: 1, site: 2, block_bytes: 32, simulated: 1 }));
  await a.ready;
  return { a, say };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("a call", () => {
  test("is done by the other KME, and its answer comes back", async () => {
    const heard: unknown[] = [];
    const { a } = await pair({
      accept: async (given) => Boolean(heard.push(given)),
      withdraw: async (keys) => void heard.push(keys),
      land: async (block, count) => count - block.block,
    });
    await a.calls.announce(issue);
    await a.calls.withdraw(issue.keys);
    expect(heard).toMatchObject([issue, issue.keys]);
    expect(await a.calls.room()).toEqual({ outgoing: 3, incoming: 4 });
    expect(await a.calls.land({ context: new Uint8Array(48), block: 2 }, 10)).toBe(8);
    a.calls.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("names a stock of any size, in parts, and hears in parts what is lacking", async () => {
    const blocks = Array.from({ length: 40_000 }, () => randomUUID() as string);
    let named: readonly string[] = [];
    const { a } = await pair({ agree: async (given) => (named = given).toReversed() });
    expect(await a.calls.agree(blocks)).toEqual(blocks.toReversed());
    expect(named).toEqual(blocks);
    expect(await a.calls.agree([])).toEqual([]);
    a.calls.close();
  });

  test("that the other KME refuses or cannot do is rejected, and the next one is heard", async () => {
    const { a } = await pair({
      accept: async () => false,
      withdraw: async () => Promise.reject(new Error("disk full")),
    });
    await expect(a.calls.announce(issue)).rejects.toThrow("lacks a block");
    await expect(a.calls.withdraw(issue.keys)).rejects.toThrow("could not");
    expect(await a.calls.room()).toEqual({ outgoing: 3, incoming: 4 });
    a.calls.close();
  });

  test("that takes too long ends the connection, and with it all others", async () => {
    const { a } = await pair({ accept: () => new Promise(() => undefined) });
    const both = Promise.allSettled([a.calls.announce(issue), a.calls.announce(issue)]);
    await vi.advanceTimersByTimeAsync(5000);
    const rejected = { status: "rejected", reason: { code: "ERR_LINK_CLOSED" } };
    expect(await both).toMatchObject([rejected, rejected]);
    expect(await a.closed).toMatchObject({ code: "ERR_LINK_CLOSED" });
    await expect(a.calls.room()).rejects.toMatchObject({ code: "ERR_LINK_CLOSED" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("beyond those that may be under way waits for its turn", async () => {
    let most = 0;
    let now = 0;
    const { a } = await pair({
      async accept() {
        most = Math.max(most, ++now);
        await new Promise(setImmediate);
        now--;
        return true;
      },
    });
    await Promise.all(Array.from({ length: 200 }, () => a.calls.announce(issue)));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(64);
    a.calls.close();
  });

  test("of a KME that is gone is rejected", async () => {
    const { a, b } = await pair({ accept: () => new Promise(() => undefined) });
    const asked = a.calls.announce(issue).catch((error: unknown) => error);
    b.calls.close();
    a.calls.close();
    expect(await asked).toMatchObject({ code: "ERR_LINK_CLOSED" });
    expect(await a.closed).toBeUndefined();
  });
});

describe("a KME is refused", () => {
  test.each([
    ["that is of the same site", { site: "a" as const }],
    ["whose pieces have another size", { site: "b" as const, blockBytes: 16 }],
    ["whose keys are real where ours are simulated", { site: "b" as const, simulated: false }],
  ])("%s", async (_, options) => {
    const [left, right] = duplexPair();
    const a = end(left);
    end(right, options);
    expect(await a.closed).toMatchObject({ code: "ERR_LINK_MALFORMED" });
  });

  test("that does not say who it is", async () => {
    const [left] = duplexPair();
    const a = end(left);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await a.closed).toMatchObject({ code: "ERR_LINK_CLOSED" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that asks before it has said who it is", async () => {
    const [left, right] = duplexPair();
    const a = end(left);
    const message = PeerMessages.write("room", { call: 1 });
    right.write(Buffer.concat([Buffer.from([0, 0, 0, message.length]), message]));
    expect(await a.closed).toMatchObject({ code: "ERR_LINK_UNEXPECTED" });
  });

  test.each<[string, () => Uint8Array[], string]>([
    [
      "that says twice who it is",
      () => [PeerMessages.write("hello", { version: 1, site: 2, block_bytes: 32, simulated: 1 })],
      "ERR_LINK_UNEXPECTED",
    ],
    ["that answers to no call", () => [PeerMessages.write("withdrawn", { call: 5 })], "ERR_LINK_UNEXPECTED"],
    [
      "that asks for more at once than it may",
      () =>
        Array.from({ length: 65 }, (_, call) =>
          PeerMessages.write("land", { call, context: new Uint8Array(48), block: 1, count: 1 }),
        ),
      "ERR_LINK_LIMIT",
    ],
    ["that says something else", () => [Uint8Array.of(99)], "ERR_LINK_MALFORMED"],
  ])("%s", async (_, messages, code) => {
    const { a, say } = await spoken({ land: () => new Promise(() => undefined) });
    for (const message of messages()) say(message);
    expect(await a.closed).toMatchObject({ code });
  });

  test("whose answer belongs to another kind of call", async () => {
    const { a, say } = await spoken();
    const asked = a.calls.room().catch((error: unknown) => error);
    say(PeerMessages.write("withdrawn", { call: 1 }));
    expect(await asked).toMatchObject({ code: "ERR_LINK_UNEXPECTED" });
    expect(await a.closed).toMatchObject({ code: "ERR_LINK_UNEXPECTED" });
  });
});
