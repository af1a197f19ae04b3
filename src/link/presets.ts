import { oneOf } from "../protocol/options.ts";
import type { Optics } from "./clicks.ts";
import type { Receiver } from "./receiver.ts";
import type { Source, Triple } from "./source.ts";

/** A link that could be bought or was built, ready for a QuantumChannel. */
export interface Preset {
  readonly name: PresetName;
  readonly optics: Optics;
  /** Pulses of a block: about 10^6 bits of key before correction. */
  readonly blockPulses: number;
  /** Where the parameters come from. */
  readonly origin: string;
  /** What an experiment over such a link gave. */
  readonly published: { readonly bitsPerSecond: number; readonly experiment: string };
}

export const PRESET_NAMES = ["metro-10km", "regional-50km", "long-100km"] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** Standard fibre at 1550 nm. */
const LOSS_DB_PER_KM = 0.2;

const source = (
  intensities: Triple,
  intensityProbabilities: Triple,
  keyBasisProbability: number,
): Source => ({
  clockHz: 1e9,
  intensities,
  intensityProbabilities,
  keyBasisProbability,
});

/** Self-differencing InGaAs photodiodes gated at 1 GHz: no dead time but the gates in which an avalanche ends. */
const gigahertz = (receiver: Partial<Receiver>): Receiver => ({
  lossDb: 2,
  efficiency: 0.2,
  darkCountProbability: 5e-6,
  afterPulseProbability: 0.02,
  afterPulseGates: 50,
  deadGates: 2,
  ...receiver,
});

const CHOICES =
  "intensities, their shares and the share of X: those that give most key of a block of 10^6 bits under the proof " +
  "of arXiv 2405.16578v3, found by search; ";

const PRESETS: Readonly<Record<PresetName, Omit<Preset, "name">>> = {
  "metro-10km": {
    optics: {
      source: source([0.44, 0.197, 0.001], [0.36, 0.46, 0.18], 0.81),
      fibre: { lengthKm: 10, lossDbPerKm: LOSS_DB_PER_KM, misalignment: 0.01 },
      receiver: gigahertz({ efficiency: 0.3 }),
    },
    blockPulses: 65_000_000,
    origin: `${CHOICES}1 GHz clock and self-differencing InGaAs photodiodes as in arXiv 1807.04484`,
    published: {
      bitsPerSecond: 13.72e6,
      experiment: "over 2 dB, blocks of 10^8 bits, 4.4 days (arXiv 1807.04484)",
    },
  },
  "regional-50km": {
    optics: {
      source: source([0.457, 0.228, 0.001], [0.29, 0.495, 0.215], 0.79),
      fibre: { lengthKm: 50, lossDbPerKm: LOSS_DB_PER_KM, misalignment: 0.01 },
      receiver: gigahertz({}),
    },
    blockPulses: 560_000_000,
    origin: `${CHOICES}1 GHz clock and self-differencing InGaAs photodiodes as in arXiv 1310.0240`,
    published: {
      bitsPerSecond: 300e3,
      experiment: "over 45 km of installed fibre, 34 days (Opt. Express 23, 7583)",
    },
  },
  "long-100km": {
    optics: {
      source: source([0.42, 0.2, 0.001], [0.2, 0.56, 0.24], 0.75),
      fibre: { lengthKm: 100, lossDbPerKm: LOSS_DB_PER_KM, misalignment: 0.005 },
      receiver: gigahertz({
        lossDb: 1,
        efficiency: 0.1,
        darkCountProbability: 6e-7,
        afterPulseProbability: 0.04,
      }),
    },
    blockPulses: 11_500_000_000,
    origin: `${CHOICES}detectors and misalignment as in Lim 2014 (PRA 89, 022307), after-pulses included`,
    published: {
      bitsPerSecond: 2.88e3,
      experiment: "over 101 km at a gigahertz clock (Appl. Phys. Lett. 92, 201104, 2008)",
    },
  },
};

/** The preset of this name. Throws a UsageError for another one. */
export function preset(name: PresetName): Preset {
  const known = oneOf({ preset: name }, "preset", PRESET_NAMES, PRESET_NAMES[0]);
  return { name: known, ...PRESETS[known] };
}
