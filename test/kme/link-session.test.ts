import { expect, test } from "vitest";
import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { openSession } from "../../src/kme/link-session.ts";
import { preset } from "../../src/link/presets.ts";
import { provider } from "../support/credentials.ts";

const { source } = preset("metro-10km").optics;
const open = (random: (length: number) => Uint8Array, isRepeatable: boolean) =>
  openSession({ random, isRepeatable, source, qberThreshold: 0.05 });

test("a session has two parties that trust each other's messages, and books of their own", () => {
  const session = open((length) => provider.random(length), false);
  const { alice, bob } = session;
  const { send } = alice.party.open(1);
  expect(bob.party.receive(send[0]!.slice())).toEqual({ send: [] });
  expect([alice.party.block, bob.party.block]).toEqual([1, 1]);
  expect(alice.ledger).not.toBe(bob.ledger);
  expect(alice.ledger.account("send")).toEqual(bob.ledger.account("receive"));
  session.close();
  expect([alice.party.closed, bob.party.closed]).toEqual([true, true]);
  expect(alice.ledger.account("send").reserveBits).toBe(0);
});

test("a repeatable session is the same again for the same seed; any other is one of its own", () => {
  const context = (seed: string) => open(repeatableRandom(seed), true).context;
  expect(context("a")).toEqual(context("a"));
  expect(context("a")).not.toEqual(context("b"));
  const fresh = () => open((length) => provider.random(length), false).context;
  expect(fresh()).not.toEqual(fresh());
});
