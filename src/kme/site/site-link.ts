/**
 * One site's end of a QKD link in a process of its own: a party, its end of the fibre, and two connections to the other
 * site. The classical channel is plain TCP, each message authenticated and none encrypted. What the KMEs say to each
 * other about the stock goes over TLS with both certificates, and not over the classical channel: tags there are paid
 * with key of the link, so that an eavesdropper who stops the link would also stop the delivery of what it made before.
 */

import type { Socket } from "node:net";
import { nodeProvider } from "../../crypto/node.ts";
import { Alice } from "../../link/alice.ts";
import type { BlockRecord, EndedBlock } from "../../link/block.ts";
import type { BootstrapSettings } from "../../link/bootstrap-settings.ts";
import { wipe } from "../../protocol/bytes.ts";
import { LinkError } from "../../protocol/errors.ts";
import type { BlockSink, KeyFeed } from "../feed.ts";
import { accountsOf, HISTORY, type LinkStatus } from "../link.ts";
import { Appetite, blockPauses, checkedPace, type PaceOptions, pulsePlan, roomOf } from "../link-pace.ts";
import type { KeyStore } from "../store.ts";
import { ClassicalEnd, type Session } from "./classical-end.ts";
import { AliceDrive, BobDrive } from "./drive.ts";
import { FibreEnd } from "./fibre-end.ts";
import { Sharing } from "./sharing.ts";
import { type Meeting, startMeeting } from "./meeting.ts";
import { PeerConnections } from "./peer-connections.ts";
import type { Endpoint } from "./endpoint.ts";
import { bootstrapper, demandKnown, type Part, type SiteLinkOptions } from "./site-options.ts";

/** As of a link in one process, but what this site cannot know: who is in the fibre, and without it anything of it. */
export interface SiteStatus extends Omit<LinkStatus, "preset" | "fibre"> {
  readonly preset?: LinkStatus["preset"];
  readonly fibre?: LinkStatus["fibre"];
  readonly connected: Readonly<Record<Part, boolean>>;
}

export interface SiteLink {
  /** What the store of this site is fed by. */
  readonly feed: KeyFeed;
  /** Where it listens for the other site, if it does. */
  readonly endpoint: Endpoint | undefined;
  readonly status: SiteStatus;
  /** Begins to feed the store, and to speak for it to the other site. */
  open(store: KeyStore): void;
  close(): Promise<void>;
}

/** How often A looks whether a block is wanted. */
const LOOK_MS = 200;
/** A block that does not go on for so long never will. Its pulses take 20 seconds at most. */
const STALL_MS = 30_000;
/** Peers that have not proven anything. */
const MOST_BOOTSTRAPS = 4;

/** The link of one site; it listens when the promise is fulfilled. Throws UsageError for options that cannot be. */
export async function startSiteLink(options: SiteLinkOptions): Promise<SiteLink> {
  demandKnown(options);
  const link = new Link(options);
  await link.meet();
  return link;
}

