/** What brings a party forward at each site: pulses asked for at A, detections handed in at B. */

import type { Alice } from "../../link/alice.ts";
import type { Step } from "../../link/block.ts";
import type { Bob } from "../../link/bob.ts";
import type { AliceRecord, BobRecord } from "../../link/quantum-channel.ts";
import { wipe } from "../../protocol/bytes.ts";
import { UsageError } from "../../protocol/errors.ts";
import type { PulsePlan } from "../link-pace.ts";
import { type BatchTag, sameSession, SESSION_BYTES } from "./fibre-messages.ts";

export interface DriveOptions {
  /** Of the session. */
  readonly context: Uint8Array;
  /** Does what the party wants done. */
  readonly perform: (step: Step) => void;
}

/** Batches that Bob was not told of yet, and has not told of. */
const MOST_AHEAD = 2;

/** A's: opens blocks, and asks for their pulses one batch after the other. */
export class AliceDrive {
  readonly #alice: Alice;
  readonly #options: DriveOptions;
  readonly #session: Uint8Array;
  readonly #send: (tag: BatchTag, pulses: number) => void;
  #plan: PulsePlan = { pulses: 0, batches: 0 };
  #asked = 0;
  #prepared = 0;
  #heard = 0;

  constructor(
    alice: Alice,
    options: DriveOptions & { readonly send: (tag: BatchTag, pulses: number) => void },
  ) {
    this.#alice = alice;
    this.#options = options;
    this.#session = options.context.slice(0, SESSION_BYTES);
    this.#send = options.send;
  }

  open(plan: PulsePlan): void {
    this.#plan = plan;
    this.#asked = this.#prepared = this.#heard = 0;
    this.#options.perform(this.#alice.open(plan.batches));
    this.#ask();
  }

  /** What she sent in a batch; taken over. */
  prepared(tag: BatchTag, record: AliceRecord): void {
    if (!this.#isNext(tag)) return wipeAll(record.slots, record.choices);
    this.#prepared++;
    this.#options.perform(this.#alice.sent(record));
    this.#ask();
  }

  dazzled(tag: BatchTag): void {
    if (this.#isNext(tag)) this.#options.perform(this.#alice.stop());
  }

  /** A message of Bob's was taken. */
  heard(): void {
    this.#heard++;
    this.#ask();
  }

  #isNext({ block, batch, ...tag }: BatchTag): boolean {
    const isOurs = sameSession({ block, batch, ...tag }, this.#session) && block === this.#alice.block;
    return isOurs && batch === this.#prepared && batch < this.#asked;
  }

  #ask(): void {
    const { block } = this.#alice;
    if (block === undefined || this.#asked >= this.#plan.batches) return;
    // While it sifts, each of Bob's messages is about one batch.
    if (this.#asked > this.#prepared || this.#asked >= this.#heard + MOST_AHEAD) return;
    this.#send({ session: this.#session, block, batch: this.#asked++ }, this.#plan.pulses);
  }
}

/** Detections of blocks that are not open yet. */
const MOST_WAITING = 8;

/** B's: hands in detections once Alice has said which block they are of. */
export class BobDrive {
  readonly #bob: Bob;
  readonly #options: DriveOptions;
  #waiting: { readonly tag: BatchTag; readonly record: BobRecord }[] = [];
  #block = 0;
  #batch = 0;

  constructor(bob: Bob, options: DriveOptions) {
    this.#bob = bob;
    this.#options = options;
  }

  /** What he saw of a batch; taken over. */
  detected(tag: BatchTag, record: BobRecord): void {
    const isOver = tag.block < this.#block || (tag.block === this.#block && this.#bob.block !== tag.block);
    if (!sameSession(tag, this.#options.context) || isOver || this.#waiting.length >= MOST_WAITING) {
      return wipeAll(record.slots, record.outcomes);
    }
    this.#waiting.push({ tag, record });
    this.#handIn();
  }

  /** A message of Alice's was taken. */
  heard(): void {
    const { block } = this.#bob;
    if (block !== undefined && block !== this.#block) {
      this.#block = block;
      this.#batch = 0;
    }
    this.#handIn();
  }

  /** Wipes what waits. */
  close(): void {
    for (const { record } of this.#waiting.splice(0)) wipeAll(record.slots, record.outcomes);
  }

  #handIn(): void {
    const all = this.#waiting;
    this.#waiting = all.filter(({ tag }) => tag.block > this.#block);
    for (const { tag, record } of all.filter((each) => each.tag.block <= this.#block)) {
      if (tag.block !== this.#bob.block) wipeAll(record.slots, record.outcomes);
      else this.#options.perform(this.#stepWith(tag, record));
    }
  }

  #stepWith(tag: BatchTag, record: BobRecord): Step {
    try {
      // After a batch that was missed the block cannot be sifted.
      if (tag.batch === this.#batch++) return this.#bob.detected(record);
    } catch (error) {
      // More batches than Alice has announced, or clicks than a message holds.
      if (!(error instanceof UsageError)) throw error;
    }
    wipeAll(record.slots, record.outcomes);
    return this.#bob.stop();
  }
}

function wipeAll(slots: Uint32Array, bits: Uint8Array): void {
  slots.fill(0);
  wipe(bits);
}
