import { type Codec, opaque, type Of, struct } from "../wire/codec.ts";
import type { Reader } from "../wire/cursor.ts";
import { messages } from "./message.ts";

/** Detections that one message may announce; a batch with more is to be sent in fewer pulses. */
export const MOST_DETECTIONS = 2 ** 22;

/** Slots of 32 bits, rising: the gap before each, seven bits a byte, lowest first, bit 7 on all bytes but the last. */
export const Slots: Codec<Uint32Array> = {
  read: (from) => from.within(3, 0, 0xffffff, readSlots),
  write: (to, value) => to.within(3, 0, 0xffffff, () => to.put(gapsOf(value))),
};

/** Bob to Alice, once the quantum phase of the batch is over: what he detected, in which basis, and his check bits. */
export const Detections = struct({
  slots: Slots,
  /** One bit for each slot: 0 is X, the key; 1 is Z, the check. */
  bases: opaque(3),
  /** His bits of the detections in Z, which never become key. */
  check_bits: opaque(3),
});
export type Detections = Of<typeof Detections>;

/** Alice to Bob: which detections stay, what she sent, and her check bits. */
export const Sifting = struct({
  /** One bit for each detection: whether the bases agree. */
  kept: opaque(3),
  /** Two bits for each that is kept: 0, 1 or 2. */
  intensities: opaque(3),
  /** Her bits of those kept in Z. */
  check_bits: opaque(3),
});
export type Sifting = Of<typeof Sifting>;

/** The two messages of sifting, one each way. */
export const SiftingMessages = messages("sifting", {
  detections: { code: 1, body: Detections },
  sifting: { code: 2, body: Sifting },
});

function readSlots(from: Reader): Uint32Array {
  const bytes = from.rest();
  let count = 0;
  for (const byte of bytes) if (byte < 0x80) count++;
  if (count > MOST_DETECTIONS) throw from.fault(`${count} detections are more than ${MOST_DETECTIONS}`);
  if (((bytes.at(-1) ?? 0) & 0x80) !== 0) throw from.fault("the last gap has no end");
  const out = new Uint32Array(count);
  let slot = -1;
  for (let at = 0, nth = 0; nth < count; nth++) {
    let gap = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = bytes[at++] as number;
      gap += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80 && scale < 2 ** 35);
    if (byte >= 0x80 || (byte === 0 && scale > 0x80)) throw from.fault("a gap is longer than it must be");
    slot += gap + 1;
    if (slot > 0xffffffff) throw from.fault("a slot beyond 32 bits");
    out[nth] = slot;
  }
  return out;
}

function gapsOf(slots: Uint32Array): Uint8Array {
  let last = -1;
  let length = 0;
  for (const slot of slots) {
    if (slot <= last) throw new RangeError("slots must rise");
    for (let gap = slot - last - 1; ; gap = Math.floor(gap / 0x80)) {
      length++;
      if (gap < 0x80) break;
    }
    last = slot;
  }
  const out = new Uint8Array(length);
  last = -1;
  let at = 0;
  for (const slot of slots) {
    let gap = slot - last - 1;
    for (; gap >= 0x80; gap = Math.floor(gap / 0x80)) out[at++] = (gap % 0x80) | 0x80;
    out[at++] = gap;
    last = slot;
  }
  return out;
}
