/** What the demo asks of its processes, and what they answer. */
import type { Degradation } from "../../handshake/policy.ts";
import type { BlockRecord } from "../../link/block.ts";
import type { Adversary } from "../../link/fibre.ts";
import type { SecurityRecord } from "../../observe/evidence.ts";
import type { ClientFlags, ServerFlags } from "../channel-options.ts";
import type { ErrorRecord } from "../output.ts";
import type { Progress, Report } from "../transfer/report.ts";

export type Role = "kmes" | "server" | "client";

/** One side's account of a connection. */
export type Account =
  | {
      readonly security: SecurityRecord;
      readonly report?: Report;
      /** What the `degraded` event said, if it came. */
      readonly event?: readonly Degradation[];
    }
  | { readonly security?: never; readonly error: ErrorRecord };

/** Each order: what is asked, and what is answered. */
export interface Orders {
  /** Starts a linked pair of KMEs with the certificates in a directory, and stock for so many keys each way. */
  readonly pair: {
    readonly ask: { readonly directory: string; readonly stock: number };
    readonly answer: { readonly a: string; readonly b: string };
  };
  /** Puts an adversary into the link's fibre; one who does nothing has left. */
  readonly eavesdrop: { readonly ask: { readonly adversary: Adversary }; readonly answer: null };
  /** The link's blocks so far, oldest first, and the keys that the client can still get. */
  readonly figures: {
    readonly ask: null;
    readonly answer: { readonly blocks: readonly BlockRecord[]; readonly stock: number };
  };
  /** Listens on a free port, to receive files into a directory or to echo. */
  readonly listen: {
    readonly ask: { readonly flags: ServerFlags; readonly directory?: string };
    readonly answer: { readonly port: number };
  };
  /** The server's account of the connection that came from a client's port. */
  readonly account: { readonly ask: { readonly port: number }; readonly answer: Account | null };
  /** Sends a file. */
  readonly send: {
    readonly ask: { readonly flags: ClientFlags; readonly port: number; readonly path: string };
    readonly answer: { readonly port: number; readonly account: Account };
  };
  /** Connects and has a few bytes echoed. */
  readonly attempt: {
    readonly ask: { readonly flags: ClientFlags; readonly port: number };
    readonly answer: { readonly port: number; readonly account: Account };
  };
}
export type Order = keyof Orders;

/** What a process of the demo can be asked. */
export type Handlers = {
  readonly [O in Order]?: (
    ask: Orders[O]["ask"],
    progress: (progress: Progress) => void,
  ) => Promise<Orders[O]["answer"]>;
};

/** From the demo to its process. */
export interface Request {
  readonly id: number;
  readonly order: Order;
  readonly ask: unknown;
}

/** And back. */
export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly progress: Progress };
