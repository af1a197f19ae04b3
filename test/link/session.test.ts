import { expect, test } from "vitest";
import { amplificationSeedBits, amplify } from "../../src/link/amplify.ts";
import { Bootstrap } from "../../src/link/bootstrap.ts";
import type { BootstrapSettings } from "../../src/link/bootstrap-settings.ts";
import { binaryEntropy } from "../../src/link/cascade.ts";
import { CascadeAsker } from "../../src/link/cascade-asker.ts";
import { CascadeTeller } from "../../src/link/cascade-teller.ts";
import { answerConfirmation, askConfirmation, takeVerdict } from "../../src/link/confirmation.ts";
import type { Party } from "../../src/link/ledger.ts";
import { classicalChannel } from "../../src/link/session.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { provider } from "../support/credentials.ts";
import { linkCodeOf } from "./link-code.ts";
import { noisyPair, randomBits, steadyRandom } from "./noise.ts";

test("signatures need the certificates of a bootstrap by PKI", () => {
  const trust = { kind: "psk", identity: "x", key: new Uint8Array(32), exchange: false } as const;
  const settings = (party: "alice" | "bob"): BootstrapSettings => ({
    provider,
    party,
    trust,
    method: "gmac",
  });
  const [alice, bob] = [new Bootstrap(settings("alice")), new Bootstrap(settings("bob"))];
  const toAlice = alice.start().flatMap((message) => bob.receive(message));
  toAlice.flatMap((message) => alice.receive(message)).forEach((message) => bob.receive(message));
  expect(() => classicalChannel({ ...settings("bob"), method: "signature" }, bob.result!)).toThrow(
    UsageError,
  );
  expect(classicalChannel(settings("bob"), bob.result!).closed).toBe(false);
});

/** Both ends of a link under Wegman-Carter, and a wire between them that counts. */
function link(psk: number) {
  const trust = { kind: "psk", identity: "x", key: new Uint8Array(32).fill(psk) } as const;
  const settings = (party: Party): BootstrapSettings => ({ provider, party, trust, method: "wegman-carter" });
  const [alice, bob] = [new Bootstrap(settings("alice")), new Bootstrap(settings("bob"))];
  const toAlice = alice.start().flatMap((message) => bob.receive(message));
  toAlice.flatMap((message) => alice.receive(message)).forEach((message) => bob.receive(message));
  const end = (party: Party, { result }: Bootstrap) => ({
    ledger: result!.ledger,
    channel: classicalChannel(settings(party), result!),
  });
  const ends = { alice: end("alice", alice), bob: end("bob", bob) };
  const toBob = (messages: readonly Uint8Array[]) =>
    messages.map((message) => ends.bob.channel.open(ends.alice.channel.seal(1, message)).message);
  const back = (messages: readonly Uint8Array[]) =>
    messages.map((message) => ends.alice.channel.open(ends.bob.channel.seal(1, message)).message);
  return { ...ends, toBob, toAlice: back };
}

test("a block goes over the channel from sifted to secret, and earns more key than its tags have cost", () => {
  const [length, errorRate] = [200_000, 0.02];
  const { alice, bob, toAlice, toBob } = link(1);
  const keys = noisyPair(length, errorRate, 8);
  const hash = provider.hash("sha256");
  const seed = provider.random(16);
  const asker = new CascadeAsker(keys.bob, { hash, errorRate, seed, roundTripBits: 256 });
  const teller = new CascadeTeller(keys.alice, { hash });
  for (let questions = toAlice(asker.start()); !teller.done; ) {
    const answers = toBob(questions.flatMap((message) => teller.receive(message)));
    questions = toAlice(answers.flatMap((message) => asker.receive(message)));
  }
  const [question] = toBob([askConfirmation(keys.alice, 1e-15, provider.random(32))]);
  const { reply, fault } = answerConfirmation(keys.bob, 1e-15, question!);
  expect(fault).toBeUndefined();
  takeVerdict(keys.alice, toAlice([reply])[0]!);

  const spentBits = alice.ledger.account("send").spentBits + alice.ledger.account("receive").spentBits;
  // All errors are the eavesdropper's doing: h(Q) for the phase, the leak, the confirmation and its epsilon.
  const secretBits = Math.floor(length * (1 - binaryEntropy(errorRate + 0.005)) - teller.leakedBits - 200);
  const amplifier = randomBits(amplificationSeedBits(length, secretBits), steadyRandom(9));
  const [ours, theirs] = [keys.alice, keys.bob].map((key) => amplify(key, amplifier, secretBits));
  expect(ours!.toBytes()).toEqual(theirs!.toBytes());
  expect(secretBits).toBeGreaterThan(3 * spentBits);
  for (const [ledger, key] of [
    [alice.ledger, ours!],
    [bob.ledger, theirs!],
  ] as const) {
    ledger.deposit(key.slice(0, 16 * Math.ceil(spentBits / 16)).toBytes());
    ledger.retireBootstrap();
  }
  expect(toBob([seed])).toEqual([seed]);
  expect(toAlice([seed])).toEqual([seed]);
  expect(bob.ledger.nextOrigin("receive")).toBe("link");
});

test("a replayed frame in the middle of a reconciliation stops it, and no key comes of it", () => {
  const { alice, bob } = link(2);
  const keys = noisyPair(2000, 0.03, 8);
  const asker = new CascadeAsker(keys.bob, {
    hash: provider.hash("sha256"),
    errorRate: 0.03,
    seed: new Uint8Array(16),
  });
  const frames = asker.start().map((message) => bob.channel.seal(1, message));
  for (const frame of frames) alice.channel.open(frame);
  expect(linkCodeOf(() => alice.channel.open(frames[1]!))).toBe("ERR_LINK_SEQUENCE");
  expect(linkCodeOf(() => alice.channel.seal(1, new Uint8Array(1)))).toBe("ERR_LINK_CLOSED");
  asker.wipe();
  expect(keys.bob.weight()).toBe(0);
});
