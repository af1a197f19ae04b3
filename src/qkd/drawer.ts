import { wipe } from "../protocol/bytes.ts";
import { type Breaker, type BreakerOptions, breaker } from "./breaker.ts";
import { within } from "./deadline.ts";
import { LONGEST_MS, onlyKnown, whole } from "../protocol/options.ts";
import type { CallOptions, KeySource, QkdKey } from "./source.ts";

export interface DrawerOptions {
  /** For one draw, whatever the source's own limits are; default 5000. */
  readonly timeoutMs?: number;
  readonly breaker?: BreakerOptions;
  /** Milliseconds that never go back; for tests. */
  readonly now?: () => number;
}

/** The client's guard in front of a source. */
export interface Drawer extends KeySource {
  readonly breaker: Breaker;
}

/**
 * Draws from `source` under a time limit and a circuit breaker; the other calls pass through.
 * A key that comes too late is wiped and counted as lost. Throws UsageError for options out of range.
 */
export function drawer(source: KeySource, options: DrawerOptions = {}): Drawer {
  onlyKnown(options, ["timeoutMs", "breaker", "now"], "drawer");
  const timeoutMs = whole(options, "timeoutMs", 5000, 1, LONGEST_MS);
  const guard = breaker(options.breaker, options.now);
  let late = 0;

  async function draw(peer: string, call: CallOptions = {}): Promise<QkdKey> {
    guard.enter();
    try {
      const discard = ({ key }: QkdKey): void => {
        wipe(key);
        late++;
      };
      const ask = (signal: AbortSignal): Promise<QkdKey> => source.draw(peer, { ...call, signal });
      const key = await within(timeoutMs, ask, discard, call.signal);
      guard.done();
      return key;
    } catch (error) {
      if (call.signal?.aborted === true) guard.abandon();
      else guard.done(error);
      throw error;
    }
  }

  return {
    kind: source.kind,
    sae: source.sae,
    breaker: guard,
    get simulated() {
      return source.simulated;
    },
    get counters() {
      const counted = source.counters;
      return { ...counted, drawn: counted.drawn - late, lost: counted.lost + late };
    },
    draw,
    redeem: (peer, id, call) => source.redeem(peer, id, call),
    status: (peer, call) => source.status(peer, call),
    close: () => source.close(),
  };
}
