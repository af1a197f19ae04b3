import { InvalidArgumentError } from "commander";
import type { Adversary } from "../link/fibre.ts";

const FORMS = "It must be intercept=0.2, split=0.5, loss=3 or cut, or several of them with commas between.";

/** Who sits in the fibre, as told on the command line. Throws an InvalidArgumentError. */
export function eavesdropper(text: string): Adversary {
  const words = text.split(",");
  const names = words.map((word) => word.split("=", 1)[0]);
  if (new Set(names).size !== names.length) throw new InvalidArgumentError(FORMS);
  return Object.assign({}, ...words.map(deed));
}

function deed(word: string): Adversary {
  const { name, value } = /^(?<name>[a-z]+)(?:=(?<value>\d{1,3}(?:\.\d+)?))?$/.exec(word)?.groups ?? {};
  const figure = Number(value);
  if (name === "cut" && value === undefined) return { cut: true };
  if (name === "intercept" && figure <= 1) return { interceptShare: figure };
  if (name === "split" && figure <= 1) return { photonNumberSplitting: { blockedSingles: figure } };
  if (name === "loss" && figure <= 200) return { addedLossDb: figure };
  throw new InvalidArgumentError(FORMS);
}

/** The same the other way round: what is told on the command line for this adversary. */
export function eavesdropperText({
  interceptShare = 0,
  photonNumberSplitting,
  addedLossDb = 0,
  cut = false,
}: Adversary): string {
  const deeds = [
    interceptShare > 0 && `intercept=${interceptShare}`,
    photonNumberSplitting !== undefined && `split=${photonNumberSplitting.blockedSingles}`,
    addedLossDb > 0 && `loss=${addedLossDb}`,
    cut && "cut",
  ];
  return deeds.filter((deed) => deed !== false).join(",");
}
