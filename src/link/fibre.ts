import { UsageError } from "../protocol/errors.ts";
import { flag, isObject, onlyKnown, real } from "../protocol/options.ts";

/** The quantum channel: what lies between the two sites, and therefore where an adversary sits. */
export interface Fibre {
  /** In km. */
  readonly lengthKm: number;
  /** Loss in dB a km; 0.2 for standard fibre at 1550 nm. */
  readonly lossDbPerKm: number;
  /** How often a photon that arrives goes to the wrong detector although the bases agree. */
  readonly misalignment: number;
  readonly adversary?: Adversary;
}

/** What may be done to a fibre that lies already. */
export interface FibreChange {
  readonly lengthKm?: number | undefined;
  readonly adversary?: Adversary | undefined;
}

/** What somebody does to the fibre. Neither party is told; the statistics have to give it away. */
export interface Adversary {
  /**
   * Share of pulses that are measured in a basis chosen evenly and sent on with as many photons as were found, in
   * the state that was found. Where Alice's and Bob's bases agree each of these gives an error rate of a half when
   * the adversary's differs: (1/4 + misalignment/2) in all.
   */
  readonly interceptShare?: number;
  /** Photon-number splitting (Brassard et al. 2000), of the pulses that are not intercepted. */
  readonly photonNumberSplitting?: PhotonNumberSplitting;
  /** A bend, a tap or a bad splice: loss in dB on top of the fibre's. */
  readonly addedLossDb?: number;
  /** Nothing arrives any more. */
  readonly cut?: boolean;
}

/** One photon of every pulse of two or more is kept until the bases are public, and then measured without error. */
export interface PhotonNumberSplitting {
  /** Share of single-photon pulses that are stopped, since nothing is learnt from them. */
  readonly blockedSingles: number;
  /** Share of pulses of two and more photons that are stopped too, so that the rate does not rise. */
  readonly blockedMultiples?: number;
  /** Whether the rest of a split pulse goes over a line without loss, which hides what was taken. */
  readonly losslessLine?: boolean;
}

/** One thing that can become of a pulse on its way. */
export interface Arrival {
  /** How often it does. */
  readonly probability: number;
  readonly photons: number;
  /** For each photon, the receiver's own losses not counted. */
  readonly transmittance: number;
  /** Whether the state has nothing to do with what was sent any more. */
  readonly scrambled: boolean;
}

const KNOWN = ["lengthKm", "lossDbPerKm", "misalignment", "adversary"];
const KNOWN_ADVERSARY = ["interceptShare", "photonNumberSplitting", "addedLossDb", "cut"];
const KNOWN_SPLITTING = ["blockedSingles", "blockedMultiples", "losslessLine"];

/** The fibre, checked. Throws a UsageError that names the option out of range. */
export function checkedFibre(fibre: Fibre): Fibre {
  onlyKnown(fibre, KNOWN, "a fibre");
  return {
    lengthKm: real(fibre, "lengthKm", { min: 0, max: 1000 }),
    lossDbPerKm: real(fibre, "lossDbPerKm", { min: 0, max: 10 }),
    misalignment: real(fibre, "misalignment", { min: 0, max: 0.5 }),
    adversary: checkedAdversary(fibre.adversary ?? {}),
  };
}

function checkedAdversary(adversary: Adversary): Adversary {
  onlyKnown(object(adversary, "adversary"), KNOWN_ADVERSARY, "an adversary");
  const { photonNumberSplitting: splitting } = adversary;
  return {
    interceptShare: real(adversary, "interceptShare", { fallback: 0, min: 0, max: 1 }),
    ...(splitting === undefined ? {} : { photonNumberSplitting: checkedSplitting(splitting) }),
    addedLossDb: real(adversary, "addedLossDb", { fallback: 0, min: 0, max: 200 }),
    cut: flag(adversary, "cut", false),
  };
}

function checkedSplitting(splitting: PhotonNumberSplitting): PhotonNumberSplitting {
  onlyKnown(object(splitting, "photonNumberSplitting"), KNOWN_SPLITTING, "photon-number splitting");
  return {
    blockedSingles: real(splitting, "blockedSingles", { min: 0, max: 1 }),
    blockedMultiples: real(splitting, "blockedMultiples", { fallback: 0, min: 0, max: 1 }),
    losslessLine: flag(splitting, "losslessLine", true),
  };
}

/** What can become of a pulse that left with so many photons; the probabilities add up to 1. */
export function arrivals(fibre: Fibre, photons: number): readonly Arrival[] {
  const { adversary = {}, lengthKm, lossDbPerKm } = fibre;
  const { interceptShare = 0, photonNumberSplitting: splitting, addedLossDb = 0, cut = false } = adversary;
  const transmittance = 10 ** (-(lengthKm * lossDbPerKm + addedLossDb) / 10);
  const untouched = { probability: 1, photons, transmittance, scrambled: false };
  const stopped = { ...untouched, photons: 0 };
  if (cut || photons === 0) return [stopped];

  const out: Arrival[] = [];
  const add = (probability: number, arrival: Arrival): void => {
    if (probability > 0) out.push({ ...arrival, probability });
  };
  add(interceptShare / 2, untouched);
  add(interceptShare / 2, { ...untouched, scrambled: true });
  const rest = 1 - interceptShare;
  if (splitting === undefined) {
    add(rest, untouched);
    return out;
  }
  const { blockedSingles, blockedMultiples = 0, losslessLine = true } = splitting;
  const blocked = photons === 1 ? blockedSingles : blockedMultiples;
  const line = losslessLine ? 1 : transmittance;
  add(rest * blocked, stopped);
  add(
    rest * (1 - blocked),
    photons === 1 ? untouched : { ...untouched, photons: photons - 1, transmittance: line },
  );
  return out;
}

function object(value: unknown, option: string): object {
  if (isObject(value)) return value;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be an object`, { option });
}
