import { InvalidArgumentError } from "commander";

/** The length of a fibre. Throws InvalidArgumentError. */
export function kilometres(text: string): number {
  const km = Number(text);
  if (text.trim() === "" || !(km >= 0 && km <= 1000)) {
    throw new InvalidArgumentError("It must be a number from 0 to 1000.");
  }
  return km;
}
