/**
 * A whole simulated link, both parties and the fibre in this process: the secret key rate beside what theory allows,
 * and what a block costs. The peer is the bound: 1.00 would be a link that loses nothing to reconciliation, tags and
 * finite statistics.
 */
import { binaryEntropy } from "../../../src/link/cascade.ts";
import { expectedCounts, pulsesFor } from "../../../src/link/clicks.ts";
import { boundsOf, PROOFS } from "../../../src/link/bounds.ts";
import type { BlockRecord, EndedBlock, Step } from "../../../src/link/block.ts";
import { estimate } from "../../../src/link/estimate.ts";
import { type Preset, preset, PRESET_NAMES } from "../../../src/link/presets.ts";
import { QuantumChannel } from "../../../src/link/quantum-channel.ts";
import type { SiftedCounts } from "../../../src/link/sifting.ts";
import type { Triple } from "../../../src/link/source.ts";
import { openSession, type Session } from "../../../src/kme/link-session.ts";
import { say } from "../options.ts";
import { provider } from "../../support/credentials.ts";
import { benchPostProcessing } from "./reconciliation.ts";

const BLOCK_BITS = 1_000_000;
/** The first block also pays for the authentication key that the link puts by. */
const BLOCKS = 3;
const EPSILON_SEC = 1e-10;
const EPSILON_COR = 1e-15;
const BATCH_CLICKS = 100_000;

export async function bench(): Promise<object> {
  say(`blocks of ${BLOCK_BITS} sifted bits, epsilon_sec ${EPSILON_SEC}, epsilon_cor ${EPSILON_COR}\n`);
  const results = PRESET_NAMES.map((name) => benchLink(preset(name)));
  benchPostProcessing();
  return results;
}

function benchLink(of: Preset): object {
  const random = (length: number): Uint8Array => provider.random(length);
  const { optics } = of;
  const session = openSession({ random, isRepeatable: false, source: optics.source, qberThreshold: 0.05 });
  const channel = new QuantumChannel(optics, random);
  const pulses = pulsesFor(optics, BLOCK_BITS);
  const records: (BlockRecord & { readonly ms: number })[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const start = performance.now();
    const record = oneBlock(session, channel, pulses);
    records.push({ ...record, ms: performance.now() - start });
  }
  session.close();
  const { clockHz } = optics.source;
  const last = records.at(-1) as (typeof records)[number]; // BLOCKS of them
  const mean = (value: (record: (typeof records)[number]) => number): number =>
    records.slice(1).reduce((sum, record) => sum + value(record), 0) / (BLOCKS - 1);
  const made = mean(({ secretBits }) => secretBits);
  const delivered = mean(({ secretBits, authentication }) => secretBits - authentication.earnedBits);
  const rate = (bits: number): number => (bits * clockHz) / last.pulses;
  const bounds = boundsAt(of, last.pulses);
  const ms = mean((record) => record.ms);
  say(
    [
      of.name.padEnd(14),
      `${kilo(rate(delivered))} delivered, ${kilo(rate(made))} secret`,
      `(${(made / bounds.finite).toFixed(2)} of the finite-key bound ${kilo(rate(bounds.finite))},`,
      `${(made / bounds.asymptotic).toFixed(2)} of the asymptotic one ${kilo(rate(bounds.asymptotic))})`,
      `${ms.toFixed(0)} ms a block, ${((1e6 * ms) / last.siftedBits).toFixed(0)} ms/Mbit sifted, ${((1e6 * ms) / made).toFixed(0)} ms/Mbit secret`,
    ].join("  "),
  );
  const perSecond = { delivered: rate(delivered), secret: rate(made) };
  return { preset: of.name, bitsPerSecond: perSecond, bounds, msPerBlock: ms, pulses: last.pulses };
}

const kilo = (bits: number): string => `${(bits / 1000).toFixed(1)} kbit/s`;

/** Bits a block could have if correction told no more than it must, with and without the price of few counts. */
function boundsAt(
  { optics: { source }, optics }: Preset,
  pulses: number,
): { finite: number; asymptotic: number } {
  const { key, check } = expectedCounts(optics, pulses);
  const counts: SiftedCounts = {
    key: { detections: rounded(key.detections) },
    check: { detections: rounded(check.detections), errors: rounded(check.errors) },
  };
  const detections = sum(key.detections);
  const leakedBits = Math.ceil(detections * binaryEntropy(sum(key.errors) / detections));
  const judged = estimate({ source, counts, leakedBits, epsilonSec: EPSILON_SEC, epsilonCor: EPSILON_COR });
  const { keySingles, phaseErrorRate } = boundsOf(PROOFS["wiesemann-2026"], source, counts, 1);
  return {
    finite: judged.secretBits,
    asymptotic: keySingles * (1 - binaryEntropy(phaseErrorRate)) - leakedBits,
  };
}

function oneBlock({ alice, bob }: Session, channel: QuantumChannel, pulses: number): BlockRecord {
  const batches = Math.max(1, Math.min(64, Math.ceil(BLOCK_BITS / BATCH_CLICKS), Math.ceil(pulses / 1000)));
  const queue: (() => void)[] = [];
  const ended: EndedBlock[] = [];
  const take = (step: Step, to: typeof alice.party | typeof bob.party): void => {
    const from = to === alice.party ? bob.party : alice.party;
    for (const frame of step.send) queue.push(() => take(to.receive(frame), from));
    if (step.ended !== undefined) ended.push(step.ended);
  };
  const carry = (): void => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) next();
  };
  take(alice.party.open(batches), bob.party);
  carry();
  for (let batch = 0; batch < batches; batch++) {
    const seen = channel.send(Math.ceil(pulses / batches));
    take(alice.party.sent(seen.alice), bob.party);
    take(bob.party.detected(seen.bob), alice.party);
    carry();
  }
  const [first] = ended;
  if (first === undefined || first.record.outcome !== "key") {
    throw new Error(`a block gave no key: ${first?.record.outcome ?? "it did not end"}`);
  }
  for (const { key } of ended) key?.fill(0);
  return first.record;
}

const sum = (triple: Triple): number => triple[0] + triple[1] + triple[2];
const rounded = ([a, b, c]: Triple): Triple => [Math.round(a), Math.round(b), Math.round(c)];
