import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { clientConfig, type ClientConfig } from "../../src/channel/config.ts";
import { NextKeyShares } from "../../src/node/key-shares.ts";
import { provider } from "../support/credentials.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

function made(keyShares = 1) {
  const config = clientConfig({
    provider,
    now: Date.now,
    groups: ["X25519MLKEM768", "SecP256r1MLKEM768"],
    keyShares,
  });
  const begun: string[] = [];
  const groups = config.settings.groups.map((group) => ({
    ...group,
    start() {
      begun.push(group.name);
      return group.start();
    },
  }));
  const watched: ClientConfig = { ...config, settings: { ...config.settings, groups } };
  return { shares: new NextKeyShares(watched), begun };
}

test("a single connection prepares nothing; the second prepares the share of the next", async () => {
  const { shares, begun } = made();
  shares.handshakeBegun();
  await setImmediate();
  expect(begun).toEqual([]);
  shares.handshakeBegun();
  expect(begun).toEqual([]);
  await setImmediate();
  expect(begun).toEqual(["X25519MLKEM768"]);
  shares.config.settings.groups[0]!.start();
  expect(begun).toHaveLength(1);
  shares.config.settings.groups[0]!.start();
  expect(begun).toHaveLength(2);
});

test("as many groups as the hello has shares of", async () => {
  const { shares, begun } = made(2);
  shares.handshakeBegun();
  shares.handshakeBegun();
  await setImmediate();
  expect(begun).toEqual(["X25519MLKEM768", "SecP256r1MLKEM768"]);
});

test("what nobody wanted for a second is dropped", async () => {
  const { shares, begun } = made();
  shares.handshakeBegun();
  shares.handshakeBegun();
  await setImmediate();
  vi.advanceTimersByTime(999);
  shares.handshakeBegun();
  await setImmediate();
  vi.advanceTimersByTime(999);
  expect(begun).toHaveLength(1);
  vi.advanceTimersByTime(1);
  shares.config.settings.groups[0]!.start();
  expect(begun).toHaveLength(2);
});
