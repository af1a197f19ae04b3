/**
 * What the link's post-processing costs, both parties in this process. Reconciliation: f = leak / (n h(Q)), 1 being
 * Shannon's bound, and what leak and tags cost together, per bit of key.
 */
import { amplificationSeedBits, amplify } from "../../../src/link/amplify.ts";
import { wegmanCarter } from "../../../src/link/authentication.ts";
import { cascadeEfficiency } from "../../../src/link/cascade.ts";
import { CascadeAsker } from "../../../src/link/cascade-asker.ts";
import { CascadeTeller } from "../../../src/link/cascade-teller.ts";
import { ClassicalChannel } from "../../../src/link/classical.ts";
import { keyFingerprint } from "../../../src/link/confirmation.ts";
import { Ledger } from "../../../src/link/ledger.ts";
import { say } from "../options.ts";
import { noisyPair, randomBits, steadyRandom } from "../../link/noise.ts";
import { provider } from "../../support/credentials.ts";

/** Two tags of 128 bits. */
const ROUND_TRIP_BITS = 256;

export function benchPostProcessing(): void {
  for (const [roundTripBits, title] of [
    [0, "reconciliation by opt8, fewest parities"],
    [1, "reconciliation by opt8, all odd blocks at once"],
    [ROUND_TRIP_BITS, "reconciliation by opt8, round trips weighed at two Wegman-Carter tags each"],
  ] as const) {
    say(`\n${title}`);
    for (const length of [100_000, 1_000_000]) {
      for (const errorRate of [0.01, 0.02, 0.03, 0.04, 0.05])
        say(reconciliation(length, errorRate, roundTripBits));
    }
  }
  say("");
  for (const [length, outputBits] of [
    [100_000, 40_000],
    [1_000_000, 400_000],
    [10_000_000, 4_000_000],
  ] as const) {
    say(amplification(length, outputBits));
  }
  for (const byteCount of [100, 10_000, 1_000_000]) say(tagging(byteCount));
  say(confirmation());
}

function reconciliation(length: number, errorRate: number, roundTripBits: number): string {
  const runs = Math.ceil(500_000 / length);
  const sum = { efficiency: 0, trips: 0, cost: 0, ms: 0, failures: 0 };
  for (let run = 0; run < runs; run++) {
    const { alice, bob } = noisyPair(length, errorRate, 100 + run);
    const start = performance.now();
    const hash = provider.hash("sha256");
    const asker = new CascadeAsker(bob, { hash, errorRate, seed: provider.random(16), roundTripBits });
    const teller = new CascadeTeller(alice, { hash });
    for (let toAlice = asker.start(); !teller.done; ) {
      toAlice = toAlice
        .flatMap((message) => teller.receive(message))
        .flatMap((message) => asker.receive(message));
    }
    sum.ms += performance.now() - start;
    const { report } = asker;
    sum.efficiency += cascadeEfficiency(length, report) ?? 0;
    sum.trips += report.roundTrips;
    sum.cost += report.leakedBits + ROUND_TRIP_BITS * report.roundTrips;
    if (bob.xor(alice).weight() > 0) sum.failures += 1;
  }
  const each = (total: number) => total / runs;
  return [
    `n ${length}`.padEnd(10),
    `Q ${(100 * errorRate).toFixed(0)} %`,
    `f ${each(sum.efficiency).toFixed(3)}`,
    `round trips ${each(sum.trips).toFixed(0)}`.padEnd(17),
    `leak and tags ${(each(sum.cost) / length).toFixed(3)}`,
    `${((each(sum.ms) / length) * 1e6).toFixed(0)} ms/Mbit`,
    `failures ${sum.failures}`,
  ].join("  ");
}

function amplification(length: number, outputBits: number): string {
  const random = steadyRandom(1);
  const key = randomBits(length, random);
  const seed = randomBits(amplificationSeedBits(length, outputBits), random);
  // Once before, so that the compiler has seen it.
  if (length <= 1_000_000) amplify(key, seed, outputBits);
  const start = performance.now();
  amplify(key, seed, outputBits);
  const ms = performance.now() - start;
  const rate = (length / ms / 1000).toFixed(1);
  return `amplification ${length} to ${outputBits} bits: ${ms.toFixed(0)} ms, ${rate} Mbit/s of input`;
}

function tagging(byteCount: number): string {
  const runs = Math.max(3, Math.ceil(1e6 / (byteCount + 2000)));
  const key = { aliceToBob: provider.random(32 * runs + 64), bobToAlice: new Uint8Array(0) };
  const channel = new ClassicalChannel("alice", new Uint8Array(48), wegmanCarter(new Ledger("alice", key)));
  const message = provider.random(byteCount);
  const start = performance.now();
  for (let run = 0; run < runs; run++) channel.seal(0, message);
  const each = (performance.now() - start) / runs;
  return `a frame of ${byteCount} bytes under Wegman-Carter: ${each.toFixed(2)} ms`;
}

function confirmation(): string {
  const key = randomBits(1_000_000, steadyRandom(2));
  const start = performance.now();
  keyFingerprint(key, provider.random(32), 50);
  return `confirmation hash of 1000000 bits: ${(performance.now() - start).toFixed(0)} ms`;
}
