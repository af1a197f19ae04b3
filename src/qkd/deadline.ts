import { KeySourceError } from "../protocol/errors.ts";

/**
 * Runs a call under a time limit that holds even when the call ignores its signal.
 * A result that comes too late goes to `late`. Throws ERR_QKD_TIMEOUT.
 */
export async function within<T>(
  timeoutMs: number,
  call: (signal: AbortSignal) => Promise<T>,
  late: (result: T) => void,
  outer?: AbortSignal,
): Promise<T> {
  if (outer?.aborted === true) throw givenUp(outer);
  const controller = new AbortController();
  let over = false;
  let stop: (error: KeySourceError) => void = () => undefined;
  const limit = new Promise<never>((_, reject) => {
    stop = (error) => {
      over = true;
      reject(error);
      controller.abort(error);
    };
  });
  const timer = setTimeout(() => {
    stop(new KeySourceError("ERR_QKD_TIMEOUT", `the key source did not answer within ${timeoutMs} ms`));
  }, timeoutMs);
  const abort = (): void => stop(givenUp(outer));
  outer?.addEventListener("abort", abort);
  const run = async (): Promise<T> => {
    const value = await call(controller.signal);
    if (over) late(value);
    return value;
  };
  try {
    return await Promise.race([run(), limit]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", abort);
  }
}

function givenUp(signal: AbortSignal | undefined): KeySourceError {
  return new KeySourceError("ERR_QKD_TIMEOUT", "the call was given up by its caller", {
    cause: signal?.reason,
  });
}
