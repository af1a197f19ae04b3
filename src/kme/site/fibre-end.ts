/** A site's end of the fibre: it comes back by itself when the fibre process does. */

import type { Socket } from "node:net";
import type { Fibre } from "../../link/fibre.ts";
import { type Preset, preset, type PresetName } from "../../link/presets.ts";
import type { AliceRecord, BobRecord } from "../../link/quantum-channel.ts";
import { fromUtf8 } from "../../protocol/bytes.ts";
import { LinkError } from "../../protocol/errors.ts";
import { Dialler } from "./dialler.ts";
import {
  type BatchTag,
  FIBRE_VERSION,
  FibreMessages,
  MOST_BYTES_TO_SITE,
  type Site,
  SITES,
} from "./fibre-messages.ts";
import { Frames } from "./frames.ts";
import { demandLocal, type Endpoint } from "./endpoint.ts";

/** What the devices at the site say of themselves. */
export interface Devices {
  readonly preset: Preset;
  /** Undisturbed, for all they know. */
  readonly fibre: Fibre;
}

export interface FibreEndOptions {
  readonly endpoint: Endpoint;
  readonly site: Site;
  /** The fibre is there, or has another length. */
  readonly onUp: (devices: Devices) => void;
  /** The fibre is gone, or refuses this end. */
  readonly onDown: (why: Error | undefined) => void;
  /** At A. */
  readonly onPrepared: (tag: BatchTag, record: AliceRecord) => void;
  readonly onDazzled: (tag: BatchTag) => void;
  /** At B. */
  readonly onDetected: (tag: BatchTag, record: BobRecord) => void;
}

export class FibreEnd {
  readonly #options: FibreEndOptions;
  readonly #dialler: Dialler;
  #frames: Frames | undefined;
  #devices: Devices | undefined;

  /** Throws UsageError for a place that is not on this machine. */
  constructor(options: FibreEndOptions) {
    demandLocal(options.endpoint, "fibre");
    this.#options = options;
    this.#dialler = new Dialler(options.endpoint, (socket) => this.#join(socket));
  }

  /** Undefined while the fibre is not there. */
  get devices(): Devices | undefined {
    return this.#devices;
  }

  /** Asks for a batch of pulses; nothing comes of it while the fibre is not there. */
  send(tag: BatchTag, pulses: number): void {
    this.#frames?.send(FibreMessages.write("pulses", { tag, pulses }));
  }

  close(): void {
    this.#dialler.close();
    this.#frames?.close();
  }

  #join(socket: Socket): void {
    const { site } = this.#options;
    const frames = new Frames(socket, {
      maxBytes: MOST_BYTES_TO_SITE,
      onFrame: (frame) => {
        this.#hear(frame);
        // Records are copied out of it.
        frame.fill(0);
      },
      onClose: (error) => {
        this.#frames = undefined;
        this.#devices = undefined;
        this.#options.onDown(error);
      },
    });
    this.#frames = frames;
    frames.send(FibreMessages.write("hello", { version: FIBRE_VERSION, site: SITES.indexOf(site) + 1 }));
  }

  #hear(frame: Uint8Array): void {
    const message = FibreMessages.read(frame);
    const { onUp, onPrepared, onDetected, onDazzled, site } = this.#options;
    if (message.kind === "optics") {
      const preset = presetOf(message.body.preset);
      const { adversary: _, ...fibre } = preset.optics.fibre;
      this.#devices = { preset, fibre: { ...fibre, lengthKm: message.body.length_metres / 1000 } };
      this.#dialler.isGood();
      onUp(this.#devices);
    } else if (message.kind === "prepared" && site === "a") {
      const { tag, pulses, slots, choices } = message.body;
      onPrepared(copied(tag), { simulated: true, pulses, slots, choices: choices.slice() });
    } else if (message.kind === "detected" && site === "b") {
      const { tag, pulses, slots, outcomes, double_clicks: doubleClicks } = message.body;
      onDetected(copied(tag), { simulated: true, pulses, slots, outcomes: outcomes.slice(), doubleClicks });
    } else if (message.kind === "dazzled" && site === "a") {
      onDazzled(copied(message.body.tag));
    } else if (message.kind === "taken") {
      throw new LinkError("ERR_LINK_CLOSED", `another process is at end ${site} of the fibre`);
    } else throw new LinkError("ERR_LINK_UNEXPECTED", `fibre: ${message.kind} at site ${site}`);
  }
}

const copied = (tag: BatchTag): BatchTag => ({ ...tag, session: tag.session.slice() });

/** The preset that the optics of a fibre are. Throws a LinkError for one that is not known here. */
function presetOf(name: Uint8Array): Preset {
  try {
    return preset(fromUtf8(name) as PresetName); // which it checks
  } catch (cause) {
    throw new LinkError("ERR_LINK_MALFORMED", "fibre: optics that are not known here", { cause });
  }
}
