import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Body,
  DATA_BYTES,
  decodeMessage,
  encodeMessage,
  Frames,
  type Message,
  type MessageName,
  PROTOCOL,
} from "../../../src/cli/transfer/messages.ts";

const size = fc.maxSafeNat();
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const path = fc.string({ minLength: 1, maxLength: 80, unit: "grapheme" });
const mode = fc.nat(0o777);
const fault = fc.record({ fault: fc.nat(255), message: fc.string({ maxLength: 200, unit: "grapheme" }) });
const none = fc.constant({});

const bodies: { readonly [N in MessageName]: fc.Arbitrary<Body<N>> } = {
  hello: fc.record({
    protocol: fc.constant(PROTOCOL),
    version: fc.nat(255),
    entries: fc.nat(2 ** 31 - 1),
    bytes: size,
  }),
  welcome: fc.record({ version: fc.nat(255) }),
  directory: fc.record({ path, mode }),
  made: none,
  file: fc.record({ path, size, mtimeMs: size, mode }),
  held: fc.record({ bytes: size }),
  prefix: fc.record({ digest }),
  from: fc.record({ offset: size }),
  data: fc.record({ content: fc.uint8Array({ minLength: 1, maxLength: 2000 }) }),
  end: fc.record({ digest }),
  done: fc.record({ skipped: fc.nat(1), digest }),
  refused: fault,
  abandon: fault,
  finish: none,
  finished: none,
  busy: none,
  abort: fault,
};
const names = Object.keys(bodies) as MessageName[];
const message = fc.oneof(
  ...names.map((is) => (bodies[is] as fc.Arbitrary<unknown>).map((body) => ({ is, body }) as Message)),
);
const write = ({ is, body }: Message): Uint8Array => encodeMessage(is, body as never);
const HEADER_BYTES = 3;

const malformed = expect.objectContaining({ code: "ERR_TRANSFER_MALFORMED" });

describe("messages", () => {
  test.each(names)("%s comes back as it was", (is) => {
    fc.assert(
      fc.property(bodies[is] as fc.Arbitrary<never>, (body) => {
        const read = decodeMessage(encodeMessage(is, body).subarray(HEADER_BYTES));
        expect(read.is).toBe(is);
        expect(read.body).toEqual(body);
      }),
      { numRuns: 40 },
    );
  });

  test("every truncation and one byte more are refused", () => {
    fc.assert(
      fc.property(message, (each) => {
        const frame = write(each).slice(HEADER_BYTES);
        // Content and text have no end of their own but their length, so any cut shows.
        for (let length = 0; length < Math.min(frame.length, 60); length++) {
          expect(() => decodeMessage(frame.subarray(0, length))).toThrow(malformed);
        }
        expect(() => decodeMessage(Uint8Array.of(...frame, 0))).toThrow(malformed);
      }),
      { numRuns: 60 },
    );
  });

  test("any bytes are a message or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(names).toContain(decodeMessage(bytes).is);
        } catch (error) {
          expect(error).toEqual(malformed);
        }
      }),
    );
  });

  test("a path that is no UTF-8 and a size above 2^53 - 1 are refused by name", () => {
    const file = encodeMessage("file", { path: "ab", size: 1, mtimeMs: 2, mode: 0o644 }).slice(HEADER_BYTES);
    const badPath = file.slice();
    badPath[3] = 0xff;
    expect(() => decodeMessage(badPath)).toThrow(/file: path: not UTF-8/);
    const badSize = file.slice();
    badSize[5] = 0xff;
    expect(() => decodeMessage(badSize)).toThrow(/file: size: above/);
  });

  test("content above its bound is the caller's mistake", () => {
    expect(() => encodeMessage("data", { content: new Uint8Array(DATA_BYTES + 1) })).toThrow(RangeError);
    expect(() => encodeMessage("directory", { path: "", mode: 0 })).toThrow(RangeError);
  });
});

describe("frames", () => {
  test("messages come out whole, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(300)), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(write));
        const frames = new Frames();
        const read: Message[] = [];
        let at = 0;
        for (const length of [...cuts, bytes.length]) {
          for (const each of frames.take(bytes.subarray(at, at + length))) read.push(each);
          at = Math.min(bytes.length, at + length);
        }
        expect(read.map((each) => each.is)).toEqual(messages.map((each) => each.is));
        expect(Buffer.concat(read.map(write)).equals(bytes)).toBe(true);
      }),
    );
  });

  test.each([
    ["nothing", [0, 0, 0]],
    ["too much", [0xff, 0xff, 0xff]],
  ])("a length of %s is refused before anything is kept", (_, header) => {
    expect(() => [...new Frames().take(Uint8Array.from(header))]).toThrow(malformed);
  });
});
