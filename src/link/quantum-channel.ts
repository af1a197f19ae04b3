import { whole } from "../protocol/options.ts";
import { anyClick, type Optics, Pattern, settingsOf } from "./clicks.ts";
import { checkedFibre, type Fibre, type FibreChange } from "./fibre.ts";
import { Draw, gapScale, type RandomBytes, Weighted } from "./random.ts";
import { checkedReceiver } from "./receiver.ts";
import { checkedSource } from "./source.ts";

/** What Alice has of the pulses that Bob detected: her own choices. She learns from Bob which pulses these are. */
export interface AliceRecord {
  readonly simulated: true;
  /** How many pulses were sent. */
  readonly pulses: number;
  /** The number of each pulse, rising. */
  readonly slots: Uint32Array;
  /** For each pulse: bit 0 her bit, bit 1 her basis, bits 2 and 3 the intensity. */
  readonly choices: Uint8Array;
}

/** What Bob has: when a detector clicked, in which basis, and which of the two. */
export interface BobRecord {
  readonly simulated: true;
  readonly pulses: number;
  readonly slots: Uint32Array;
  /** For each click: bit 0 his bit, bit 1 his basis. */
  readonly outcomes: Uint8Array;
  /** Clicks of both detectors at once; each was given a random bit, and none dropped (Lim 2014). */
  readonly doubleClicks: number;
}

/** One batch of pulses; the records share no memory, so each can go its own way. */
export interface Batch {
  readonly simulated: true;
  readonly alice: AliceRecord;
  readonly bob: BobRecord;
}

/** Slots are 32-bit numbers. */
export const MOST_PULSES = 2 ** 32;

/**
 * The laser, the fibre with whoever sits in it, and the detectors. Simulates clicks, not pulses: pulses are
 * independent, so the gaps between clicks are geometric, and each click costs one logarithm whatever the loss.
 * Dead time and pending after-pulses carry over from batch to batch.
 */
export class QuantumChannel {
  readonly #draw: Draw;
  #optics: Optics;
  #sampler: Sampler;
  /** The first slot of the next batch in which a detector can click. */
  #free = 0;
  /** Where after-pulses are due, soonest first: slot and detector. */
  #due: AfterPulse[] = [];

  /** Throws a UsageError that names the option out of range. `random` may be seeded for a repeatable run. */
  constructor(optics: Optics, random: RandomBytes) {
    this.#optics = {
      source: checkedSource(optics.source),
      fibre: checkedFibre(optics.fibre),
      receiver: checkedReceiver(optics.receiver),
    };
    this.#sampler = samplerOf(this.#optics);
    this.#draw = new Draw(random);
  }

  get optics(): Optics {
    return this.#optics;
  }

  /** Another fibre from now on: another length, another adversary. Throws a UsageError. */
  lay(fibre: Fibre): void {
    this.#optics = { ...this.#optics, fibre: checkedFibre(fibre) };
    this.#sampler = samplerOf(this.#optics);
  }

  /** The same fibre from now on, but for its length or its adversary; one who does nothing has left. Throws a UsageError. */
  change({ lengthKm, adversary }: FibreChange): void {
    this.lay({
      ...this.#optics.fibre,
      ...(lengthKm !== undefined && { lengthKm }),
      ...(adversary !== undefined && { adversary }),
    });
  }

  /** Sends so many pulses, 2^32 at most, and gives each side what it saw of them. Throws a UsageError. */
  send(pulses: number): Batch {
    whole({ pulses }, "pulses", 0, 1, MOST_PULSES);
    const { receiver } = this.#optics;
    const draw = this.#draw;
    const sampler = this.#sampler;
    const clicks = new ClickLog(expectedClicks(sampler, pulses, receiver.afterPulseProbability));
    let free = this.#free;
    for (;;) {
      // A geometric gap has no memory: what was drawn and then not used may be drawn anew.
      let slot = sampler.scale === Number.POSITIVE_INFINITY ? pulses : free + draw.gap(sampler.scale);
      let detector: 0 | 1;
      const due = this.#nextDue(free);
      if (due !== undefined && due.slot < slot) {
        if (due.slot >= pulses) break;
        slot = due.slot;
        detector = due.detector;
        clicks.add(slot, sampler.settings[sampler.unlit.draw(draw)] as number, detector, draw.bit());
      } else {
        if (slot >= pulses) break;
        const outcome = sampler.lit.draw(draw);
        const pattern = outcome % 3;
        const sent = draw.bit();
        detector = pattern === Pattern.BOTH ? draw.bit() : ((sent ^ pattern) as 0 | 1);
        if (pattern === Pattern.BOTH) clicks.doubles++;
        clicks.add(slot, sampler.settings[(outcome - pattern) / 3] as number, detector, sent);
      }
      free = slot + 1 + receiver.deadGates;
      if (draw.fraction() < receiver.afterPulseProbability) {
        this.#schedule({ slot: free + draw.gap(sampler.afterScale), detector });
      }
    }
    this.#free = Math.max(0, free - pulses);
    this.#due = this.#due.map(({ slot, detector }) => ({ slot: slot - pulses, detector }));
    return clicks.split(pulses);
  }

  /** The next after-pulse, if one is due; those of the dead time are lost. */
  #nextDue(free: number): AfterPulse | undefined {
    while (this.#due.length > 0 && (this.#due[0] as AfterPulse).slot < free) this.#due.shift();
    return this.#due[0];
  }

  #schedule(afterPulse: AfterPulse): void {
    let at = this.#due.length;
    while (at > 0 && (this.#due[at - 1] as AfterPulse).slot > afterPulse.slot) at--;
    this.#due.splice(at, 0, afterPulse);
  }
}

