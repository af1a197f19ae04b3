/** What every lasting store writes down about itself, wherever its records lie. */

import { fromUtf8 } from "../protocol/bytes.ts";
import { NOTHING, type Tally } from "./records.ts";

/** The layout of what is written. */
export const VERSION = 1;

/** What the blocks of a store are; it never changes. */
export interface Content {
  readonly blockBytes: number;
  readonly simulated: boolean;
}

/** The words that show, under the store's key, that a store is what it says. */
export const wordsOf = (store: string, { blockBytes, simulated }: Content): string =>
  `${VERSION} ${store} ${blockBytes} ${simulated}`;

export const kindOf = ({ blockBytes, simulated }: Content): string =>
  `${simulated ? "simulated" : "real"} blocks of ${blockBytes} bytes`;

export function jsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>; // a JSON object is exactly that
  } catch {
    return undefined;
  }
}

export function isTally(value: unknown): value is Tally {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(NOTHING).every((name) => Number.isSafeInteger(Reflect.get(value, name)));
}
