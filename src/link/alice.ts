import { UsageError } from "../protocol/errors.ts";
import { whole } from "../protocol/options.ts";
import { amplification, amplificationSeedBits } from "./amplify.ts";
import { Bits } from "./bits.ts";
import { type BlockMessage, BlockMessages, MOST_BATCHES, settingsDigest, type Step } from "./block.ts";
import { CascadeTeller } from "./cascade-teller.ts";
import { askConfirmation, CONFIRMATION_SEED_BYTES, takeVerdict } from "./confirmation.ts";
import { unexpected } from "./message.ts";
import { type Amplifying, bytesOf, Party, type Secret } from "./party.ts";
import type { AliceRecord } from "./quantum-channel.ts";
import { answer, type SiftedCounts } from "./sifting.ts";
import { type Detections, SiftingMessages } from "./sifting-messages.ts";

/** A block pays for its own tags and for some of the next one before the bootstrap's key may go. */
const RETIRE_MARGIN = 4;

/** What Alice waits for, and what she still needs for it. */
type State =
  | { readonly awaits: "nothing" }
  | (Sifting & { readonly awaits: "sifting" })
  | (Reconciling & { readonly awaits: "cascade" | "confirmation" })
  | (Amplifying & { readonly awaits: "kept" })
  | { readonly awaits: "kept"; readonly secret: Secret };

interface Sifting {
  readonly records: AliceRecord[];
  readonly announced: Detections[];
}

interface Reconciling {
  readonly key: Bits;
  readonly counts: SiftedCounts;
  readonly teller: CascadeTeller;
}

/** The party with the laser. She opens each block, and Bob's key becomes hers. */
export class Alice extends Party {
  #state: State = { awaits: "nothing" };

  /**
   * Opens the next block, of so many batches of pulses. Throws a UsageError while another one is under way, or for a
   * number of batches out of range.
   */
  open(batches: number): Step {
    whole({ batches }, "batches", 0, 1, MOST_BATCHES);
    if (this.block !== undefined) {
      throw new UsageError("ERR_OPTION_INVALID", "a block is under way", { option: "block" });
    }
    return this.act(() => {
      this.begin(this.nextBlock, batches);
      this.#state = { awaits: "sifting", records: [], announced: [] };
      this.say(BlockMessages.write("open", { batches, settings: settingsDigest(this.settings) }));
    });
  }

  /** What she sent in the next batch; she takes it over. Throws a UsageError where no batch belongs. */
  sent(record: AliceRecord): Step {
    return this.act(() => {
      const state = this.#state;
      if (
        state.awaits !== "sifting" ||
        this.books.sifted.length + state.records.length >= this.books.batches
      ) {
        throw new UsageError("ERR_OPTION_INVALID", "no batch belongs here", { option: "record" });
      }
      state.records.push(record);
      this.#sift();
    });
  }

  protected override take({ kind, body }: BlockMessage): void {
    const state = this.#state;
    if (state.awaits === "sifting" && kind === "sifting") this.#onDetections(state, body);
    else if (state.awaits === "cascade" && kind === "cascade") this.#onCascade(state, body);
    else if (state.awaits === "confirmation" && kind === "confirmation") this.#onVerdict(state, body);
    else if ("secret" in state && kind === "kept") this.release(state.secret);
    else throw unexpected("block", kind, state.awaits);
  }

  protected override wipeBlock(): void {
    const state = this.#state;
    this.#state = { awaits: "nothing" };
    if (state.awaits === "sifting") state.records.forEach(wipeRecord);
    if ("teller" in state) state.teller.wipe();
    if ("key" in state) state.key.wipe();
    if ("work" in state) state.work.return(new Bits(0));
    if ("secret" in state) state.secret.bytes.fill(0);
  }

  protected override get isAtWork(): boolean {
    return "work" in this.#state;
  }

  protected override slice(): void {
    const state = this.#state;
    if (!("work" in state)) return;
    const { done, value } = state.work.next();
    if (done !== true) return;
    state.key.wipe();
    this.#state = { awaits: "kept", secret: { ...state.settled, bytes: bytesOf(value) } };
  }

