/** What Alice and Bob have in common: the channel, the ledger, and the books of the block under way. */
import { wipe } from "../protocol/bytes.ts";
import { LinkError, UsageError } from "../protocol/errors.ts";
import type { Bits } from "./bits.ts";
import {
  BLOCK_ABORTS,
  type BlockAbort,
  type BlockMessage,
  BlockMessages,
  type BlockOutcome,
  type BlockRecord,
  type BlockSettings,
  checkedSettings,
  type CheckedSettings,
  type EndedBlock,
  type LinkStop,
  MOST_KEY_BITS,
  MOST_MESSAGES,
  type Step,
} from "./block.ts";
import type { ClassicalChannel } from "./classical.ts";
import { estimate } from "./estimate.ts";
import type { Ledger } from "./ledger.ts";
import { unexpected } from "./message.ts";
import type { Sifted, SiftedCounts } from "./sifting.ts";
import { joined } from "./sifting.ts";

export interface PartySettings extends BlockSettings {
  readonly channel: ClassicalChannel;
  /** The ledger that pays the channel's tags. */
  readonly ledger: Ledger;
  /** Whether long work is left to `goOn`, in slices of some milliseconds; default false: all of it at once. */
  readonly inSlices?: boolean;
}

/** The figures of the block under way. */
interface Books {
  readonly number: number;
  readonly batches: number;
  readonly sifted: Sifted[];
  messages: number;
  pulses: number;
  detections: number;
  siftedBits: number;
  leakedBits: number;
  qber: BlockRecord["qber"];
}

/** What privacy amplification gave, divided. */
export interface Secret {
  readonly secretBits: number;
  readonly authenticationBits: number;
  readonly retire: boolean;
  readonly bytes: Uint8Array;
}

/** The block on its way through privacy amplification. */
export interface Amplifying {
  readonly key: Bits;
  readonly work: Generator<void, Bits, void>;
  readonly settled: Omit<Secret, "bytes">;
}

/**
 * One party of a link, as a pure machine: what happens goes in by its methods, and each answers with what is to be done.
 * Whatever goes wrong ends the block and wipes its key; what breaks the authentication or the protocol ends the party.
 */
export abstract class Party {
  protected readonly settings: CheckedSettings;
  protected readonly ledger: Ledger;
  readonly #channel: ClassicalChannel;
  readonly #inSlices: boolean;
  #books: Books | undefined;
  #lastBlock = 0;
  /** Tag bits that stand in the history so far. */
  #bookedBits = 0;
  #out: Uint8Array[] = [];
  #ended: EndedBlock | undefined;
  #isClosed = false;

  /** Throws a UsageError for settings out of range. Takes over channel and ledger. */
  constructor({ channel, ledger, inSlices = false, ...settings }: PartySettings) {
    this.settings = checkedSettings(settings);
    this.ledger = ledger;
    this.#channel = channel;
    this.#inSlices = inSlices;
  }

