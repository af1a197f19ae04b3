import { Writable, Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Channel } from "../../src/channel/channel.ts";
import { Outgoing } from "../../src/node/outgoing.ts";
import { fromUtf8, utf8 } from "../../src/protocol/bytes.ts";
import { Pair } from "../support/pair.ts";
import { settled } from "../support/scripted-source.ts";

/** A transport that is done with a write only when the test says so. */
class Slow extends Duplex {
  readonly lots: number[] = [];
  readonly waiting: ((error?: Error | null) => void)[] = [];

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _read(): void {}

  override _write(_: Uint8Array, __: BufferEncoding, done: (error?: Error | null) => void): void {
    this.lots.push(1);
    this.waiting.push(done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.lots.push(chunks.length);
    this.waiting.push(done);
  }

  next(error?: Error): void {
    this.waiting.shift()?.(error);
  }
}

function made() {
  const pair = new Pair({ server: { tickets: false } }).run();
  const transport = new Slow();
  transport.on("error", () => undefined);
  const sent: Uint8Array[] = [];
  return {
    pair,
    transport,
    sent,
    outgoing: new Outgoing(pair.client, transport, (piece) => sent.push(piece)),
  };
}

const outcome = (write: (done: (error?: Error | null) => void) => void) => {
  const seen: (Error | null | undefined)[] = [];
  write((error) => seen.push(error));
  return seen;
};

describe("a write", () => {
  test("is done when the transport is done with it, and its memory is given back then", async () => {
    const { transport, sent, outgoing } = made();
    const done = outcome((each) => outgoing.write(utf8("one"), each));
    await settled();
    expect([done, sent]).toEqual([[], []]);
    transport.next();
    await settled();
    expect(done).toEqual([undefined]);
    expect(sent).toHaveLength(1);
    expect(outgoing.bytes).toBe(3 + 22);
  });

  test("of nothing is done all the same", async () => {
    const { transport, outgoing } = made();
    const done = outcome((each) => outgoing.write(new Uint8Array(0), each));
    await settled();
    expect([done, transport.lots]).toEqual([[undefined], []]);
  });

  test("of many small chunks shares records", () => {
    const { transport, outgoing } = made();
    const chunks = Array.from({ length: 100 }, () => ({ chunk: utf8("0123456789") }));
    outcome((each) => outgoing.writeAll(chunks, each));
    // A hundred records would carry 22 bytes of overhead each.
    expect(outgoing.bytes).toBe(1000 + 22);
    expect(transport.lots).toEqual([1]);
  });

  test.each([
    ["one chunk", [170_001]],
    ["several", [1, 100_000, 0, 70_000]],
  ])("of more than a lot goes out lot by lot, and is done with the last: %s", async (_, sizes) => {
    const { transport, sent, outgoing } = made();
    const chunks = sizes.map((bytes) => ({ chunk: new Uint8Array(bytes) }));
    const done = outcome((each) => outgoing.writeAll(chunks, each));
    // The first lot is under way before the next is sealed; the others wait in the transport.
    transport.next();
    await settled();
    expect([done, transport.lots, sent.length]).toEqual([[], [1, 2], 1]);
    transport.next();
    await settled();
    expect([done, sent.length]).toEqual([[undefined], 3]);
    expect(outgoing.bytes).toBe(170_001 + 22 * Math.ceil(170_001 / 16_384));
    expect(sent[0]).toHaveLength(65_536 + 4 * 22);
  });

  test("that the transport fails is not done; the end of the stream tells it so, once", async () => {
    const { transport, sent, outgoing } = made();
    const done = outcome((each) => outgoing.write(utf8("one"), each));
    transport.next(new Error("reset"));
    await settled();
    expect([done, sent]).toEqual([[], []]);
    const why = new Error("the end");
    outgoing.fail(why);
    outgoing.fail(why);
    expect(done).toEqual([why]);
  });

  test("to a transport that is gone waits for the end as well, and is never done", async () => {
    const { transport, outgoing } = made();
    transport.destroy();
    const done = outcome((each) => outgoing.write(utf8("late"), each));
    await settled();
    expect(done).toEqual([]);
    const why = new Error("the end");
    outgoing.fail(why);
    expect(done).toEqual([why]);
  });

  test("before the handshake is the caller's error", () => {
    const { client } = new Pair();
    const outgoing = new Outgoing(client, new Slow(), () => undefined);
    expect(() => outgoing.write(utf8("x"), () => undefined)).toThrow(
      expect.objectContaining({ code: "ERR_STATE" }),
    );
  });
});

test("flush sends what the channel has ready, discard drops it", () => {
  const { pair, transport, outgoing } = made();
  pair.client.send(utf8("kept"));
  outgoing.flush();
  expect(transport.lots).toEqual([1]);
  pair.client.send(utf8("dropped"));
  outgoing.discard();
  outgoing.flush();
  expect(transport.lots).toEqual([1]);
});

test("what goes out is what the peer reads, in order", async () => {
  const pair = new Pair({ server: { tickets: false } }).run();
  const taken: Uint8Array[] = [];
  const transport = Duplex.from({
    writable: new Writable({
      write(chunk: Uint8Array, _, done) {
        taken.push(Uint8Array.from(chunk));
        done();
      },
    }),
  });
  const outgoing = new Outgoing(pair.client satisfies Channel, transport, () => undefined);
  const written = Array.from({ length: 50 }, (_, at) => `${at}-${"x".repeat(at * 400)};`);
  for (const text of written) {
    await new Promise<void>((resolve) => outgoing.write(utf8(text), () => resolve()));
  }
  for (const bytes of taken) pair.take("server", pair.server.receive(bytes));
  expect(fromUtf8(pair.received("server"))).toBe(written.join(""));
});
