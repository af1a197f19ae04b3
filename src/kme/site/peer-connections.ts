/** The TLS connection to the KME of the other site, whichever one stands now, and the store that it speaks for. */

import type { Socket } from "node:net";
import { connect } from "../../node/connect.ts";
import { upgradeServer } from "../../node/server.ts";
import type { QkdTlsSocket } from "../../node/socket.ts";
import { parseCertificate } from "../../pki/certificate.ts";
import { LinkError } from "../../protocol/errors.ts";
import type { BlockSink } from "../feed.ts";
import { type Room, roomOf } from "../link-pace.ts";
import type { Issue, Recipe } from "../issue.ts";
import type { KeyStore } from "../store.ts";
import type { Site } from "./fibre-messages.ts";
import type { Sharing } from "./sharing.ts";
import { type LinkBlock, PeerCalls, type PeerLink, type PeerWork } from "./peer-calls.ts";

type Pem = string | Uint8Array;

export interface PeerConnectionsOptions {
  readonly site: Site;
  /** KME ID of the other site: the CN of its certificate. */
  readonly peer: string;
  readonly blockBytes: number;
  readonly tls: { readonly ca: Pem; readonly cert: Pem; readonly key: Pem };
  readonly sharing: () => Sharing;
  readonly sink: () => BlockSink | undefined;
  readonly onChange: (isThere: boolean, why: string | undefined) => void;
}

const HANDSHAKE_MS = 10_000;
const MOST_HANDSHAKES = 4;
/** When blocks are old enough for their lack to mean something; then what a restart left behind goes. */
const SECOND_LOOK_MS = 11_000;

export class PeerConnections implements PeerLink {
  readonly #options: PeerConnectionsOptions;
  readonly #coming = new Set<Socket>();
  /** Those that have not said which KME they are. */
  readonly #begun = new Set<PeerCalls>();
  #store: KeyStore | undefined;
  #calls: PeerCalls | undefined;
  #secondLook: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: PeerConnectionsOptions) {
    this.#options = options;
  }

  get isThere(): boolean {
    return this.#calls !== undefined;
  }

  /** What the other site asks is done by this store, and what this store announces goes to the other site. */
  speakFor(store: KeyStore): void {
    this.#store = store;
    store.connect(this);
    this.#settle();
  }

  /** A connection to the other site, on which TLS is about to begin. */
  take(socket: Socket, isServer: boolean): void {
    if (this.#isClosed || this.#store === undefined || this.#coming.size >= MOST_HANDSHAKES) {
      return void socket.destroy();
    }
    this.#coming.add(socket);
    socket.once("close", () => this.#coming.delete(socket));
    const { tls, peer } = this.#options;
    // A certificate is worth nothing here unless it is that of the one KME which this link leads to.
    const verifyPeer = ({ chain: [leaf] }: { readonly chain: readonly Uint8Array[] }): boolean =>
      leaf !== undefined && parseCertificate(leaf.slice()).subject.commonName === peer;
    const options = { ...tls, verifyPeer, policy: "pqc", handshakeTimeout: HANDSHAKE_MS } as const;
    const secured: QkdTlsSocket = isServer
      ? upgradeServer(socket, { ...options, requestCert: true, tickets: false })
      : connect({ ...options, socket, checkServerIdentity: () => undefined, resumption: false });
    const failed = (error: Error): void => this.#options.onChange(false, error.message);
    secured.once("error", failed);
    secured.once("secure", () => {
      secured.off("error", failed);
      this.#begin(secured, socket);
    });
  }

  announce(issue: Issue): Promise<void> {
    return this.#with((calls) => calls.announce(issue));
  }

  withdraw(keys: readonly Recipe[]): Promise<void> {
    return this.#with((calls) => calls.withdraw(keys));
  }

  agree(blocks: readonly string[]): Promise<readonly string[]> {
    return this.#with((calls) => calls.agree(blocks));
  }

  room(): Promise<Room> {
    return this.#with((calls) => calls.room());
  }

  land(block: LinkBlock, count: number): Promise<number> {
    return this.#with((calls) => calls.land(block, count));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#secondLook);
    this.#calls?.close();
    for (const calls of this.#begun) calls.close();
    for (const socket of this.#coming) socket.destroy();
  }

  async #with<T>(work: (calls: PeerCalls) => Promise<T>): Promise<T> {
    if (this.#calls === undefined) throw new LinkError("ERR_LINK_CLOSED", "the other KME is not there");
    return work(this.#calls);
  }

  #begin(secured: QkdTlsSocket, socket: Socket): void {
    const { site, blockBytes } = this.#options;
    const begun = new PeerCalls(secured, {
      site,
      blockBytes,
      simulated: true,
      work: this.#work(),
      onReady: (calls) => {
        this.#coming.delete(socket);
        this.#begun.delete(calls);
        // Whatever the older one still brings would be out of date.
        const before = this.#calls;
        this.#calls = calls;
        before?.close();
        this.#options.onChange(true, undefined);
        this.#settle();
      },
      onClose: (error, calls) => {
        socket.destroy();
        this.#begun.delete(calls);
        if (this.#calls !== calls) {
          if (error !== undefined) this.#options.onChange(false, error.message);
          return;
        }
        this.#calls = undefined;
        this.#options.onChange(false, error?.message);
      },
    });
    this.#begun.add(begun);
  }

  /** Both ends compare what they hold, and once more when nothing can be on its way any more. */
  #settle(): void {
    const settle = (): void => void this.#store?.settle().catch(() => undefined);
    if (this.#calls === undefined) return;
    settle();
    clearTimeout(this.#secondLook);
    this.#secondLook = setTimeout(settle, SECOND_LOOK_MS).unref();
  }

  #work(): PeerWork {
    const { sharing, sink } = this.#options;
    const store = (): KeyStore => {
      if (this.#store !== undefined && !this.#isClosed) return this.#store;
      throw new LinkError("ERR_LINK_CLOSED", "this KME is closed");
    };
    return {
      accept: async (issue) => store().accept(issue),
      withdraw: async (keys) => store().withdraw(keys),
      agree: async (blocks) => store().agree(blocks),
      room() {
        const to = sink();
        return to === undefined ? { outgoing: 0, incoming: 0 } : clamped(roomOf(to));
      },
      land: (block, count) => sharing().land(block, count),
    };
  }
}

/** A store whose bound was lowered may hold more than fits. */
const clamped = ({ outgoing, incoming }: Room): Room => ({
  outgoing: Math.max(0, outgoing),
  incoming: Math.max(0, incoming),
});
