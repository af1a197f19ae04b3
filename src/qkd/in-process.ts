/** A KME in the same process as its SAE: the smallest secure site. No socket, no TLS, the same API. */

import { KeySourceError } from "../protocol/errors.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import { type Etsi014, etsi014Over } from "./etsi014.ts";
import { type Call, failed, givenUp, type Line, type Outcome, shut } from "./exchange.ts";
import { ownSae } from "./names.ts";

/** What answers by ETSI GS QKD 014, without the network: a KME's API. */
export interface KeyDelivery {
  answer(request: {
    /** The SAE ID of the caller. Whoever holds this object may name any: in one process nobody has to prove it. */
    readonly caller: string;
    readonly method: string;
    readonly target: string;
    readonly body: Uint8Array;
  }): Promise<{ readonly status: number; readonly body: object }>;
}

export interface InProcessOptions {
  readonly kme: KeyDelivery;
  /** Our own SAE ID. */
  readonly sae: string;
  /** Key length when a call names none; default 32. */
  readonly keyBytes?: number;
  /** For one call; default 5000. */
  readonly timeoutMs?: number;
}

/** A key source on a KME in this process. Throws UsageError naming the option at fault. */
export function inProcess(options: InProcessOptions): Etsi014 {
  onlyKnown(options, ["kme", "sae", "keyBytes", "timeoutMs"], "inProcess");
  const sae = ownSae(options.sae);
  return etsi014Over({
    kind: "in-process",
    sae,
    method: "POST",
    timeoutMs: whole(options, "timeoutMs", 5000, 1, LONGEST_MS),
    keyBytes: whole(options, "keyBytes", 32, 16, 8192),
    prefix: "",
    line: directLine(options.kme, sae),
  });
}

function directLine(kme: KeyDelivery, caller: string): Line {
  const open = new Set<(error: KeySourceError) => void>();
  let isClosed = false;
  return {
    host: "in this process",
    exchange(call) {
      if (isClosed) return Promise.resolve(failed(shut(), false));
      if (call.signal?.aborted === true) return Promise.resolve(failed(givenUp(call.signal), false));
      return ask(kme, caller, call, open);
    },
    close() {
      isClosed = true;
      for (const stop of open) stop(shut());
    },
  };
}

function ask(
  kme: KeyDelivery,
  caller: string,
  call: Call,
  open: Set<(error: KeySourceError) => void>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", abort);
      open.delete(stop);
      resolve(outcome);
    };
    // Whatever is asked for may be given out, though nobody waits for it any more.
    const stop = (error: KeySourceError): void => settle(failed(error, true));
    const abort = (): void => stop(givenUp(call.signal));
    const timer = setTimeout(() => {
      stop(new KeySourceError("ERR_QKD_TIMEOUT", `the KME did not answer within ${call.timeoutMs} ms`));
    }, call.timeoutMs);
    open.add(stop);
    call.signal?.addEventListener("abort", abort);
    const { method, path: target, body = "" } = call;
    kme.answer({ caller, method, target, body: Buffer.from(body) }).then(
      ({ status, body }) => settle({ ok: true, status, body: Buffer.from(JSON.stringify(body)) }),
      (cause: unknown) => {
        const text = "the KME in this process failed";
        stop(new KeySourceError("ERR_QKD_UNREACHABLE", text, { cause }));
      },
    );
  });
}
