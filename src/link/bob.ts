import { equal } from "../protocol/bytes.ts";
import { LinkError, UsageError } from "../protocol/errors.ts";
import { amplification, amplificationSeedBits } from "./amplify.ts";
import { Bits } from "./bits.ts";
import {
  type BlockMessage,
  BlockMessages,
  MOST_BATCHES,
  type Opening,
  type Settlement,
  settingsDigest,
  type Step,
} from "./block.ts";
import { SEED_BYTES } from "./cascade.ts";
import { CascadeAsker } from "./cascade-asker.ts";
import { answerConfirmation } from "./confirmation.ts";
import { unexpected } from "./message.ts";
import { type Amplifying, bytesOf, Party } from "./party.ts";
import type { BobRecord } from "./quantum-channel.ts";
import { announce, sift, type SiftedCounts } from "./sifting.ts";
import { MOST_DETECTIONS, SiftingMessages } from "./sifting-messages.ts";

/** What Bob waits for, and what he still needs for it. */
type State =
  | { readonly awaits: "open" }
  /** One batch at a time is announced: the next one waits until Alice has answered. */
  | { readonly awaits: "sifting"; readonly records: BobRecord[] }
  | (Reconciling & { readonly awaits: "cascade" | "confirmation" })
  | { readonly awaits: "settle"; readonly key: Bits; readonly secretBits: number }
  /** He has said that he keeps the block. */
  | (Amplifying & { readonly awaits: "nothing" });

interface Reconciling {
  readonly key: Bits;
  readonly counts: SiftedCounts;
  readonly asker: CascadeAsker;
}

/** The party with the detectors. He announces what he saw, and corrects his key. */
export class Bob extends Party {
  #state: State = { awaits: "open" };

  /** What he saw of the next batch; he takes it over. Throws a UsageError where no batch belongs. */
  detected(record: BobRecord): Step {
    return this.act(() => {
      const state = this.#state;
      if (
        state.awaits !== "sifting" ||
        this.books.sifted.length + state.records.length >= this.books.batches
      ) {
        throw new UsageError("ERR_OPTION_INVALID", "no batch belongs here", { option: "record" });
      }
      if (record.slots.length > MOST_DETECTIONS) {
        throw new UsageError("ERR_OPTION_INVALID", "a batch of too many detections", { option: "record" });
      }
      state.records.push(record);
      if (state.records.length === 1) this.#announce(record);
    });
  }

  protected override take({ kind, body }: BlockMessage, block: number): void {
    const state = this.#state;
    if (state.awaits === "open" && kind === "open") this.#onOpen(body, block);
    else if (state.awaits === "sifting" && kind === "sifting") this.#onSifting(state.records, body);
    else if (state.awaits === "cascade" && kind === "cascade") this.#onCascade(state, body);
    else if (state.awaits === "confirmation" && kind === "confirmation") this.#onConfirm(state, body);
    else if (state.awaits === "settle" && kind === "settle") this.#onSettle(state, body);
    else throw unexpected("block", kind, state.awaits);
  }

  protected override wipeBlock(): void {
    const state = this.#state;
    this.#state = { awaits: "open" };
    if (state.awaits === "sifting") state.records.forEach(wipeRecord);
    if ("asker" in state) state.asker.wipe();
    if ("key" in state) state.key.wipe();
    if ("work" in state) state.work.return(new Bits(0));
  }

  protected override get isAtWork(): boolean {
    return "work" in this.#state;
  }

  protected override slice(): void {
    const state = this.#state;
    if (!("work" in state)) return;
    const { done, value } = state.work.next();
    if (done === true) this.release({ ...state.settled, bytes: bytesOf(value) });
  }