  /** The number of the block under way, or undefined. */
  get block(): number | undefined {
    return this.#books?.number;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  /** One frame from the peer. Never throws for what a peer can send: see `stopped` of the answer. */
  receive(frame: Uint8Array): Step {
    return this.act(() => {
      const { block, message } = this.#channel.open(frame);
      const read = BlockMessages.read(message);
      const current = this.#books;
      if (read.kind !== "open" && block !== current?.number) {
        // About a block that we stopped before the peer knew.
        if (block <= this.#lastBlock) return;
        throw unexpected("block", `a message about block ${block}`, `block ${this.#lastBlock}`);
      }
      if (current !== undefined && ++current.messages > MOST_MESSAGES) throw tooMuch("messages");
      if (read.kind === "abort") this.#onAbort(read.body.reason);
      else this.take(read, block);
    });
  }

  /** Stops the block under way, if there is one; the peer is told. */
  stop(): Step {
    return this.act(() => {
      if (this.#books !== undefined) this.abort("stopped");
    });
  }

  /** Does a slice of the work that a step said is left. */
  goOn(): Step {
    return this.#isClosed ? { send: [] } : this.#act(() => this.slice());
  }

  /** Ends it and wipes all key that it holds, the ledger's too. The peer is not told. */
  close(): Step {
    if (this.#isClosed) return { send: [] };
    this.#out = [];
    this.#ended = undefined;
    this.#stop("closed");
    return this.#step();
  }

  /** Acts on a message that is no abort and is about the block under way, or opens one. */
  protected abstract take(message: BlockMessage, block: number): void;
  /** Overwrites what is held of the block's key, and waits for the next block. */
  protected abstract wipeBlock(): void;
  /** Whether there is work for `slice`. */
  protected abstract get isAtWork(): boolean;
  protected abstract slice(): void;

  /** Everything that is asked of a party goes through here. Throws a LinkError (ERR_LINK_CLOSED) once it has stopped. */
  protected act(perform: () => void): Step {
    return this.#act(() => {
      this.#finishWork();
      perform();
      if (!this.#inSlices) this.#finishWork();
    });
  }

  #finishWork(): void {
    while (this.isAtWork) this.slice();
  }

  #act(perform: () => void): Step {
    if (this.#isClosed) throw new LinkError("ERR_LINK_CLOSED", "the party has stopped");
    this.#out = [];
    this.#ended = undefined;
    try {
      perform();
      return this.#step();
    } catch (error) {
      if (error instanceof LinkError) return this.#failed(error);
      if (!(error instanceof UsageError)) this.close();
      throw error;
    }
  }

  /** Sends one of `BlockMessages` about the block under way. */
  protected say(message: Uint8Array): void {
    this.#out.push(this.#channel.seal(this.books.number, message));
  }

  protected begin(number: number, batches: number): void {
    this.#lastBlock = number;
    this.#books = {
      number,
      batches,
      sifted: [],
      messages: 0,
      pulses: 0,
      detections: 0,
      siftedBits: 0,
      leakedBits: 0,
      qber: undefined,
    };
  }

  protected get nextBlock(): number {
    return this.#lastBlock + 1;
  }

  /** Throws a UsageError where no block is under way. */
  protected get books(): Books {
    if (this.#books !== undefined) return this.#books;
    throw new UsageError("ERR_OPTION_INVALID", "no block is under way", { option: "block" });
  }

  /** One more batch is sifted. The whole block, and nothing judged against it yet, once it was the last. */
  protected gather(sifted: Sifted, pulses: number, detections: number): Sifted | undefined {
    const { books } = this;
    books.sifted.push(sifted);
    books.pulses += pulses;
    books.detections += detections;
    books.siftedBits += sifted.key.length;
    if (books.siftedBits > MOST_KEY_BITS) throw tooMuch("sifted bits");
    if (books.sifted.length < books.batches) return undefined;
    const block = joined(books.sifted);
    for (const { key } of books.sifted.splice(0)) key.wipe();
    return block;
  }

  /** The secret bits that these figures leave; undefined when there are none, which has ended the block. */
  protected judge(
    counts: SiftedCounts,
    told?: { leakedBits: number; keyErrors: number },
  ): number | undefined {
    const { source, epsilonSec, epsilonCor, qberThreshold, fewestDetections, proof } = this.settings;
    const judged = estimate({
      source,
      counts,
      leakedBits: 0,
      ...told,
      epsilonSec,
      epsilonCor,
      qberThreshold,
      fewestDetections,
      proof,
    });
    this.books.qber = judged.qber;
    if (judged.outcome === "key") return judged.secretBits;
    this.#end(judged.reason);
    return undefined;
  }

  /** Puts the authentication key by and gives the rest out. Both parties do so between the same two messages. */
  protected release({ secretBits, authenticationBits, retire, bytes }: Secret): void {
    const ours = authenticationBits / 8;
    this.ledger.deposit(bytes.slice(0, ours));
    try {
      if (retire) this.ledger.retireBootstrap();
    } catch (error) {
      wipe(bytes);
      throw error;
    }
    const key = bytes.slice(ours, Math.floor(secretBits / 8));
    wipe(bytes);
    this.#end("key", { key, secretBits, earnedBits: authenticationBits });
  }

  /** Ends the block and tells the peer why. */
  protected abort(reason: BlockAbort): void {
    this.say(BlockMessages.write("abort", { reason: BLOCK_ABORTS.indexOf(reason) }));
    this.#end(reason);
  }

  #onAbort(code: number): void {
    const reason = BLOCK_ABORTS[code];
    if (reason === undefined) throw new LinkError("ERR_LINK_MALFORMED", `block: no reason ${code}`);
    this.#end(reason);
  }

  #failed(error: LinkError): Step {
    try {
      if (!this.#channel.closed && error.code === "ERR_LINK_MISMATCH") {
        this.#end("confirmation_failed");
        return this.#step();
      }
      if (!this.#channel.closed && error.code === "ERR_LINK_LIMIT" && this.#books !== undefined) {
        this.abort("limit_exceeded");
        return this.#step();
      }
    } catch (cause) {
      if (!(cause instanceof LinkError)) throw cause;
      return this.#failed(cause);
    }
    if (error.code === "ERR_LINK_KEY_EXHAUSTED") this.#stop("ledger_empty");
    else this.#stop(this.#channel.closed ? "authentication_failed" : "protocol_violated");
    return this.#step(error);
  }

  #stop(outcome: LinkStop): void {
    this.#isClosed = true;
    if (this.#books === undefined) this.wipeBlock();
    else this.#end(outcome);
    this.#channel.close();
    this.ledger.wipe();
  }

  #end(outcome: BlockOutcome, made?: { key: Uint8Array; secretBits: number; earnedBits: number }): void {
    const { books } = this;
    const spentBits = this.#spentBits - this.#bookedBits;
    this.#bookedBits += spentBits;
    const record: BlockRecord = {
      simulated: true,
      block: books.number,
      outcome,
      pulses: books.pulses,
      detections: books.detections,
      siftedBits: books.siftedBits,
      qber: books.qber,
      qberThreshold: this.settings.qberThreshold,
      leakedBits: books.leakedBits,
      secretBits: made?.secretBits ?? 0,
      authentication: { spentBits, earnedBits: made?.earnedBits ?? 0 },
    };
    for (const { key } of books.sifted) key.wipe();
    this.#books = undefined;
    this.wipeBlock();
    this.#ended = { record, ...(made && { key: made.key }) };
  }

  get #spentBits(): number {
    return this.ledger.account("send").spentBits + this.ledger.account("receive").spentBits;
  }

  #step(stopped?: LinkError): Step {
    const [send, ended] = [this.#out, this.#ended];
    this.#out = [];
    this.#ended = undefined;
    return {
      send,
      ...(ended && { ended }),
      ...(stopped && { stopped }),
      ...(this.isAtWork && { more: true }),
    };
  }
}

/** The bits as bytes, and the bits wiped. */
export function bytesOf(secret: Bits): Uint8Array {
  const bytes = secret.toBytes();
  secret.wipe();
  return bytes;
}

const tooMuch = (what: string): LinkError =>
  new LinkError("ERR_LINK_LIMIT", `block: more ${what} than a block may have`);
