import { repeatableRandom } from "../../src/crypto/repeatable.ts";
import { Alice } from "../../src/link/alice.ts";
import type { BlockSettings, EndedBlock, Step } from "../../src/link/block.ts";
import { Bob } from "../../src/link/bob.ts";
import type { ClassicalChannel } from "../../src/link/classical.ts";
import { pulsesFor } from "../../src/link/clicks.ts";
import { Ledger, type Party } from "../../src/link/ledger.ts";
import { type PresetName, preset } from "../../src/link/presets.ts";
import { QuantumChannel } from "../../src/link/quantum-channel.ts";
import { provider } from "../support/credentials.ts";
import { bootstrapKey, type MethodName, party } from "./parties.ts";

export interface Frame {
  readonly from: Party;
  readonly bytes: Uint8Array;
}

export interface PairOptions {
  readonly seed?: string;
  readonly preset?: PresetName;
  readonly method?: MethodName;
  readonly bootstrapBytes?: number;
  /** Long work is left to `goOn`. */
  readonly inSlices?: boolean;
  readonly settings?: Partial<BlockSettings>;
  /** What Bob is told otherwise. */
  readonly bobs?: Partial<BlockSettings>;
  /** What a party says instead, under valid tags: a liar that has the keys. Several, one or none for each message. */
  readonly lie?: (from: Party, message: Uint8Array) => readonly Uint8Array[];
}

/** With bounds as loose as these a small block gives key. */
export const LOOSE: PairOptions = {
  preset: "long-100km",
  settings: { epsilonSec: 0.1, epsilonCor: 0.01 },
};

/** Two parties that have nothing in common but a quantum channel and the copies of frames that are carried. */
export class BlockPair {
  readonly channel: QuantumChannel;
  readonly alice: Alice;
  readonly bob: Bob;
  readonly ledgers: Readonly<Record<Party, Ledger>>;
  readonly ended: Readonly<Record<Party, EndedBlock[]>> = { alice: [], bob: [] };
  readonly stopped: Partial<Record<Party, string>> = {};
  /** Frames under way. */
  readonly wire: Frame[] = [];
  carried = 0;
  readonly #lie: PairOptions["lie"];
  /** Stands between the two, with the keys of both. */
  readonly #between: Readonly<Record<Party, ClassicalChannel>>;

  constructor(options: PairOptions = {}) {
    const { seed = "pair", method = "wegman-carter", bootstrapBytes = 8192 } = options;
    this.#lie = options.lie;
    const bobsSecret = options.lie === undefined ? 1 : 2;
    this.#between = this.#relay(method, bootstrapBytes);
    const { optics } = preset(options.preset ?? "metro-10km");
    this.channel = new QuantumChannel(optics, repeatableRandom(`${seed} fibre`));
    this.ledgers = {
      alice: new Ledger("alice", bootstrapKey(1, bootstrapBytes)),
      bob: new Ledger("bob", bootstrapKey(bobsSecret, bootstrapBytes)),
    };
    const settings = (name: Party) => ({
      hash: provider.hash("sha256"),
      random: repeatableRandom(`${seed} ${name}`),
      source: optics.source,
      ...party(name, method, name === "bob" ? bobsSecret : 1, this.ledgers[name]),
      ...options.settings,
      inSlices: options.inSlices ?? false,
    });
    this.alice = new Alice(settings("alice"));
    this.bob = new Bob({ ...settings("bob"), ...options.bobs });
  }

  /** Opens a block and sends its pulses, for about so many bits of key before correction; then `deliver` carries on. */
  begin(keyBits: number, batches = 1): void {
    const pulses = Math.ceil(pulsesFor(this.channel.optics, keyBits) / batches);
    this.pulse(pulses, batches);
  }

  pulse(pulses: number, batches = 1): void {
    this.take("alice", this.alice.open(batches));
    this.deliver(1);
    for (let batch = 0; batch < batches; batch++) {
      if (this.bob.block === undefined) return;
      const { alice, bob } = this.channel.send(pulses);
      this.take("alice", this.alice.sent(alice));
      this.take("bob", this.bob.detected(bob));
    }
  }

  /** Carries frames in order, copied, until none is under way or so many were. */
  deliver(most = Number.POSITIVE_INFINITY): void {
    for (let count = 0; count < most; count++) {
      const frame = this.wire.shift();
      if (frame === undefined) return;
      this.give(frame);
    }
  }

  give({ from, bytes }: Frame): void {
    const to = from === "alice" ? "bob" : "alice";
    for (const frame of this.#lie === undefined ? [bytes] : this.#told(from, bytes, this.#lie)) {
      if (this[to].closed) return;
      this.carried++;
      this.take(to, this[to].receive(frame.slice()));
    }
  }

  #relay(method: MethodName, bytes: number): Readonly<Record<Party, ClassicalChannel>> {
    return {
      alice: party("alice", method, 2, new Ledger("alice", bootstrapKey(2, bytes))).channel,
      bob: party("bob", method, 1, new Ledger("bob", bootstrapKey(1, bytes))).channel,
    };
  }

  #told(from: Party, bytes: Uint8Array, lie: NonNullable<PairOptions["lie"]>): Uint8Array[] {
    const { block, message } = this.#between[from === "alice" ? "bob" : "alice"].open(bytes);
    return lie(from, message).map((each) => this.#between[from].seal(block, each));
  }

  /** A whole block. The key at both sides, if there is one. */
  run(keyBits: number, batches = 1): { readonly alice: EndedBlock; readonly bob: EndedBlock } {
    this.begin(keyBits, batches);
    this.deliver();
    return { alice: this.ended.alice.at(-1)!, bob: this.ended.bob.at(-1)! };
  }

  take(from: Party, { send, ended, stopped }: Step): void {
    for (const bytes of send) this.wire.push({ from, bytes });
    if (ended !== undefined) this.ended[from].push(ended);
    if (stopped !== undefined) this.stopped[from] = stopped.code;
  }
}
