/** Where the records of a store outlast the process: a directory, or a database. */

import { join } from "node:path";
import { type DiskOptions, diskBackend } from "./disk.ts";
import type { Content } from "./format.ts";
import type { PostgresOptions } from "./postgres.ts";
import type { Backend } from "./records.ts";

export type Place = DiskOptions | PostgresOptions;

/** Throws as `diskBackend` and `postgresBackend` do. */
export async function openPlace(place: Place, content: Content): Promise<Backend> {
  if ("directory" in place) return diskBackend(place, content);
  // Whoever has no database need not load its driver.
  const { postgresBackend } = await import("./postgres.ts");
  return postgresBackend(place, content);
}

/** The place of one end among several in it. */
export function within(place: Place, name: string): Place {
  if ("directory" in place) return { ...place, directory: join(place.directory, name) };
  return { ...place, name: place.name === undefined ? name : `${place.name}.${name}` };
}
