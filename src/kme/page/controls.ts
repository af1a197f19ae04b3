/** The controls of the simulated fibre, as the page sends them. */

import type { Adversary } from "../../link/fibre.ts";
import { UsageError } from "../../protocol/errors.ts";
import { flag, isObject, onlyKnown, real } from "../../protocol/options.ts";

const KNOWN = ["lengthKm", "interceptShare", "splitShare", "addedLossDb", "cut"];

/** What to lay: every control at once. Throws UsageError, whose `option` names the control that is out of range. */
export function fibreChange(body: unknown): { readonly lengthKm: number; readonly adversary: Adversary } {
  if (!isObject(body) || Array.isArray(body)) {
    throw new UsageError("ERR_OPTION_INVALID", "the controls must be an object");
  }
  onlyKnown(body, KNOWN, "the fibre");
  for (const option of KNOWN) {
    // A control that is left out would silently end what the others began.
    if (!Object.hasOwn(body, option))
      throw new UsageError("ERR_OPTION_MISSING", `${option} is missing`, { option });
  }
  const splitShare = real(body, "splitShare", { min: 0, max: 1 });
  return {
    lengthKm: real(body, "lengthKm", { min: 0, max: 1000 }),
    adversary: {
      interceptShare: real(body, "interceptShare", { min: 0, max: 1 }),
      ...(splitShare > 0 && { photonNumberSplitting: { blockedSingles: splitShare } }),
      addedLossDb: real(body, "addedLossDb", { min: 0, max: 200 }),
      cut: flag(body, "cut", false),
    },
  };
}
