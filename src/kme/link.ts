/** A simulated QKD link as what feeds two KMEs: two parties and a quantum channel in this process, and their pace. */

import type { BlockRecord, EndedBlock, Step } from "../link/block.ts";
import type { Adversary, Fibre } from "../link/fibre.ts";
import type { Account, Ledger } from "../link/ledger.ts";
import { type Preset, preset, PRESET_NAMES, type PresetName } from "../link/presets.ts";
import { QuantumChannel } from "../link/quantum-channel.ts";
import { EMPTY, wipe } from "../protocol/bytes.ts";
import { onlyKnown, oneOf } from "../protocol/options.ts";
import type { BlockSink, Generator, KeyFeed } from "./feed.ts";
import { cutKey, isFromA } from "./link-keys.ts";
import {
  Appetite,
  blockPauses,
  checkedPace,
  isDazzling,
  PACE_OPTIONS,
  type PaceOptions,
  pulsePlan,
} from "./link-pace.ts";
import { linkRandom, type SeedOptions } from "./link-random.ts";
import { openSession, type Session } from "./link-session.ts";

export interface SimulatedLinkOptions extends PaceOptions, SeedOptions {
  /** Laser, fibre and detectors; default `metro-10km`. */
  readonly preset?: PresetName;
  /** Another length than the preset's. */
  readonly lengthKm?: number;
  readonly adversary?: Adversary;
  /** Told of each block that ended, with key or without. */
  readonly onBlock?: (record: BlockRecord) => void;
}

/** What an operator may see of a link: public figures, no key. */
export interface LinkStatus {
  readonly simulated: true;
  readonly preset: PresetName;
  readonly fibre: Fibre;
  readonly qberThreshold: number;
  /** The latest blocks, oldest first. */
  readonly history: readonly BlockRecord[];
  /** Authentication key at the A side. */
  readonly authentication: Readonly<Record<"send" | "receive", Account>>;
  /** How often the parties had to begin anew, and why they stopped last. */
  readonly sessions: { readonly opened: number; readonly lastStop: string | undefined };
}

export interface SimulatedLink extends Generator {
  readonly status: LinkStatus;
  /** Another length or adversary from the next batch of pulses on. Throws UsageError. */
  lay(change: Pick<SimulatedLinkOptions, "lengthKm" | "adversary">): void;
  /**
   * Fulfilled once the first block has ended, with key or without, or where there is no room for one, or where its pulses
   * will take longer than anybody would wait.
   */
  readonly ready: Promise<void>;
}

const KNOWN = ["preset", "lengthKm", "adversary", "seed", "production", "onBlock", ...PACE_OPTIONS];

/** Records of blocks that are kept for whoever looks. */
export const HISTORY = 256;
/** Work in one go, and how often the stock is looked at. */
const SLICE_MS = 10;
const LOOK_MS = 50;
/** Whoever waits for the first block does not wait longer than this for its pulses. */
const PATIENCE_MS = 1000;

/** A link whose two ends are fed what its two parties agree on. Throws UsageError for options out of range. */
export function simulatedLink(options: SimulatedLinkOptions = {}): SimulatedLink {
  return new Link(options);
}

/** What the work waits for: nothing but its turn, or a time in milliseconds. */
type Wait = number | undefined;

class Link implements SimulatedLink {
  readonly a: KeyFeed;
  readonly b: KeyFeed;
  readonly ready: Promise<void>;
  readonly #preset: Preset;
  readonly #channel: QuantumChannel;
  readonly #random: (length: number) => Uint8Array;
  readonly #isRepeatable: boolean;
  readonly #pace: Required<PaceOptions>;
  readonly #appetite = new Appetite();
  readonly #pauses = blockPauses();
  readonly #history: BlockRecord[] = [];
  readonly #sinks: { a?: BlockSink; b?: BlockSink } = {};
  #session: Session | undefined;
  #sessions = 0;
  #lastStop: string | undefined;
  #hasGivenKey = false;
  #work: Work | undefined;
  #isWorking = false;
  #timer: NodeJS.Timeout | undefined;
  #isReady: () => void = () => undefined;
  readonly #onBlock: (record: BlockRecord) => void;

