/** What a page looks at, as the test says it is. */
import { Deliveries } from "../../../src/kme/deliveries.ts";
import type { Watched } from "../../../src/kme/page/watched.ts";
import { NOTHING, type Tally } from "../../../src/kme/records.ts";
import type { KeyStore } from "../../../src/kme/store.ts";
import type { BlockOutcome, BlockRecord } from "../../../src/link/block.ts";
import { StoreError } from "../../../src/protocol/errors.ts";

export const account = {
  bootstrapBits: 100,
  earnedBits: 50,
  spentBits: 30,
  droppedBits: 20,
  reserveBits: 100,
};

/** A record of the link's history. */
export function record(
  block: number,
  outcome: BlockOutcome = "key",
  check: number | undefined = 0.02,
): BlockRecord {
  return {
    simulated: true,
    block,
    outcome,
    pulses: 1e6,
    detections: 1000,
    siftedBits: 900,
    qber: check === undefined ? undefined : { check, key: check },
    qberThreshold: 0.05,
    leakedBits: 200,
    secretBits: outcome === "key" ? 3000 : 0,
    authentication: { spentBits: 40, earnedBits: outcome === "key" ? 1000 : 0 },
  };
}

/** Two KMEs and their link, each part of which the test may change. */
export function bed() {
  const history: BlockRecord[] = [];
  const stock = { a: 10, b: 20, incoming: 7 };
  const counters: { a: Tally; b: Tally } = {
    a: { ...NOTHING, made: 100, delivered: 40, expired: 3, wasted: 2, lost: 1 },
    b: { ...NOTHING, made: 90 },
  };
  const failures: { a?: StoreError; b?: StoreError } = {};
  const deliveries = { a: new Deliveries(), b: new Deliveries() };
  const store = (name: "a" | "b"): KeyStore => {
    const shown: Partial<KeyStore> = {
      simulated: true,
      blockBytes: 32,
      maxStored: 50,
      get stored() {
        return stock[name];
      },
      get storedIncoming() {
        return stock.incoming;
      },
      get failure() {
        return failures[name];
      },
      get counters() {
        return counters[name];
      },
    };
    return shown as KeyStore; // the page calls none of its methods
  };
  const status: NonNullable<Watched["link"]>["status"] = {
    simulated: true,
    preset: "metro-10km",
    fibre: { lengthKm: 10, lossDbPerKm: 0.2, misalignment: 0.01 },
    qberThreshold: 0.05,
    get history() {
      return [...history];
    },
    authentication: { send: account, receive: { ...account, reserveBits: 90 } },
    sessions: { opened: 2, lastStop: "ERR_LINK_AUTHENTICATION" },
  };
  const watched = {
    kmes: [
      { id: "kme-a", peer: "kme-b", saes: ["sae-a"], store: store("a"), deliveries: deliveries.a },
      { id: "kme-b", peer: "kme-a", saes: ["sae-b"], store: store("b"), deliveries: deliveries.b },
    ] as const,
    // Nobody is asked to lay anything here.
    link: { status, lay: (): void => undefined },
  };
  return { watched, history, stock, counters, failures, deliveries };
}

export const failed = (): StoreError =>
  new StoreError("ERR_STORE_UNWRITABLE", "the store /secret/place cannot be written");
