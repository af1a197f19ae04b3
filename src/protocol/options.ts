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

/** A number within bounds, or its default; without one it has to be there. Throws ERR_OPTION_INVALID. */
export function real(
  options: object,
  option: string,
  { fallback, min, max }: { readonly fallback?: number; readonly min: number; readonly max: number },
): number {
  const value: unknown = Reflect.get(options, option) ?? fallback;
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be a number from ${min} to ${max}`, { option });
}

/** The longest time that a timer of this platform can wait. */
export const LONGEST_MS = 2 ** 31 - 1;

/** Yes or no, or its default. Throws ERR_OPTION_INVALID. */
export function flag(options: object, option: string, fallback: boolean): boolean {
  const value: unknown = Reflect.get(options, option) ?? fallback;
  if (typeof value === "boolean") return value;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be true or false`, { option });
}

/** One of a few words, or its default. Throws ERR_OPTION_INVALID. */
export function oneOf<T extends string>(
  options: object,
  option: string,
  words: readonly T[],
  fallback: T,
): T {
  const value: unknown = Reflect.get(options, option) ?? fallback;
  const word = words.find((each) => each === value);
  if (word !== undefined) return word;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be one of ${words.join(", ")}`, { option });
}

/** A list whose every member fits, or none. Throws ERR_OPTION_INVALID. */
export function list<T>(
  options: object,
  option: string,
  what: string,
  fits: (member: unknown) => member is T,
): readonly T[] {
  const value: unknown = Reflect.get(options, option) ?? [];
  if (Array.isArray(value) && value.every(fits)) return value;
  throw new UsageError("ERR_OPTION_INVALID", `${option} must be a list of ${what}`, { option });
}

export const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;
export const isText = (value: unknown): value is string => typeof value === "string";
export const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
