/** The figures of a moment, out of what is watched. */

import type { Adversary } from "../../link/fibre.ts";
import type {
  BlockFigures,
  DeliveryRow,
  FibreFigures,
  Figures,
  KmeFigures,
  LinkFigures,
  Sample,
  StockFigures,
} from "./figures.ts";
import { standingOf } from "./health.ts";
import type { Watched, WatchedKme, WatchedLink } from "./watched.ts";

/** What has to be remembered. */
export interface Remembered {
  readonly at: number;
  readonly sinceBlockMs: number;
  readonly keyBitsPerSecond: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly blocks: readonly BlockFigures[];
  readonly samples: readonly Sample[];
  readonly hasControls: boolean;
}

/** Names SAEs and KMEs, and neither keys nor key_IDs. */
export function viewOf(watched: Watched, remembered: Remembered): Figures {
  const { kmes, link } = watched;
  const { at, sinceBlockMs, blocks, samples } = remembered;
  return {
    at,
    simulated: link?.status.simulated === true || kmes.some(({ store }) => store.simulated),
    standing: standingOf(watched, sinceBlockMs),
    ...(link && { link: linkFigures(link, remembered) }),
    kmes: kmes.map(kmeFigures),
    stock: stockOf(watched),
    deliveries: deliveryRows(kmes),
    blocks,
    samples,
  };
}

/** The stock in both directions: of two KMEs what each may issue from; of one also what the other end may. */
export function stockOf({ kmes }: Watched): StockFigures[] {
  return kmes.flatMap(({ id, peer, store }) => {
    const { stored, storedIncoming, maxStored: maxBlocks, blockBytes } = store;
    const out = { label: `${id} → ${peer}`, blocks: stored, maxBlocks, blockBytes };
    if (kmes.length > 1) return [out];
    if (id === peer) return [{ ...out, label: id }];
    return [out, { ...out, label: `${peer} → ${id}`, blocks: storedIncoming }];
  });
}

function linkFigures({ status, lay }: WatchedLink, remembered: Remembered): LinkFigures {
  const { preset, fibre, qberThreshold, authentication, sessions } = status;
  const { keyBitsPerSecond, outcomes, hasControls } = remembered;
  return {
    ...(preset !== undefined && { preset }),
    ...(fibre && { lengthKm: fibre.lengthKm }),
    ...(fibre && lay && { fibre: fibreFigures(fibre.lengthKm, fibre.adversary) }),
    hasControls,
    qberThreshold,
    keyBitsPerSecond,
    authentication,
    sessions: {
      opened: sessions.opened,
      ...(sessions.lastStop !== undefined && { lastStop: sessions.lastStop }),
    },
    outcomes: [...outcomes].map(([outcome, count]) => ({ outcome, count })),
  };
}

function fibreFigures(lengthKm: number, adversary: Adversary = {}): FibreFigures {
  const { interceptShare = 0, photonNumberSplitting, addedLossDb = 0, cut = false } = adversary;
  return {
    lengthKm,
    interceptShare,
    splitShare: photonNumberSplitting?.blockedSingles ?? 0,
    addedLossDb,
    cut,
  };
}

function kmeFigures({ id, saes, store, deliveries }: WatchedKme): KmeFigures {
  const refused = [...deliveries.refused].map(([status, count]) => ({ status, count }));
  return { id, saes, counters: { ...store.counters }, refused };
}

/** One row for a pair of SAEs, whichever KMEs served them. */
function deliveryRows(kmes: readonly WatchedKme[]): DeliveryRow[] {
  const rows = new Map<string, DeliveryRow>();
  for (const { verb, master, slave, keys } of kmes.flatMap(({ deliveries }) => deliveries.delivered)) {
    const pair = JSON.stringify([master, slave]);
    const { drawn, redeemed } = rows.get(pair) ?? { drawn: 0, redeemed: 0 };
    const isDrawn = verb === "enc_keys";
    rows.set(pair, {
      master,
      slave,
      drawn: drawn + (isDrawn ? keys : 0),
      redeemed: redeemed + (isDrawn ? 0 : keys),
    });
  }
  return [...rows.values()];
}
