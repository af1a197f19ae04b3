/** What a simulated link draws from: the machine, or a seed where anybody may know what comes of it. */

import { nodeProvider } from "../crypto/node.ts";
import { repeatableRandom } from "../crypto/repeatable.ts";
import type { RandomBytes } from "../link/random.ts";
import { UsageError } from "../protocol/errors.ts";
import { flag } from "../protocol/options.ts";

export interface SeedOptions {
  /** The same again under the same seed; anybody who knows it knows what comes of it. */
  readonly seed?: string;
  /** Refuses a seed. Default: whether NODE_ENV is `production`. */
  readonly production?: boolean;
}

/** A source for each use. Throws UsageError for a seed in production. */
export function linkRandom(options: SeedOptions): (use: string) => RandomBytes {
  const { seed } = options;
  const isProduction = flag(options, "production", process.env["NODE_ENV"] === "production");
  if (seed === undefined) {
    const provider = nodeProvider();
    return () => (length) => provider.random(length);
  }
  if (!isProduction) return (use) => repeatableRandom(`${use}: ${seed}`);
  const text = "what a seeded link makes can be repeated by anybody";
  throw new UsageError("ERR_OPTION_INVALID", text, { option: "seed" });
}
