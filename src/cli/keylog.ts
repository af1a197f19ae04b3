/** A key log for Wireshark. RFC 9850. */
import { closeSync, fchmodSync, openSync, writeSync } from "node:fs";
import type { EventEmitter } from "node:events";
import { unreadable } from "./value.ts";

/** Appends the `keylog` lines of sockets or servers to a file that its owner alone may read; `close` ends it. */
export function keyLogFile(path: string): { watch(emitter: EventEmitter): void; close(): void } {
  let file: number;
  try {
    file = openSync(path, "a", 0o600);
    fchmodSync(file, 0o600);
  } catch (cause) {
    throw unreadable("--keylog", path, cause);
  }
  let open = true;
  return {
    watch(emitter) {
      emitter.on("keylog", (line: Buffer) => {
        if (open) writeSync(file, line);
      });
    },
    close() {
      if (open) closeSync(file);
      open = false;
    },
  };
}
