/** One end of the classical channel over a stream: the bootstrap, then the party that comes of it. */

import type { Duplex } from "node:stream";
import { Alice } from "../../link/alice.ts";
import type { EndedBlock, Step } from "../../link/block.ts";
import { Bob } from "../../link/bob.ts";
import { Bootstrap } from "../../link/bootstrap.ts";
import type { Bootstrapped, BootstrapSettings } from "../../link/bootstrap-settings.ts";
import { FRAME_BYTES, MAX_MESSAGE_BYTES } from "../../link/classical.ts";
import type { Ledger } from "../../link/ledger.ts";
import type { PartySettings } from "../../link/party.ts";
import { classicalChannel } from "../../link/session.ts";
import { LinkError } from "../../protocol/errors.ts";
import { Frames } from "./frames.ts";

/** Of somebody who has not proven anything yet: hello, or a proof with its chain. */
const MOST_BOOTSTRAP_BYTES = 2 ** 19;
/** A signature under each message is the longest tag. */
const MOST_TAG_BYTES = 2 ** 13;
const BOOTSTRAP_MS = 10_000;

/** A party that knows whom it talks to. */
export interface Session {
  readonly party: Alice | Bob;
  readonly ledger: Ledger;
  /** Public, and this session's own. */
  readonly context: Uint8Array;
}

export interface ClassicalEndOptions {
  readonly settings: BootstrapSettings;
  readonly block: Omit<PartySettings, "channel" | "ledger" | "inSlices">;
  /** The peer has proven who it is. */
  readonly onOpen: (session: Session, end: ClassicalEnd) => void;
  /** A message of the peer's has been taken. */
  readonly onHeard: () => void;
  /** A block ended; whoever is told owns its key. */
  readonly onEnded: (ended: EndedBlock) => void;
  /** Once, at the end. */
  readonly onClose: (error: Error | undefined, end: ClassicalEnd) => void;
}

export class ClassicalEnd {
  readonly #options: ClassicalEndOptions;
  readonly #bootstrap: Bootstrap;
  readonly #frames: Frames;
  readonly #late: NodeJS.Timeout;
  #session: Session | undefined;
  #working: NodeJS.Immediate | undefined;

  /** Throws UsageError for settings that cannot be. The stream is destroyed with this end. */
  constructor(stream: Duplex, options: ClassicalEndOptions) {
    this.#options = options;
    this.#bootstrap = new Bootstrap(options.settings);
    this.#frames = new Frames(stream, {
      maxBytes: MOST_BOOTSTRAP_BYTES,
      onFrame: (frame) => this.#hear(frame),
      onClose: (error) => this.#onClose(error),
    });
    this.#late = setTimeout(() => {
      this.close(new LinkError("ERR_LINK_CLOSED", "bootstrap: the peer takes too long"));
    }, BOOTSTRAP_MS);
    if (options.settings.party === "alice") this.#sendAll(this.#bootstrap.start());
  }

  /** Undefined until the peer has proven itself. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Does what a party wants done. */
  perform({ send, ended, stopped, more }: Step): void {
    this.#sendAll(send);
    if (ended !== undefined) this.#options.onEnded(ended);
    if (stopped !== undefined) this.close(stopped);
    else if (more === true) this.#workOn();
  }

  close(error?: Error): void {
    this.#frames.close(error);
  }

  /** A slice in each turn of the event loop; what the peer says meanwhile waits. */
  #workOn(): void {
    if (this.#working !== undefined || this.#frames.isClosed) return;
    this.#frames.hold();
    this.#working = setImmediate(() => {
      this.#working = undefined;
      if (this.#session !== undefined) this.perform(this.#session.party.goOn());
      if (this.#working === undefined) this.#frames.goOn();
    });
  }

  #hear(frame: Uint8Array): void {
    if (this.#session !== undefined) {
      this.perform(this.#session.party.receive(frame));
      this.#options.onHeard();
      return;
    }
    this.#sendAll(this.#bootstrap.receive(frame));
    if (this.#bootstrap.result !== undefined) this.#open(this.#bootstrap.result);
  }

  #open(bootstrapped: Bootstrapped): void {
    clearTimeout(this.#late);
    this.#frames.limit(FRAME_BYTES + MAX_MESSAGE_BYTES + MOST_TAG_BYTES);
    const { settings, block, onOpen } = this.#options;
    const { ledger, context } = bootstrapped;
    const channel = classicalChannel(settings, bootstrapped);
    const Own = settings.party === "alice" ? Alice : Bob;
    this.#session = { party: new Own({ ...block, channel, ledger, inSlices: true }), ledger, context };
    onOpen(this.#session, this);
  }

  #sendAll(frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.#frames.send(frame);
  }

  #onClose(error: Error | undefined): void {
    clearTimeout(this.#late);
    clearImmediate(this.#working);
    this.#bootstrap.close();
    const ended = this.#session?.party.close().ended;
    if (ended !== undefined) this.#options.onEnded(ended);
    this.#options.onClose(error, this);
  }
}
