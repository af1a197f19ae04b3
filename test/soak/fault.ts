import type { QkdOptions } from "../../src/index.ts";
import type { Served } from "./ends.ts";

/** What a fault has to work with: a server that everybody shares, and the KMEs. */
export interface Bed {
  /** Its other clients are honest, and none of them may suffer. */
  readonly shared: Served;
  /** Where clients and servers have keys from that know no trouble. */
  readonly asClient: { readonly qkd: QkdOptions };
  readonly asServer: { readonly qkd: QkdOptions };
  readonly kmes: Readonly<Record<"a" | "b", { readonly url: string }>>;
}

/** How both ends took it; an end that is not ours has none. */
export interface Ending {
  readonly client?: string;
  readonly server?: string;
}

export interface Fault {
  readonly name: string;
  /** Endings of each side that are right; whatever else comes is a finding. */
  readonly client?: RegExp;
  readonly server?: RegExp;
  /** One connection with the fault in it. `turn` makes each a little different. */
  run(bed: Bed, turn: number): Promise<Ending>;
}

/** Anything between 0 and `limit` - 1, far from that of the turns before. */
export const spread = (turn: number, limit: number): number => (Math.imul(turn, 2_654_435_761) >>> 0) % limit;
