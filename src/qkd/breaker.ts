import type { KeySourceErrorCode } from "../protocol/errors.ts";
import { KeySourceError } from "../protocol/errors.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";

export interface BreakerOptions {
  /** Failures in a row that open it; default 5. */
  readonly failures?: number;
  /** How long it stays open before one trial; default 5000. */
  readonly coolDownMs?: number;
}

/** Stops asking a source that keeps failing, so that its time limit is not paid for every connection. */
export interface Breaker {
  readonly open: boolean;
  /** Lets one call begin, or throws the last failure again, still fatal if it was. One of the others ends it. */
  enter(): void;
  /** The call ended, well or with this error. */
  done(error?: unknown): void;
  /** The call was given up before it told anything about the source. */
  abandon(): void;
}

/** The faults of the source itself. What a peer can provoke (an unknown key, a refusal) must never open the breaker. */
const SOURCE_FAULTS: ReadonlySet<KeySourceErrorCode> = new Set<KeySourceErrorCode>([
  "ERR_QKD_UNREACHABLE",
  "ERR_QKD_TIMEOUT",
  "ERR_QKD_MALFORMED",
  "ERR_QKD_UNTRUSTED",
]);

/** A circuit breaker over `now()` in milliseconds. Throws UsageError for options out of range. */
export function breaker(options: BreakerOptions = {}, now: () => number = () => performance.now()): Breaker {
  onlyKnown(options, ["failures", "coolDownMs"], "breaker");
  const limit = whole(options, "failures", 5, 1);
  const coolDownMs = whole(options, "coolDownMs", 5000, 0, LONGEST_MS);
  let inARow = 0;
  let openedAt = 0;
  let last: KeySourceError | undefined;
  let trying = false;

  const isOpen = (): boolean => inARow >= limit;
  return {
    get open() {
      return isOpen();
    },
    enter() {
      if (!isOpen()) return;
      if (!trying && now() - openedAt >= coolDownMs) {
        trying = true;
        return;
      }
      throw again(inARow, last);
    },
    abandon() {
      trying = false;
    },
    done(error) {
      trying = false;
      if (!(error instanceof KeySourceError) || !SOURCE_FAULTS.has(error.code)) {
        inARow = 0;
        return;
      }
      inARow++;
      last = error;
      if (isOpen()) openedAt = now();
    },
  };
}

function again(inARow: number, last: KeySourceError | undefined): KeySourceError {
  const text = `the key source was not asked after ${inARow} failures in a row: ${last?.message ?? "unknown"}`;
  const { code = "ERR_QKD_UNREACHABLE", fatal = false } = last ?? {};
  return new KeySourceError(code, text, { cause: last, fatal });
}