  constructor(options: SimulatedLinkOptions) {
    onlyKnown(options, KNOWN, "a simulated link");
    const random = linkRandom(options);
    this.#preset = preset(oneOf(options, "preset", PRESET_NAMES, "metro-10km"));
    this.#pace = checkedPace(options);
    this.#onBlock = options.onBlock ?? (() => undefined);
    this.#isRepeatable = options.seed !== undefined;
    this.#random = random("parties");
    this.#channel = new QuantumChannel(this.#preset.optics, random("fibre"));
    this.lay(options);
    this.ready = new Promise((resolve) => (this.#isReady = resolve));
    this.a = this.#end("a");
    this.b = this.#end("b");
  }

  get status(): LinkStatus {
    const ledger = this.#session?.alice.ledger;
    return {
      simulated: true,
      preset: this.#preset.name,
      fibre: this.#channel.optics.fibre,
      qberThreshold: this.#pace.qberThreshold,
      history: [...this.#history],
      authentication: accountsOf(ledger),
      sessions: { opened: this.#sessions, lastStop: this.#lastStop },
    };
  }

  lay({ lengthKm, adversary }: Pick<SimulatedLinkOptions, "lengthKm" | "adversary">): void {
    this.#channel.change({ lengthKm, adversary });
  }

  /** Works at once until so many keys were made each way, a block gave none, or there is no room. */
  fill(count: number): void {
    for (let made = 0; made < count && this.#room() > 0; ) {
      const before = this.#history.length === 0 ? undefined : this.#history.at(-1);
      const work = this.#work ?? this.#block();
      this.#work = undefined;
      while (this.#goOn(work).done !== true);
      const last = this.#history.at(-1);
      if (last === undefined || last === before || last.outcome !== "key") return;
      made += Math.floor((last.secretBits - last.authentication.earnedBits) / 16 / this.#pace.blockBytes);
    }
  }

  #end(name: "a" | "b"): KeyFeed {
    return {
      simulated: true,
      blockBytes: this.#pace.blockBytes,
      start: (sink) => {
        this.#sinks[name] = sink;
        if (this.#sinks.a !== undefined && this.#sinks.b !== undefined) this.#plan(0);
      },
      stop: () => {
        delete this.#sinks[name];
        clearTimeout(this.#timer);
        this.#timer = undefined;
        // Not from within it: then it comes to its own end.
        if (!this.#isWorking) this.#work?.return();
        this.#work = undefined;
        this.#session?.close();
        this.#session = undefined;
        this.#isReady();
      },
    };
  }

  /** Blocks of stock that fit at both ends, both ways. */
  #room(): number {
    const { a, b } = this.#sinks;
    if (a === undefined || b === undefined) return 0;
    const thereAndBack = [Math.min(a.room("outgoing"), b.room("incoming"))];
    if (a !== b) thereAndBack.push(Math.min(b.room("outgoing"), a.room("incoming")));
    return Math.max(...thereAndBack);
  }

  #plan(ms: number): void {
    if (this.#sinks.a === undefined || this.#sinks.b === undefined) return;
    this.#timer ??= setTimeout(() => this.#tick(), ms).unref();
  }

  /** A slice of work, then as long a rest, so that the KME goes on answering. */
  #tick(): void {
    this.#timer = undefined;
    const from = performance.now();
    let wait: Wait;
    do {
      if (this.#work === undefined && !this.#appetite.isFor(this.#room())) {
        wait = from + LOOK_MS;
        this.#isReady();
        break;
      }
      this.#work ??= this.#block();
      const next = this.#goOn(this.#work);
      if (next.done === true) this.#work = undefined;
      else wait = next.value;
    } while (wait === undefined && performance.now() - from < SLICE_MS);
    const now = performance.now();
    // Until the first keys are there nobody can be kept waiting by it.
    const rest = this.#hasGivenKey ? Math.min(now - from, 10 * SLICE_MS) : 0;
    this.#plan(Math.max(rest, (wait ?? now) - now));
  }

  #goOn(work: Work): IteratorResult<Wait, void> {
    this.#isWorking = true;
    try {
      return work.next();
    } finally {
      this.#isWorking = false;
    }
  }

  /** One block from the first pulse to the stock, and a pause if it gave nothing. */
  *#block(): Work {
    const from = performance.now();
    const session = (this.#session ??= this.#open());
    const { alice, bob } = session;
    const bits = this.#hasGivenKey ? this.#pace.blockBits : this.#pace.firstBits;
    const { pulses, batches } = pulsePlan(this.#channel.optics, bits);
    const ended: Partial<Record<"alice" | "bob", EndedBlock>> = {};
    const isAtWork = { alice: false, bob: false };
    const queue: { readonly to: "alice" | "bob"; readonly frame: Uint8Array }[] = [];
    const take = (of: "alice" | "bob", step: Step): void => {
      const to = of === "alice" ? "bob" : "alice";
      // A copy: nothing of one party's memory reaches the other.
      for (const frame of step.send) queue.push({ to, frame: frame.slice() });
      if (step.ended !== undefined) ended[of] = step.ended;
      isAtWork[of] = step.more === true;
      if (step.stopped !== undefined) this.#lastStop = step.stopped.code;
    };
    const goOn = function* (of: "alice" | "bob"): Work {
      while (isAtWork[of]) {
        take(of, session[of].party.goOn());
        yield undefined;
      }
    };
    const carry = function* (): Work {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { to, frame } = next;
        yield* goOn(to);
        if (!session[to].party.closed) take(to, session[to].party.receive(frame));
        yield undefined;
      }
      for (const party of ["alice", "bob"] as const) yield* goOn(party);
    };
    try {
      take("alice", alice.party.open(batches));
      yield* carry();
      const isOpen = () => [alice, bob].every(({ party }) => party.block !== undefined);
      for (let batch = 0; batch < batches && isOpen(); batch++) {
        if (isDazzling(this.#channel.optics, pulses)) {
          // Light of somebody else's: no message holds so many.
          take("alice", alice.party.stop());
          yield* carry();
          break;
        }
        const seen = this.#channel.send(pulses);
        take("alice", alice.party.sent(seen.alice));
        take("bob", bob.party.detected(seen.bob));
        yield undefined;
        yield* carry();
      }
      // The pulses take their time, however quickly they were simulated.
      const lastPulse = from + (1000 * batches * pulses) / this.#preset.optics.source.clockHz;
      if (performance.now() < lastPulse) {
        if (lastPulse - performance.now() > PATIENCE_MS) this.#isReady();
        yield lastPulse;
      }
      this.#finish(session, ended.alice, ended.bob);
    } finally {
      wipe(ended.alice?.key, ended.bob?.key);
    }
    const [last] = this.#history.slice(-1);
    if (last?.outcome === "key") {
      this.#hasGivenKey = true;
      this.#pauses.reset();
    } else {
      yield performance.now() + this.#pauses.next();
    }
  }

  /** Puts the key in stock where both have it; otherwise nobody has. */
  #finish(session: Session, alice: EndedBlock | undefined, bob: EndedBlock | undefined): void {
    const closed = [session.alice.party.closed, session.bob.party.closed].includes(true);
    if (closed || alice === undefined || bob === undefined) {
      // One of them stopped, and the other waits for it in vain.
      alice ??= session.alice.party.close().ended;
      session.close();
      this.#session = undefined;
    }
    const record = alice?.record ?? bob?.record;
    if (record !== undefined) this.#history.push(record);
    if (this.#history.length > HISTORY) this.#history.shift();
    const { a, b } = this.#sinks;
    const [ours, theirs] = [alice?.key ?? EMPTY, bob?.key ?? EMPTY];
    if (a !== undefined && b !== undefined && ours.length > 0 && theirs.length > 0 && record !== undefined) {
      const options = { context: session.context, block: record.block, blockBytes: this.#pace.blockBytes };
      const [atA, atB] = [cutKey(ours, options), cutKey(theirs, options)];
      for (const [at, block] of atA.entries()) {
        const other = atB[at];
        // A link that leads back to where it began has one way only.
        const [from, to] = isFromA(at) || a === b ? [a, b] : [b, a];
        const [outgoing, incoming] = from === a ? [block, other] : [other, block];
        if (outgoing === undefined || incoming === undefined) continue;
        if (from.room("outgoing") < 1 || to.room("incoming") < 1) {
          wipe(outgoing.key, incoming.key);
          continue;
        }
        from.put("outgoing", outgoing);
        to.put("incoming", incoming);
      }
    }
    this.#isReady();
    if (record !== undefined) this.#onBlock(record);
  }

  #open(): Session {
    this.#sessions++;
    return openSession({
      random: this.#random,
      isRepeatable: this.#isRepeatable,
      source: this.#preset.optics.source,
      qberThreshold: this.#pace.qberThreshold,
    });
  }
}

type Work = globalThis.Generator<Wait, void, void>;

const NOTHING: Account = { bootstrapBits: 0, earnedBits: 0, spentBits: 0, droppedBits: 0, reserveBits: 0 };

/** The books of a party, or of none. */
export const accountsOf = (ledger: Ledger | undefined): LinkStatus["authentication"] => ({
  send: ledger?.account("send") ?? NOTHING,
  receive: ledger?.account("receive") ?? NOTHING,
});
