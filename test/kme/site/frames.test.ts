import { Duplex, duplexPair } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { Frames, type FramesOptions } from "../../../src/kme/site/frames.ts";

/** One end of a stream that the test holds the other end of, and what arrives. */
function end(options: Partial<FramesOptions> = {}) {
  const [ours, theirs] = duplexPair();
  const got: string[] = [];
  let closed: (error: Error | undefined) => void;
  const ended = new Promise<Error | undefined>((resolve) => (closed = resolve));
  const frames = new Frames(ours, {
    maxBytes: 10,
    onFrame: (frame) => void got.push(Buffer.from(frame).toString()),
    onClose: (error) => closed(error),
    ...options,
  });
  return { frames, theirs, got, ended };
}

const framed = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};

describe("messages behind their length", () => {
  test("arrive whole and in order, wherever the stream is cut", async () => {
    const { theirs, got, ended } = end();
    for (const byte of Buffer.concat([framed("one"), framed(""), framed("three")])) {
      theirs.write(Uint8Array.of(byte));
    }
    theirs.end();
    expect(await ended).toBeUndefined();
    expect(got).toEqual(["one", "", "three"]);
  });

  test("that came before the end are delivered before it is told, each in a turn of its own", async () => {
    const turns: number[] = [];
    let turn = 0;
    const count = (): void => void (turn++, turn < 50 && setImmediate(count));
    const { theirs, ended } = end({ onFrame: () => void turns.push(turn) });
    theirs.end(Buffer.concat([framed("a"), framed("b"), framed("c")]));
    count();
    await ended;
    expect(turns).toHaveLength(3);
    expect(new Set(turns).size).toBe(3);
  });

  test("that are longer than the bound end the connection before they are gathered", async () => {
    const { theirs, got, ended, frames } = end();
    theirs.write(framed("0123456789"));
    theirs.write(Buffer.from([0, 0, 0, 11]));
    expect(await ended).toMatchObject({ code: "ERR_LINK_LIMIT" });
    expect(got).toEqual(["0123456789"]);
    expect(frames.isClosed).toBe(true);
  });

  test("may be longer once the bound is raised", async () => {
    const { theirs, got, ended, frames } = end();
    frames.limit(11);
    theirs.end(framed("01234567890"));
    await ended;
    expect(got).toEqual(["01234567890"]);
  });

  test("go the other way in the same form, and a secret one is wiped", async () => {
    const secret = new Uint8Array([7, 8]);
    const written: number[][] = [];
    const chunks: Uint8Array[] = [];
    const stream = new Duplex({
      read: () => undefined,
      write(chunk: Uint8Array, _, done) {
        written.push([...chunk]);
        chunks.push(chunk);
        done();
      },
    });
    const frames = new Frames(stream, { maxBytes: 10, onFrame: () => undefined, onClose: () => undefined });
    frames.send(secret, { secret: true });
    await new Promise(setImmediate);
    expect(written).toEqual([[0, 0, 0, 2, 7, 8]]);
    expect([...secret, ...(chunks[0] ?? [1])].some((byte) => byte !== 0)).toBe(false);
    frames.close();
  });

  test("are not delivered any more once the connection is closed", async () => {
    const onClose = vi.fn();
    const { frames, theirs, got } = end({ onClose });
    theirs.write(Buffer.concat([framed("a"), framed("b")]));
    frames.close();
    frames.close();
    await new Promise(setImmediate);
    expect(got).toEqual([]);
    expect(onClose).toHaveBeenCalledExactlyOnceWith(undefined);
  });
});

test("nothing is delivered, and no end told, to whoever is busy", async () => {
  const onClose = vi.fn();
  const { frames, theirs, got } = end({ onClose });
  frames.hold();
  theirs.end(Buffer.concat([framed("a"), framed("b")]));
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  expect([got, onClose.mock.calls]).toEqual([[], []]);
  frames.goOn();
  while (onClose.mock.calls.length === 0) await new Promise(setImmediate);
  expect(got).toEqual(["a", "b"]);
});

test("whoever is told of a message and throws ends the connection with that error", async () => {
  const error = new Error("no");
  const { theirs, ended } = end({
    onFrame() {
      throw error;
    },
  });
  theirs.write(framed("x"));
  expect(await ended).toBe(error);
});

test("a peer that reads nothing is given up", async () => {
  const stuck = new Duplex({ read: () => undefined, write: () => undefined });
  const ended = new Promise<Error | undefined>((resolve) => {
    const frames = new Frames(stuck, { maxBytes: 100, onFrame: () => undefined, onClose: resolve });
    for (let sent = 0; sent < 40 && !frames.isClosed; sent++) frames.send(new Uint8Array(2 ** 20));
  });
  expect(await ended).toMatchObject({ code: "ERR_LINK_LIMIT" });
});

test("an error of the stream is told", async () => {
  const [ours] = duplexPair();
  const error = new Error("reset");
  const onClose = vi.fn();
  const frames = new Frames(ours, { maxBytes: 10, onFrame: () => undefined, onClose });
  ours.destroy(error);
  while (!frames.isClosed) await new Promise(setImmediate);
  expect(onClose).toHaveBeenCalledExactlyOnceWith(error);
});