class Link implements SiteLink {
  readonly feed: KeyFeed;
  readonly #options: SiteLinkOptions;
  readonly #pace: Required<PaceOptions>;
  readonly #bootstrapSettings: () => BootstrapSettings;
  readonly #sharing: Sharing;
  readonly #peers: PeerConnections;
  readonly #appetite = new Appetite();
  readonly #pauses = blockPauses();
  readonly #history: BlockRecord[] = [];
  readonly #bootstraps = new Set<ClassicalEnd>();
  readonly #stalled: NodeJS.Timeout;
  #fibre: FibreEnd | undefined;
  #meeting: Meeting | undefined;
  #sink: BlockSink | undefined;
  #end: ClassicalEnd | undefined;
  #drive: AliceDrive | BobDrive | undefined;
  #looking: NodeJS.Timeout | undefined;
  #sessions = 0;
  #lastStop: string | undefined;
  #hasGivenKey = false;
  #restsUntil = 0;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(options: SiteLinkOptions) {
    this.#options = options;
    this.#pace = checkedPace(options);
    this.#bootstrapSettings = bootstrapper(options);
    const { site, peer, ca, cert, key } = options;
    const { blockBytes } = this.#pace;
    const sink = (): BlockSink | undefined => this.#sink;
    this.#peers = new PeerConnections({
      site,
      peer,
      blockBytes,
      tls: { ca, cert, key },
      sharing: () => this.#sharing,
      sink,
      onChange: (isThere, why) => {
        if (isThere) this.#meeting?.isGood("peer");
        this.#tell("peer", isThere, why);
      },
    });
    this.#sharing = new Sharing({ site, blockBytes, sink, peer: this.#peers });
    this.#stalled = setTimeout(() => this.#onStall(), STALL_MS).unref();
    this.feed = {
      simulated: true,
      blockBytes,
      start: (to) => (this.#sink = to),
      stop: () => {
        this.#sink = undefined;
        void this.close();
      },
    };
  }

  get endpoint(): Endpoint | undefined {
    return this.#meeting?.endpoint;
  }

  get status(): SiteStatus {
    const devices = this.#fibre?.devices;
    return {
      simulated: true,
      ...(devices && { preset: devices.preset.name, fibre: devices.fibre }),
      qberThreshold: this.#pace.qberThreshold,
      history: [...this.#history],
      authentication: accountsOf(this.#end?.session?.ledger),
      sessions: { opened: this.#sessions, lastStop: this.#lastStop },
      connected: {
        fibre: devices !== undefined,
        channel: this.#end !== undefined,
        peer: this.#peers.isThere,
      },
    };
  }

  async meet(): Promise<void> {
    const { fibre: endpoint, site, meet } = this.#options;
    this.#fibre = new FibreEnd({
      endpoint,
      site,
      onUp: () => this.#onFibre(),
      onDown: (why) => this.#onDark(why),
      onPrepared: (tag, record) => {
        this.#goesOn();
        if (this.#drive instanceof AliceDrive) this.#drive.prepared(tag, record);
        else wipe(record.choices);
      },
      onDazzled: (tag) => this.#drive instanceof AliceDrive && this.#drive.dazzled(tag),
      onDetected: (tag, record) => {
        this.#goesOn();
        if (this.#drive instanceof BobDrive) this.#drive.detected(tag, record);
        else wipe(record.outcomes);
      },
    });
    try {
      this.#meeting = await startMeeting({
        meet,
        onChannel: (socket) => this.#onChannel(socket),
        onPeer: (socket) => this.#peers.take(socket, "listen" in meet),
      });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  open(store: KeyStore): void {
    this.#peers.speakFor(store);
    if (this.#options.site === "a") this.#look(LOOK_MS);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#closeAll());
  }

  async #closeAll(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#looking);
    clearTimeout(this.#stalled);
    this.#fibre?.close();
    this.#end?.close();
    for (const end of this.#bootstraps) end.close();
    this.#peers.close();
    this.#sharing.close();
    await this.#meeting?.close();
  }

  #onFibre(): void {
    this.#tell("fibre", true, undefined);
    if (this.#end === undefined) this.#meeting?.hurry();
  }

  #onDark(why: Error | undefined): void {
    this.#tell("fibre", false, why?.message);
    this.#end?.close(new LinkError("ERR_LINK_CLOSED", "the fibre is gone"));
  }

  /** A connection for the classical channel. Without a fibre there is nothing to talk about. */
  #onChannel(socket: Socket): void {
    const devices = this.#fibre?.devices;
    const isBusy = this.#isClosed || this.#bootstraps.size >= MOST_BOOTSTRAPS;
    if (devices === undefined || this.#sink === undefined || isBusy) return void socket.destroy();
    const { source } = devices.preset.optics;
    const provider = nodeProvider();
    const end = new ClassicalEnd(socket, {
      settings: this.#bootstrapSettings(),
      block: {
        hash: provider.hash("sha256"),
        random: (length) => provider.random(length),
        source,
        qberThreshold: this.#pace.qberThreshold,
      },
      onOpen: (session, opened) => this.#onSession(session, opened),
      onHeard: () => {
        this.#goesOn();
        this.#drive?.heard();
      },
      onEnded: (ended) => this.#onEnded(ended, end),
      onClose: (error) => this.#onChannelClosed(end, error),
    });
    this.#bootstraps.add(end);
  }

  /** The peer has proven who it is, so whatever was there before is over. */
  #onSession({ party, context }: Session, end: ClassicalEnd): void {
    this.#bootstraps.delete(end);
    this.#end?.close(new LinkError("ERR_LINK_CLOSED", "the other site began anew"));
    this.#end = end;
    this.#sessions++;
    const options = { context, perform: (step: Parameters<ClassicalEnd["perform"]>[0]) => end.perform(step) };
    const send: FibreEnd["send"] = (tag, pulses) => this.#fibre?.send(tag, pulses);
    this.#drive =
      party instanceof Alice ? new AliceDrive(party, { ...options, send }) : new BobDrive(party, options);
    this.#tell("channel", true, undefined);
  }

  #onChannelClosed(end: ClassicalEnd, error: Error | undefined): void {
    this.#bootstraps.delete(end);
    if (error !== undefined) this.#lastStop = "code" in error ? String(error.code) : error.message;
    if (this.#end !== end) {
      if (error !== undefined && !this.#isClosed) this.#tell("channel", false, error.message);
      return;
    }
    this.#lastStop ??= "ERR_LINK_CLOSED";
    this.#end = undefined;
    if (this.#drive instanceof BobDrive) this.#drive.close();
    this.#drive = undefined;
    this.#tell("channel", false, error?.message);
  }

  #onEnded({ record, key }: EndedBlock, end: ClassicalEnd): void {
    this.#history.push(record);
    if (this.#history.length > HISTORY) this.#history.shift();
    const context = end.session?.context;
    if (key !== undefined && context !== undefined) {
      this.#hasGivenKey = true;
      this.#pauses.reset();
      this.#meeting?.isGood("channel");
      this.#sharing.take({ context, block: record.block }, key);
    } else {
      wipe(key);
      this.#restsUntil = performance.now() + this.#pauses.next();
    }
    this.#options.onBlock?.(record);
  }

  #look(ms: number): void {
    if (this.#isClosed) return;
    this.#looking = setTimeout(() => void this.#openBlock().finally(() => this.#look(LOOK_MS)), ms);
  }

  /** A's: opens a block, where both sites have room for what comes of it. */
  async #openBlock(): Promise<void> {
    await this.#sharing.settled();
    if (!this.#isIdle() || this.#sink === undefined) return;
    const ours = roomOf(this.#sink);
    if (ours.incoming <= 0 && ours.outgoing <= 0) return;
    const theirs = await this.#peers.room().catch(() => undefined);
    if (theirs === undefined || !this.#isIdle()) return;
    const room = Math.max(Math.min(ours.outgoing, theirs.incoming), Math.min(ours.incoming, theirs.outgoing));
    const devices = this.#fibre?.devices;
    if (!this.#appetite.isFor(room) || !(this.#drive instanceof AliceDrive) || devices === undefined) return;
    const bits = this.#hasGivenKey ? this.#pace.blockBits : this.#pace.firstBits;
    this.#goesOn();
    this.#drive.open(pulsePlan({ ...devices.preset.optics, fibre: devices.fibre }, bits));
  }

  #isIdle(): boolean {
    const party = this.#end?.session?.party;
    const isUp = party !== undefined && !party.closed && this.#fibre?.devices !== undefined;
    return isUp && party.block === undefined && performance.now() >= this.#restsUntil;
  }

  #goesOn(): void {
    if (!this.#isClosed) this.#stalled.refresh();
  }

  #onStall(): void {
    this.#goesOn();
    if (this.#end?.session?.party.block === undefined) return;
    this.#end.close(new LinkError("ERR_LINK_CLOSED", "the block does not go on"));
  }

  #tell(what: Part, isThere: boolean, why: string | undefined): void {
    if (!this.#isClosed) this.#options.onChange?.(what, isThere, why);
  }
}