  #onOpen({ batches, settings }: Opening, block: number): void {
    if (block < this.nextBlock) throw unexpected("block", `block ${block}`, `block ${this.nextBlock}`);
    if (batches < 1 || batches > MOST_BATCHES) throw malformed(`a block of ${batches} batches`);
    if (!equal(settings, settingsDigest(this.settings))) throw malformed("the peer has other settings");
    this.begin(block, batches);
    this.#state = { awaits: "sifting", records: [] };
  }

  #announce(record: BobRecord): void {
    const message = SiftingMessages.write("detections", announce(record));
    this.say(BlockMessages.write("sifting", message));
  }

  #onSifting(records: BobRecord[], body: Uint8Array): void {
    const message = SiftingMessages.read(body);
    const [record] = records;
    if (message.kind !== "sifting" || record === undefined) {
      throw unexpected("sifting", message.kind, record === undefined ? "nothing" : "sifting");
    }
    const sifted = sift(record, message.body);
    records.shift();
    wipeRecord(record);
    const block = this.gather(sifted, record.pulses, record.slots.length);
    const [next] = records;
    if (next !== undefined) this.#announce(next);
    if (block !== undefined) this.#reconcile(block.key, block.counts);
  }

  #reconcile(key: Bits, counts: SiftedCounts): void {
    if (this.judge(counts) === undefined) return key.wipe();
    const { check } = counts;
    const errors = sum(check.errors) / Math.max(1, sum(check.detections));
    const { hash, random, cascade: variant, roundTripBits } = this.settings;
    const asker = new CascadeAsker(key, {
      hash,
      errorRate: Math.min(0.5, Math.max(LEAST_RATE, errors)),
      seed: random(SEED_BYTES),
      variant,
      roundTripBits,
    });
    this.#state = { awaits: "cascade", key, counts, asker };
    for (const message of asker.start()) this.say(BlockMessages.write("cascade", message));
  }

  #onCascade({ key, counts, asker }: Reconciling, body: Uint8Array): void {
    try {
      for (const message of asker.receive(body)) this.say(BlockMessages.write("cascade", message));
    } finally {
      this.books.leakedBits = asker.report.leakedBits;
    }
    if (asker.done) this.#state = { awaits: "confirmation", key, counts, asker };
  }

  #onConfirm({ key, counts, asker }: Reconciling, body: Uint8Array): void {
    const { reply, fault } = answerConfirmation(key, this.settings.epsilonCor, body);
    this.say(BlockMessages.write("confirmation", reply));
    if (fault !== undefined) throw fault;
    const { leakedBits, correctedBits: keyErrors } = asker.report;
    const secretBits = this.judge(counts, { leakedBits, keyErrors });
    if (secretBits !== undefined) this.#state = { awaits: "settle", key, secretBits };
  }

  #onSettle(
    { key, secretBits }: Extract<State, { awaits: "settle" }>,
    { secret_bits, authentication_bits, retire_bootstrap, toeplitz_seed }: Settlement,
  ): void {
    if (secret_bits !== secretBits) throw malformed(`${secret_bits} secret bits, not ${secretBits}`);
    const share = this.settings.authenticationShare * secretBits;
    if (authentication_bits % 16 !== 0 || authentication_bits > share) {
      throw malformed(`${authentication_bits} bits for authentication out of ${secretBits}`);
    }
    if (retire_bootstrap > 1) throw malformed(`retire_bootstrap is ${retire_bootstrap}`);
    const seedBits = amplificationSeedBits(key.length, secretBits);
    if (toeplitz_seed.length !== Math.ceil(seedBits / 8)) {
      throw malformed(`a seed of ${toeplitz_seed.length} bytes where ${seedBits} bits belong`);
    }
    this.say(BlockMessages.write("kept", true));
    this.#state = {
      awaits: "nothing",
      key,
      work: amplification(key, Bits.fromBytes(toeplitz_seed, seedBits), secretBits),
      settled: { secretBits, authenticationBits: authentication_bits, retire: retire_bootstrap === 1 },
    };
  }
}

/** Below this Cascade's blocks would be longer than helps. */
const LEAST_RATE = 1e-3;

const sum = ([a, b, c]: readonly [number, number, number]): number => a + b + c;

function wipeRecord({ slots, outcomes }: BobRecord): void {
  slots.fill(0);
  outcomes.fill(0);
}

const malformed = (what: string): LinkError => new LinkError("ERR_LINK_MALFORMED", `block: ${what}`);