interface AfterPulse {
  readonly slot: number;
  readonly detector: 0 | 1;
}

/** The optics as something to draw from. */
interface Sampler {
  /** `gapScale` of a click in a live gate. */
  readonly scale: number;
  readonly afterScale: number;
  /** Setting and pattern of a click that light or a dark count made: 3 * setting + pattern. */
  readonly lit: Weighted;
  /** Setting of a pulse that made no click. */
  readonly unlit: Weighted;
  /** For each setting: bit 1 Bob's basis, bit 5 Alice's, bits 6 and 7 the intensity. */
  readonly settings: Uint8Array;
}

function samplerOf(optics: Optics): Sampler {
  const settings = settingsOf(optics);
  const weights = settings.flatMap(({ probability, clicks: { right, wrong, both } }) =>
    [right, wrong, both].map((each) => probability * each),
  );
  const click = weights.reduce((sum, each) => sum + each, 0);
  return {
    scale: click > 0 ? gapScale(click) : Number.POSITIVE_INFINITY,
    afterScale: gapScale(1 / optics.receiver.afterPulseGates),
    lit: new Weighted(click > 0 ? weights : [1]),
    unlit: new Weighted(settings.map(({ probability, clicks }) => probability * (1 - anyClick(clicks)))),
    settings: Uint8Array.from(
      settings,
      (each) => (each.intensity << 6) | (each.sent << 5) | (each.measured << 1),
    ),
  };
}

/** Room for the clicks of a batch, with some to spare. */
function expectedClicks({ scale }: Sampler, pulses: number, afterPulses: number): number {
  const mean = pulses / (scale + 1) / (1 - afterPulses);
  return Math.ceil(Math.min(pulses, mean + 6 * Math.sqrt(mean) + 64));
}

/** Clicks as they come, then one record for each side. */
class ClickLog {
  doubles = 0;
  #slots: Uint32Array;
  #alice: Uint8Array;
  #bob: Uint8Array;
  #count = 0;

  constructor(room: number) {
    this.#slots = new Uint32Array(room);
    this.#alice = new Uint8Array(room);
    this.#bob = new Uint8Array(room);
  }

  add(slot: number, setting: number, detector: number, sent: number): void {
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[this.#count] = slot;
    this.#alice[this.#count] = (setting >> 4) | sent;
    this.#bob[this.#count++] = (setting & 2) | detector;
  }

  split(pulses: number): Batch {
    const [slots, choices, outcomes] = [this.#slots, this.#alice, this.#bob].map((each) =>
      each.slice(0, this.#count),
    ) as [Uint32Array, Uint8Array, Uint8Array];
    this.#alice.fill(0);
    this.#bob.fill(0);
    return {
      simulated: true,
      alice: { simulated: true, pulses, slots, choices },
      bob: { simulated: true, pulses, slots: slots.slice(), outcomes, doubleClicks: this.doubles },
    };
  }

  #grow(): void {
    const room = 2 * this.#slots.length + 64;
    const larger = <T extends Uint32Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      from.fill(0);
      return to;
    };
    this.#slots = larger(new Uint32Array(room), this.#slots);
    this.#alice = larger(new Uint8Array(room), this.#alice);
    this.#bob = larger(new Uint8Array(room), this.#bob);
  }
}
