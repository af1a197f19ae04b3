/** Whether a KME is well: what `/healthz` and the head of the page say. */

import type { Reason, Standing } from "./figures.ts";
import type { Watched } from "./watched.ts";

/** A link that should make key and has ended no block for so long is silent. The longest block takes 20 s of pulses. */
const SILENCE_MS = 60_000;

const PARTS: Readonly<Record<string, string>> = {
  fibre: "the fibre",
  channel: "the classical channel",
  peer: "the other KME",
};

/**
 * `failing` when a store has failed: nobody should ask here. `degraded` when keys have run out or the link makes none: no
 * other KME has them, and no restart makes some. `sinceBlockMs`: how long ago a block of the link ended.
 */
export function standingOf({ kmes, link }: Watched, sinceBlockMs: number): Standing {
  const failed: Reason[] = [];
  const short: Reason[] = [];
  for (const { id, store } of kmes) {
    // The code alone: messages name directories.
    if (store.failure !== undefined)
      failed.push({ code: "store_failed", text: `the store of ${id} fails (${store.failure.code})` });
    if (store.stored === 0) short.push({ code: "stock_empty", text: `${id} has no key in stock` });
  }
  for (const [part, isThere] of Object.entries(link?.status.connected ?? {})) {
    if (!isThere) short.push({ code: "link_apart", text: `${PARTS[part] ?? part} is not connected` });
  }
  const last = link?.status.history.at(-1);
  if (last !== undefined && last.outcome !== "key") {
    short.push({ code: "link_without_key", text: `the link makes no key (${last.outcome})` });
  }
  const isHungry = kmes.some(({ store }) => 2 * store.stored < store.maxStored);
  if (link !== undefined && isHungry && sinceBlockMs > SILENCE_MS) {
    const text = `the link has ended no block for ${Math.floor(sinceBlockMs / 1000)} s`;
    short.push({ code: "link_silent", text });
  }
  const reasons = [...failed, ...short];
  if (failed.length > 0) return { status: "failing", reasons };
  return { status: reasons.length > 0 ? "degraded" : "ok", reasons };
}
