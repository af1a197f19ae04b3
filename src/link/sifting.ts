import { LinkError, UsageError } from "../protocol/errors.ts";
import { Bits } from "./bits.ts";
import type { AliceRecord, BobRecord } from "./quantum-channel.ts";
import { type Detections, MOST_DETECTIONS, type Sifting } from "./sifting-messages.ts";
import { Basis, type Triple } from "./source.ts";

/** What parameter estimation goes by; both sides have the same after sifting. */
export interface SiftedCounts {
  /** Detections in X by intensity. */
  readonly key: { readonly detections: Triple };
  /** Detections in Z by intensity, and how many of them differ. */
  readonly check: { readonly detections: Triple; readonly errors: Triple };
}

/** One side's part of a sifted batch. `key` holds errors still, and is secret. */
export interface Sifted {
  readonly simulated: true;
  readonly key: Bits;
  readonly counts: SiftedCounts;
}

/** Bob's message. Throws a UsageError when the batch is too large for one. */
export function announce({ slots, outcomes }: BobRecord): Detections {
  if (slots.length > MOST_DETECTIONS) {
    const what = `${slots.length} detections are more than one message holds: send fewer pulses at a time`;
    throw new UsageError("ERR_OPTION_INVALID", what, { option: "pulses" });
  }
  const bases = new Bits(slots.length);
  const checks = new Collector(slots.length);
  for (let at = 0; at < slots.length; at++) {
    const outcome = outcomes[at] as number;
    if (outcome >> 1 !== Basis.Z) continue;
    bases.set(at, 1);
    checks.add(outcome & 1);
  }
  return { slots, bases: bases.toBytes(), check_bits: checks.done().toBytes() };
}

/** Alice's answer and her part of the key. Throws a LinkError for a message that contradicts itself or her record. */
export function answer(
  record: AliceRecord,
  message: Detections,
): { readonly message: Sifting; readonly sifted: Sifted } {
  const total = message.slots.length;
  const bases = bitsOf(message.bases, total, "bases");
  const bobs = bitsOf(message.check_bits, bases.weight(), "check_bits");
  const kept = new Bits(total);
  const intensities = new Collector(2 * total);
  const checks = new Collector(bobs.length);
  const key = new Collector(total);
  const tally = new Tally();
  for (let at = 0, own = 0, check = 0; at < total; at++) {
    const slot = message.slots[at] as number;
    while (own < record.slots.length && (record.slots[own] as number) < slot) own++;
    if (record.slots[own] !== slot) throw malformed(`slot ${slot} is none that was sent and detected`);
    const choice = record.choices[own] as number;
    const basis = bases.get(at);
    const bobsBit = basis === Basis.Z ? bobs.get(check++) : 0;
    if (((choice >> 1) & 1) !== basis) continue;
    const intensity = choice >> 2;
    kept.set(at, 1);
    intensities.add(intensity >> 1);
    intensities.add(intensity & 1);
    if (basis === Basis.X) key.add(choice & 1);
    else checks.add(choice & 1);
    tally.add(basis, intensity, basis === Basis.Z && bobsBit !== (choice & 1));
  }
  return {
    message: {
      kept: kept.toBytes(),
      intensities: intensities.done().toBytes(),
      check_bits: checks.done().toBytes(),
    },
    sifted: { simulated: true, key: key.done(), counts: tally.counts() },
  };
}

/** Bob's part of the key, of what he announced and Alice's answer. Throws a LinkError when they do not fit. */
export function sift({ outcomes }: BobRecord, message: Sifting): Sifted {
  const kept = bitsOf(message.kept, outcomes.length, "kept");
  const total = kept.weight();
  const intensities = bitsOf(message.intensities, 2 * total, "intensities");
  let checksKept = 0;
  for (let at = kept.nextSet(0); at < kept.length; at = kept.nextSet(at + 1)) {
    checksKept += (outcomes[at] as number) >> 1;
  }
  const alices = bitsOf(message.check_bits, checksKept, "check_bits");
  const key = new Collector(total - checksKept);
  const tally = new Tally();
  for (let at = kept.nextSet(0), nth = 0, check = 0; at < kept.length; at = kept.nextSet(at + 1), nth++) {
    const outcome = outcomes[at] as number;
    const intensity = 2 * intensities.get(2 * nth) + intensities.get(2 * nth + 1);
    if (intensity > 2) throw malformed("there is no fourth intensity");
    const basis = (outcome >> 1) as Basis;
    if (basis === Basis.X) key.add(outcome & 1);
    tally.add(basis, intensity, basis === Basis.Z && alices.get(check++) !== (outcome & 1));
  }
  return { simulated: true, key: key.done(), counts: tally.counts() };
}

/** Several batches as one block. */
export function joined(batches: readonly Sifted[]): Sifted {
  const add = (of: (counts: SiftedCounts) => Triple): Triple =>
    batches.reduce<Triple>(
      ([a, b, c], { counts }) => {
        const [d, e, f] = of(counts);
        return [a + d, b + e, c + f];
      },
      [0, 0, 0],
    );
  return {
    simulated: true,
    key: Bits.concat(batches.map(({ key }) => key)),
    counts: {
      key: { detections: add(({ key }) => key.detections) },
      check: { detections: add(({ check }) => check.detections), errors: add(({ check }) => check.errors) },
    },
  };
}

/** Counts by basis, intensity and error. */
class Tally {
  readonly #right = new Float64Array(6);
  readonly #wrong = new Float64Array(6);

  add(basis: Basis, intensity: number, error: boolean): void {
    const of = error ? this.#wrong : this.#right;
    const at = 3 * basis + intensity;
    of[at] = (of[at] as number) + 1;
  }

  counts(): SiftedCounts {
    const errors = tripleAt(this.#wrong, Basis.Z);
    const [signal, decoy, vacuum] = tripleAt(this.#right, Basis.Z);
    return {
      key: { detections: tripleAt(this.#right, Basis.X) },
      check: { detections: [signal + errors[0], decoy + errors[1], vacuum + errors[2]], errors },
    };
  }
}

const tripleAt = (counts: Float64Array, basis: Basis): Triple =>
  [...counts.subarray(3 * basis, 3 * basis + 3)] as unknown as Triple;

/** Bits as they come, up to so many. */
class Collector {
  readonly #bits: Bits;
  #count = 0;

  constructor(room: number) {
    this.#bits = new Bits(room);
  }

  add(bit: number): void {
    if (bit === 1) this.#bits.flip(this.#count);
    this.#count++;
  }

  done(): Bits {
    const out = this.#bits.slice(0, this.#count);
    this.#bits.wipe();
    return out;
  }
}

function bitsOf(bytes: Uint8Array, length: number, field: string): Bits {
  if (bytes.length === Math.ceil(length / 8)) return Bits.fromBytes(bytes, length);
  throw malformed(`${field} has ${bytes.length} bytes where ${length} bits belong`);
}

const malformed = (what: string): LinkError => new LinkError("ERR_LINK_MALFORMED", what);
