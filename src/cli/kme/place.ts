/** `--store` and its key. */

import type { Place } from "../../kme/place.ts";
import { storeKey } from "../../kme/store-key.ts";
import { UsageError } from "../../protocol/errors.ts";

export interface PlaceFlags {
  readonly store?: string;
  readonly storeKeyFile?: string;
}

/** Where the keys lie when they shall outlast the process. Throws UsageError; the caller wipes the key. */
export function placeOf({ store, storeKeyFile: file }: PlaceFlags): Place | undefined {
  if (store === undefined) {
    if (file === undefined) return undefined;
    const option = "--store";
    throw new UsageError("ERR_OPTION_MISSING", "--store-key-file needs --store", { option });
  }
  const key = storeKey(file === undefined ? {} : { file });
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(store) ? { url: store, key } : { directory: store, key };
}
