import { onlyKnown, real, whole } from "../protocol/options.ts";

/** Two single-photon detectors behind a basis choice: all numbers are of one detector and one gate (one pulse). */
export interface Receiver {
  /** Loss of the receiver's optics, in dB. */
  readonly lossDb: number;
  /** How often a photon that reaches a detector makes it click. */
  readonly efficiency: number;
  /** How often a detector clicks in a gate without light. */
  readonly darkCountProbability: number;
  /** How often a click is followed by another one of the same detector that no light caused. */
  readonly afterPulseProbability: number;
  /** After how many gates on the average, dead time not counted. */
  readonly afterPulseGates: number;
  /** For how many gates after a click neither detector can click. */
  readonly deadGates: number;
}

const KNOWN = [
  "lossDb",
  "efficiency",
  "darkCountProbability",
  "afterPulseProbability",
  "afterPulseGates",
  "deadGates",
];

/** The receiver, checked. Throws a UsageError that names the option out of range. */
export function checkedReceiver(receiver: Receiver): Receiver {
  onlyKnown(receiver, KNOWN, "a receiver");
  return {
    lossDb: real(receiver, "lossDb", { min: 0, max: 60 }),
    efficiency: real(receiver, "efficiency", { min: 0, max: 1 }),
    darkCountProbability: real(receiver, "darkCountProbability", { min: 0, max: 0.1 }),
    afterPulseProbability: real(receiver, "afterPulseProbability", { min: 0, max: 0.5 }),
    afterPulseGates: real(receiver, "afterPulseGates", { min: 1, max: 1e6 }),
    deadGates: whole(receiver, "deadGates", 0, 0, 1e8),
  };
}

/** How often a pulse makes the right detector click alone, the wrong one alone, or both. */
export interface Clicks {
  readonly right: number;
  readonly wrong: number;
  readonly both: number;
}

/**
 * What so many photons do, each of which arrives with `transmittance` (fibre only) and, when it does, takes the
 * path to the wrong detector with `wrongShare`: 1/2 where the bases differ. Summed over the photons of a coherent
 * pulse this is D = 1 - (1 - p_dc)^2 exp(-eta k), as in Lim 2014.
 */
export function clicksOf(
  receiver: Receiver,
  light: { readonly photons: number; readonly transmittance: number; readonly wrongShare: number },
): Clicks {
  const arrive = light.transmittance * 10 ** (-receiver.lossDb / 10) * receiver.efficiency;
  const dark = 1 - receiver.darkCountProbability;
  const quietRight = dark * (1 - arrive * (1 - light.wrongShare)) ** light.photons;
  const quietWrong = dark * (1 - arrive * light.wrongShare) ** light.photons;
  const quiet = dark * dark * (1 - arrive) ** light.photons;
  return { right: quietWrong - quiet, wrong: quietRight - quiet, both: 1 - quietRight - quietWrong + quiet };
}
