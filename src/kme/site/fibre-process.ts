/**
 * The simulated optics of a link as a process between two sites: laser, fibre and detectors, drawn together because what
 * is drawn are clicks. The eavesdropper sits here. What it tells the sites is secret, as what passes inside a device is.
 */

import { createServer, type Server, type Socket } from "node:net";
import type { Adversary, Fibre } from "../../link/fibre.ts";
import { type Preset, preset, PRESET_NAMES, type PresetName } from "../../link/presets.ts";
import { type Batch, QuantumChannel } from "../../link/quantum-channel.ts";
import { utf8, wipe } from "../../protocol/bytes.ts";
import { LinkError } from "../../protocol/errors.ts";
import { oneOf, onlyKnown } from "../../protocol/options.ts";
import { isDazzling } from "../link-pace.ts";
import { linkRandom, type SeedOptions } from "../link-random.ts";
import {
  type BatchTag,
  FIBRE_VERSION,
  FibreMessages,
  MOST_BYTES_TO_FIBRE,
  type Site,
  SITES,
} from "./fibre-messages.ts";
import { Frames } from "./frames.ts";
import { demandLocal, type Endpoint, listenAt } from "./endpoint.ts";

export interface FibreOptions extends SeedOptions {
  /** Loopback or a Unix socket. */
  readonly listen: Endpoint;
  /** Laser, fibre and detectors; default `metro-10km`. */
  readonly preset?: PresetName;
  /** Another length than the preset's. */
  readonly lengthKm?: number;
  readonly adversary?: Adversary;
  /** Told who comes and goes, and of a site whose end is taken. */
  readonly onSite?: (site: Site, what: "joined" | "left" | "refused") => void;
}

export interface FibreProcess {
  readonly endpoint: Endpoint;
  /** As it lies now, the adversary included. */
  readonly fibre: Fibre;
  /** Another length or adversary from the next batch of pulses on. Throws UsageError. */
  lay(change: Pick<FibreOptions, "lengthKm" | "adversary">): void;
  close(): Promise<void>;
}

const MOST_CONNECTIONS = 8;
const HELLO_MS = 5000;
/** Batches that A may have asked for and not got. */
const MOST_ASKED = 4;

/** Starts the fibre; it is listening when the promise is fulfilled. Throws UsageError. */
export async function startFibre(options: FibreOptions): Promise<FibreProcess> {
  onlyKnown(options, "listen preset lengthKm adversary seed production onSite".split(" "), "a fibre");
  demandLocal(options.listen, "listen");
  const fibre = new FibreServer(options);
  await fibre.listen(options.listen);
  return fibre;
}

class FibreServer implements FibreProcess {
  readonly #preset: Preset;
  readonly #channel: QuantumChannel;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ends: { a?: Frames; b?: Frames } = {};
  readonly #onSite: NonNullable<FibreOptions["onSite"]>;
  readonly #due = new Set<NodeJS.Timeout>();
  /** When the last pulse that was asked for will have left. */
  #busyUntil = 0;
  endpoint: Endpoint;

  constructor(options: FibreOptions) {
    this.#preset = preset(oneOf(options, "preset", PRESET_NAMES, "metro-10km"));
    this.#channel = new QuantumChannel(this.#preset.optics, linkRandom(options)("fibre"));
    this.#onSite = options.onSite ?? (() => undefined);
    this.endpoint = options.listen;
    this.#server = createServer({ noDelay: true }, (socket) => this.#greet(socket));
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.lay(options);
  }

  get fibre(): Fibre {
    return this.#channel.optics.fibre;
  }