  #onDetections({ announced }: Sifting, body: Uint8Array): void {
    const message = SiftingMessages.read(body);
    if (message.kind !== "detections") throw unexpected("sifting", message.kind, "detections");
    if (announced.length > 0) throw unexpected("sifting", "another batch", "nothing");
    // The views lie in a frame that is the host's.
    const { slots, bases, check_bits } = message.body;
    announced.push({ slots, bases: bases.slice(), check_bits: check_bits.slice() });
    this.#sift();
  }

  #sift(): void {
    const state = this.#state;
    if (state.awaits !== "sifting") return;
    const [record] = state.records;
    const [announced] = state.announced;
    if (record === undefined || announced === undefined) return;
    const { message, sifted } = answer(record, announced);
    state.records.shift();
    state.announced.shift();
    wipeRecord(record);
    this.say(BlockMessages.write("sifting", SiftingMessages.write("sifting", message)));
    const block = this.gather(sifted, record.pulses, announced.slots.length);
    if (block === undefined) return;
    const { key, counts } = block;
    if (this.judge(counts) === undefined) return key.wipe();
    this.#state = { awaits: "cascade", key, counts, teller: new CascadeTeller(key, this.settings) };
  }

  #onCascade(state: Reconciling, body: Uint8Array): void {
    const { teller, key, counts } = state;
    try {
      for (const reply of teller.receive(body)) this.say(BlockMessages.write("cascade", reply));
    } finally {
      this.books.leakedBits = teller.leakedBits;
    }
    if (!teller.done) return;
    const seed = this.settings.random(CONFIRMATION_SEED_BYTES);
    const question = askConfirmation(key, this.settings.epsilonCor, seed);
    this.say(BlockMessages.write("confirmation", question));
    this.#state = { awaits: "confirmation", key, counts, teller };
  }

  #onVerdict({ key, counts, teller }: Reconciling, body: Uint8Array): void {
    takeVerdict(key, body);
    const secretBits = this.judge(counts, {
      leakedBits: teller.leakedBits,
      keyErrors: teller.correctedBits,
    });
    if (secretBits === undefined) return;
    const seed = this.settings.random(Math.ceil(amplificationSeedBits(key.length, secretBits) / 8));
    const { authenticationBits, retire } = this.#share(secretBits);
    this.say(
      BlockMessages.write("settle", {
        secret_bits: secretBits,
        authentication_bits: authenticationBits,
        retire_bootstrap: retire ? 1 : 0,
        toeplitz_seed: seed,
      }),
    );
    const diagonals = Bits.fromBytes(seed, amplificationSeedBits(key.length, secretBits));
    this.#state = {
      awaits: "kept",
      key,
      work: amplification(key, diagonals, secretBits),
      settled: { secretBits, authenticationBits, retire },
    };
  }

  /** How much of the block pays for tags: as much as brings the link's own reserve to its aim, within the share. */
  #share(secretBits: number): { readonly authenticationBits: number; readonly retire: boolean } {
    const { authenticationShare, authenticationReserveBits } = this.settings;
    const accounts = [this.ledger.account("send"), this.ledger.account("receive")];
    // First in, first out: what is left of the bootstrap goes before any of the link's own.
    const reserve = Math.min(
      ...accounts.map(({ earnedBits, reserveBits }) => Math.min(earnedBits, reserveBits)),
    );
    const wanted = 2 * Math.max(0, authenticationReserveBits - reserve);
    const authenticationBits = 16 * Math.floor(Math.min(wanted, authenticationShare * secretBits) / 16);
    const spent = Math.max(...accounts.map(({ spentBits }) => spentBits)) / this.books.number;
    const isOwn = this.ledger.nextOrigin("send") === "link" && this.ledger.nextOrigin("receive") === "link";
    const own = reserve + authenticationBits / 2;
    const retire = !isOwn && own > 0 && own >= RETIRE_MARGIN * spent;
    return { authenticationBits, retire };
  }
}

function wipeRecord({ slots, choices }: AliceRecord): void {
  slots.fill(0);
  choices.fill(0);
}
