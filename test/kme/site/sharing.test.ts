import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Block, BlockSink, Direction } from "../../../src/kme/feed.ts";
import type { LinkBlock } from "../../../src/kme/site/peer-calls.ts";
import { Sharing } from "../../../src/kme/site/sharing.ts";
import { isWiped } from "../../support/scripted-source.ts";

const BLOCK_BYTES = 8;
const one: LinkBlock = { context: new Uint8Array(48).fill(1), block: 1 };

interface End {
  readonly sharing: Sharing;
  readonly blocks: Readonly<Record<Direction, Block[]>>;
}

/** Two sites whose word reaches the other one as `line` has it. */
function sites({ room = { a: 100, b: 100 }, line = <T>(word: () => Promise<T>): Promise<T> => word() } = {}) {
  const log: string[] = [];
  const ends = {} as Record<"a" | "b", End>;
  for (const site of ["a", "b"] as const) {
    const blocks: Record<Direction, Block[]> = { outgoing: [], incoming: [] };
    const sink: BlockSink = {
      room: (direction) => room[site] - blocks[direction].length,
      put: (direction, block) => {
        log.push(`${site} puts ${direction}`);
        blocks[direction].push(block);
      },
      landed: async () => void log.push(`${site} has landed`),
    };
    const sharing = new Sharing({
      site,
      blockBytes: BLOCK_BYTES,
      sink: () => sink,
      peer: { land: (block, count) => line(() => ends[site === "a" ? "b" : "a"].sharing.land(block, count)) },
    });
    ends[site] = { sharing, blocks };
  }
  return { ...ends, log };
}

const key = (pieces: number): Uint8Array =>
  Uint8Array.from({ length: pieces * BLOCK_BYTES }, (_, at) => 1 + Math.floor(at / BLOCK_BYTES));
const hex = (blocks: readonly Block[]) => blocks.map(({ key: bytes }) => Buffer.from(bytes).toString("hex"));

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("a block of the link", () => {
  test("is in stock at both sites, by turns for the one and the other, once both have it", async () => {
    const { a, b } = sites();
    const given = [key(5), key(5)] as const;
    a.sharing.take(one, given[0]);
    b.sharing.take(one, given[1]);
    await Promise.all([a.sharing.settled(), b.sharing.settled()]);
    expect(hex(a.blocks.outgoing)).toEqual(["01", "03", "05"].map((byte) => byte.repeat(8)));
    expect(hex(b.blocks.outgoing)).toEqual(["02", "04"].map((byte) => byte.repeat(8)));
    expect([b.blocks.incoming, a.blocks.incoming]).toEqual([a.blocks.outgoing, b.blocks.outgoing]);
    expect(given.every(isWiped)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("is put where it is not issued from first, and only then where it is", async () => {
    const { a, b, log } = sites();
    a.sharing.take(one, key(1));
    b.sharing.take(one, key(1));
    await a.sharing.settled();
    expect(log).toEqual(["b puts incoming", "b has landed", "a puts outgoing"]);
  });

  test("that the other site does not have is not issued from, and wiped", async () => {
    const { a, b } = sites();
    a.sharing.take(one, key(4));
    // Its last word was lost, so B has another block, if any.
    b.sharing.take({ ...one, block: 2 }, key(4));
    await vi.advanceTimersByTimeAsync(10_000);
    await a.sharing.settled();
    expect([...a.blocks.outgoing, ...a.blocks.incoming, ...b.blocks.outgoing, ...b.blocks.incoming]).toEqual(
      [],
    );
    expect(vi.getTimerCount()).toBe(0);
  });

  test("may come to the other site a little later than its word", async () => {
    const { a, b } = sites();
    a.sharing.take(one, key(2));
    await vi.advanceTimersByTimeAsync(2000);
    expect(a.blocks.outgoing).toEqual([]);
    b.sharing.take(one, key(2));
    await Promise.all([a.sharing.settled(), b.sharing.settled()]);
    expect([a.blocks.outgoing.length, b.blocks.outgoing.length]).toEqual([1, 1]);
  });

  test("of which the other site's word is lost lies there alone, where nobody issues from it", async () => {
    let isDown = true;
    const { a, b } = sites({
      line: async (word) => {
        const said = await word();
        if (isDown) throw new Error("down");
        return said;
      },
    });
    a.sharing.take(one, key(2));
    b.sharing.take(one, key(2));
    await Promise.all([a.sharing.settled(), b.sharing.settled()]);
    expect([a.blocks.outgoing, b.blocks.outgoing]).toEqual([[], []]);
    expect([a.blocks.incoming.length, b.blocks.incoming.length]).toEqual([1, 1]);
    isDown = false;
    const two = { ...one, block: 2 };
    a.sharing.take(two, key(2));
    b.sharing.take(two, key(2));
    await Promise.all([a.sharing.settled(), b.sharing.settled()]);
    expect([a.blocks.outgoing.length, b.blocks.outgoing.length]).toEqual([1, 1]);
  });

  test("is put as far as both have room, the rest at neither", async () => {
    const { a, b } = sites({ room: { a: 100, b: 2 } });
    a.sharing.take(one, key(10));
    b.sharing.take(one, key(10));
    await Promise.all([a.sharing.settled(), b.sharing.settled()]);
    expect(
      [a.blocks.outgoing, a.blocks.incoming, b.blocks.outgoing, b.blocks.incoming].map((x) => x.length),
    ).toEqual([2, 2, 2, 2]);
    expect(a.blocks.outgoing).toEqual(b.blocks.incoming);
  });
});

test("a site that is closed puts nothing any more, and leaves no timer", async () => {
  const { a, b } = sites();
  a.sharing.take(one, key(2));
  const early = b.sharing.land({ ...one, block: 7 }, 3);
  a.sharing.close();
  b.sharing.close();
  b.sharing.take(one, key(2));
  expect(await early).toBe(0);
  await Promise.all([a.sharing.settled(), b.sharing.settled()]);
  expect([...a.blocks.outgoing, ...b.blocks.incoming, ...b.blocks.outgoing]).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test("words about blocks that are not there are kept up to a bound", async () => {
  const { a } = sites();
  const words = [1, 2, 3, 4].map((block) => a.sharing.land({ ...one, block }, 1));
  expect(await a.sharing.land({ ...one, block: 5 }, 1)).toBe(0);
  await vi.advanceTimersByTimeAsync(3000);
  expect(await Promise.all(words)).toEqual([0, 0, 0, 0]);
});
