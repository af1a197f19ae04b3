/** What a site and the fibre process say to each other. All of it stands for wires inside the devices. */

import { messages } from "../../link/message.ts";
import { Slots } from "../../link/sifting-messages.ts";
import { bytes, type Of, opaque, struct, u16, u32, u8 } from "../../wire/codec.ts";

export const FIBRE_VERSION = 1;
/** The sites by their number on the wire, less one. */
export const SITES = ["a", "b"] as const;
export type Site = (typeof SITES)[number];
export const SESSION_BYTES = 16;

/** Which pulses: a site that was away knows that others are not meant for it. */
const BatchTag = struct({
  /** The beginning of the session's context. */
  session: bytes(SESSION_BYTES),
  block: u32,
  /** From 0. */
  batch: u16,
});
export type BatchTag = Of<typeof BatchTag>;

export const FibreMessages = messages("fibre", {
  /** The first one of a site. */
  hello: { code: 1, body: struct({ version: u8, site: u8 }) },
  /** What the devices are, and how long the fibre is; again whenever that changes. Nobody is told of an adversary. */
  optics: { code: 2, body: struct({ preset: opaque(1), length_metres: u32 }) },
  /** The end is taken. */
  taken: { code: 3, body: struct({ site: u8 }) },
  /** A's: send so many. */
  pulses: { code: 4, body: struct({ tag: BatchTag, pulses: u32 }) },
  /** To A, secret: what she sent in the slots that were detected. */
  prepared: { code: 5, body: struct({ tag: BatchTag, pulses: u32, slots: Slots, choices: opaque(3) }) },
  /** To B, secret: what was detected. */
  detected: {
    code: 6,
    body: struct({ tag: BatchTag, pulses: u32, slots: Slots, outcomes: opaque(3), double_clicks: u32 }),
  },
  /** To A: the detectors were blinded by light, and the batch is lost. */
  dazzled: { code: 7, body: struct({ tag: BatchTag }) },
});

/** To a site: a batch of MOST_DETECTIONS, each of three bytes or so. */
export const MOST_BYTES_TO_SITE = 2 ** 25;
export const MOST_BYTES_TO_FIBRE = 64;

export const sameSession = (tag: BatchTag, session: Uint8Array): boolean =>
  tag.session.every((byte, at) => byte === session[at]);
