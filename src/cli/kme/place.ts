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
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(store);
  if (isUrl && !/^postgres(?:ql)?:/.test(store)) {
    const text = "--store must be a directory, or postgres://user@host/database";
    throw new UsageError("ERR_OPTION_INVALID", text, { option: "--store" });
  }
  const key = storeKey(file === undefined ? {} : { file });
  return isUrl ? { url: store, key } : { directory: store, key };
}
