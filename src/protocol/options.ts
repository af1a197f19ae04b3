import { UsageError } from "../protocol/errors.ts";

/** Refuses option names that nobody reads, so that a typo cannot weaken a call. Throws ERR_OPTION_UNKNOWN. */
export function onlyKnown(options: object, known: readonly string[], where: string): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new UsageError("ERR_OPTION_UNKNOWN", `${where} has no option ${option}`, { option });
  }
}

/** A whole number within bounds, or its default. Throws ERR_OPTION_INVALID. */
export function whole(
  options: object,
  option: string,
  fallback: number,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const value: unknown = Reflect.get(options, option) ?? fallback;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be a whole number ${range}`, { option });
}

/** The longest time that a timer of this platform can wait. */
export const LONGEST_MS = 2 ** 31 - 1;
