import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";

const HIDDEN = "[secret]";

/** Bytes that will not print and can be wiped. Takes over `bytes`: the caller keeps no copy. */
export class Secret {
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The bytes themselves, not a copy. Throws a UsageError (ERR_STATE) once they are wiped. */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw new UsageError("ERR_STATE", "the secret was wiped");
    return this.#bytes;
  }

  get wiped(): boolean {
    return this.#bytes === undefined;
  }

  /** Overwrites the bytes; may be called again. */
  wipe(): void {
    wipe(this.#bytes);
    this.#bytes = undefined;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}