  async listen(endpoint: Endpoint): Promise<void> {
    this.endpoint = await listenAt(this.#server, endpoint);
  }

  lay({ lengthKm, adversary }: Pick<FibreOptions, "lengthKm" | "adversary">): void {
    this.#channel.change({ lengthKm, adversary });
    for (const end of Object.values(this.#ends)) this.#showOptics(end);
  }

  close(): Promise<void> {
    for (const timer of this.#due) clearTimeout(timer);
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    let site: Site | undefined;
    const late = setTimeout(() => frames.close(), HELLO_MS);
    const frames = new Frames(socket, {
      maxBytes: MOST_BYTES_TO_FIBRE,
      onFrame: (frame) => {
        if (site !== undefined) return this.#ask(site, frame);
        clearTimeout(late);
        site = this.#join(frames, frame);
        if (site === undefined) socket.end();
      },
      onClose: () => {
        clearTimeout(late);
        if (site === undefined || this.#ends[site] !== frames) return;
        delete this.#ends[site];
        this.#onSite(site, "left");
      },
    });
  }

  /** Which end it is now; undefined when that is taken. */
  #join(frames: Frames, frame: Uint8Array): Site | undefined {
    const { kind, body } = FibreMessages.read(frame);
    if (kind !== "hello") throw new LinkError("ERR_LINK_UNEXPECTED", `fibre: ${kind} before hello`);
    const site = SITES[body.site - 1];
    if (body.version !== FIBRE_VERSION || site === undefined) {
      throw new LinkError("ERR_LINK_MALFORMED", `fibre: site ${body.site} of version ${body.version}`);
    }
    if (this.#ends[site] !== undefined) {
      frames.send(FibreMessages.write("taken", { site: body.site }));
      this.#onSite(site, "refused");
      return undefined;
    }
    this.#ends[site] = frames;
    this.#showOptics(frames);
    this.#onSite(site, "joined");
    return site;
  }

  #showOptics(end: Frames): void {
    const { lengthKm } = this.fibre;
    const optics = { preset: utf8(this.#preset.name), length_metres: Math.round(1000 * lengthKm) };
    end.send(FibreMessages.write("optics", optics));
  }

  /** Only A asks. The pulses take their time, however quickly they are simulated. */
  #ask(site: Site, frame: Uint8Array): void {
    const { kind, body } = FibreMessages.read(frame);
    if (site !== "a" || kind !== "pulses") throw new LinkError("ERR_LINK_UNEXPECTED", `fibre: ${kind}`);
    if (this.#due.size >= MOST_ASKED)
      throw new LinkError("ERR_LINK_LIMIT", "fibre: too many batches at once");
    if (body.pulses === 0) throw new LinkError("ERR_LINK_MALFORMED", "fibre: no pulses");
    const now = performance.now();
    const took = (1000 * body.pulses) / this.#preset.optics.source.clockHz;
    this.#busyUntil = Math.max(now, this.#busyUntil) + took;
    // The message is a view of memory that goes on.
    const tag = { ...body.tag, session: body.tag.session.slice() };
    const asking = this.#ends.a;
    const timer = setTimeout(() => {
      this.#due.delete(timer);
      // A that asked is gone, and another one asked for nothing.
      if (asking !== undefined && this.#ends.a === asking) this.#send(tag, body.pulses);
    }, this.#busyUntil - now);
    this.#due.add(timer);
  }

  #send(tag: BatchTag, pulses: number): void {
    const { a, b } = this.#ends;
    if (isDazzling(this.#channel.optics, pulses)) return a?.send(FibreMessages.write("dazzled", { tag }));
    const { alice, bob } = this.#channel.send(pulses);
    const { slots, choices } = alice;
    a?.send(FibreMessages.write("prepared", { tag, pulses, slots, choices }), { secret: true });
    const { slots: clicks, outcomes, doubleClicks: double_clicks } = bob;
    const detected = { tag, pulses, slots: clicks, outcomes, double_clicks };
    // Light that nobody waits for is lost.
    b?.send(FibreMessages.write("detected", detected), { secret: true });
    wipeBatch({ alice, bob });
  }
}

function wipeBatch({ alice, bob }: Pick<Batch, "alice" | "bob">): void {
  wipe(alice.choices, bob.outcomes);
  alice.slots.fill(0);
  bob.slots.fill(0);
}
