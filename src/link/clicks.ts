import { arrivals, type Fibre } from "./fibre.ts";
import { clicksOf, type Clicks, type Receiver } from "./receiver.ts";
import { Basis, photonProbability, type Source, type Triple } from "./source.ts";

/** The optics of a link, from laser to detector. */
export interface Optics {
  readonly source: Source;
  readonly fibre: Fibre;
  readonly receiver: Receiver;
}

/** What Bob's detectors made of a pulse. */
export const Pattern = { RIGHT: 0, WRONG: 1, BOTH: 2 } as const;

/** How Alice prepared a pulse and how Bob measured it; not what either of them got. */
export interface Setting {
  /** 0, 1 or 2: signal, decoy, vacuum. */
  readonly intensity: 0 | 1 | 2;
  readonly sent: Basis;
  readonly measured: Basis;
  /** How often a pulse has this setting. */
  readonly probability: number;
  /** What a pulse with this setting does. */
  readonly clicks: Clicks;
}

const INTENSITIES = [0, 1, 2] as const;
const BASES = [Basis.X, Basis.Z] as const;
/** Beyond this the rest of a Poisson distribution of mean 2 is below 10^-18. */
const MOST_PHOTONS = 24;

/** The twelve settings a pulse can have, each with what it does to the detectors. */
export function settingsOf({ source, fibre, receiver }: Optics): readonly Setting[] {
  return INTENSITIES.flatMap((intensity) => {
    const same = clicksAt(source.intensities[intensity], false, fibre, receiver);
    const different = clicksAt(source.intensities[intensity], true, fibre, receiver);
    return BASES.flatMap((sent) =>
      BASES.map((measured) => ({
        intensity,
        sent,
        measured,
        probability:
          source.intensityProbabilities[intensity] * chosen(source, sent) * chosen(source, measured),
        clicks: sent === measured ? same : different,
      })),
    );
  });
}

/** The coherent pulse as what it is to an adversary and to a detector: a mixture of photon numbers. */
function clicksAt(mean: number, differ: boolean, fibre: Fibre, receiver: Receiver): Clicks {
  const sum = { right: 0, wrong: 0, both: 0 };
  for (let photons = 0; photons <= MOST_PHOTONS; photons++) {
    for (const arrival of arrivals(fibre, photons)) {
      const weight = photonProbability(photons, mean) * arrival.probability;
      const wrongShare = differ || arrival.scrambled ? 0.5 : fibre.misalignment;
      const clicks = clicksOf(receiver, { ...arrival, wrongShare });
      sum.right += weight * clicks.right;
      sum.wrong += weight * clicks.wrong;
      sum.both += weight * clicks.both;
    }
  }
  return sum;
}

export const anyClick = ({ right, wrong, both }: Clicks): number => right + wrong + both;

const chosen = (source: Source, basis: Basis): number =>
  basis === Basis.X ? source.keyBasisProbability : 1 - source.keyBasisProbability;

/** What sifting will count, per intensity, on the average. */
export interface ExpectedCounts {
  readonly key: { readonly detections: Triple; readonly errors: Triple };
  readonly check: { readonly detections: Triple; readonly errors: Triple };
}

/**
 * The counts to be expected of so many pulses. Every click, after-pulses among them, costs the dead time; an
 * after-pulse meets a pulse that it has nothing to do with, so half of them are errors.
 */
export function expectedCounts(optics: Optics, pulses: number): ExpectedCounts {
  const { receiver } = optics;
  const settings = settingsOf(optics);
  const light = settings.reduce((sum, { probability, clicks }) => sum + probability * anyClick(clicks), 0);
  // A click of light has 1/(1 - p) clicks in its train, itself among them.
  const after = (light * receiver.afterPulseProbability) / (1 - receiver.afterPulseProbability);
  const live = pulses / (1 + (light + after) * receiver.deadGates);
  const count = (basis: Basis, of: (setting: Setting) => number): Triple => {
    const ofOne = (intensity: number): number =>
      settings
        .filter((each) => each.intensity === intensity && each.sent === basis && each.measured === basis)
        .reduce((sum, each) => sum + live * each.probability * of(each), 0);
    return [ofOne(0), ofOne(1), ofOne(2)];
  };
  const both = (basis: Basis) => ({
    detections: count(basis, ({ clicks }) => anyClick(clicks) + after),
    errors: count(basis, ({ clicks }) => clicks.wrong + (clicks.both + after) / 2),
  });
  return { key: both(Basis.X), check: both(Basis.Z) };
}

/** How many pulses are to be sent for so many bits of key before correction, on the average. Infinity when none come. */
export function pulsesFor(optics: Optics, keyBits: number): number {
  const { detections } = expectedCounts(optics, 1).key;
  return Math.ceil(keyBits / (detections[0] + detections[1] + detections[2]));
}
