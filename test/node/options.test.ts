import { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { describe, expect, test } from "vitest";
import { isNetSocket, streamOptions } from "../../src/node/options.ts";
import { UsageError } from "../../src/protocol/errors.ts";

describe("options of the stream itself", () => {
  test("have defaults: thirty seconds for a handshake, both halves end together", () => {
    expect(streamOptions({})).toEqual({ handshakeTimeoutMs: 30_000, allowHalfOpen: false });
    expect(streamOptions({ highWaterMark: null } as never)).toEqual(streamOptions({}));
    expect(streamOptions({ handshakeTimeout: 5, allowHalfOpen: true, highWaterMark: 0 })).toEqual({
      handshakeTimeoutMs: 5,
      allowHalfOpen: true,
      highWaterMark: 0,
    });
  });

  test.each([
    ["handshakeTimeout", 0],
    ["handshakeTimeout", Number.NaN],
    ["handshakeTimeout", 2 ** 31],
    ["allowHalfOpen", 1],
    ["highWaterMark", -1],
  ])("%s: %s is refused by name", (option, value) => {
    try {
      streamOptions({ [option]: value });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      expect(error).toMatchObject({ option });
    }
  });
});

test("only what has an address and timers of its own is a socket of node:net", () => {
  const [left] = duplexPair();
  expect(isNetSocket(left)).toBe(false);
  expect(isNetSocket(new Socket())).toBe(true);
});
