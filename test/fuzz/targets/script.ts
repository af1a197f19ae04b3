/** Changes to messages as bytes, so that a search can change the changes. */
import { concat } from "../../../src/protocol/bytes.ts";
import { ExtensionType } from "../../../src/protocol/iana.ts";
import { field } from "../../support/codec-rules.ts";
import { changesOf } from "../../support/tamper.ts";
import { extensionsInstead } from "./extension-block.ts";

const HOWS = [
  "field",
  "extension",
  "write",
  "insert",
  "cut",
  "double",
  "type",
  "follow",
  "precede",
  "drop",
  "repeat",
  "earlier",
  "length",
] as const;

/** One change: to the message of this number, in this way, there, by these bytes. */
export interface Change {
  readonly at: number;
  readonly how: (typeof HOWS)[number];
  readonly place: number;
  readonly bytes: Uint8Array;
}

const EXTENSIONS = [...Object.values<number>(ExtensionType), 0x0a0a, 0xffff];
const HEADER_BYTES = 5;
const MOST_BYTES = 32;
const MESSAGE_HEADER_BYTES = 4;

/** The changes one after the other, behind what stands at the front. */
export function scriptOf(front: readonly number[], ...changes: readonly Change[]): Uint8Array {
  return concat([
    Uint8Array.from(front),
    ...changes.map(({ at, how, place, bytes }) =>
      concat([Uint8Array.of(at, HOWS.indexOf(how), place >> 8, place & 0xff, bytes.length), bytes]),
    ),
  ]);
}

/** Reads any bytes as changes. */
export class Script {
  /** What the first byte says is for the reader of the script. */
  readonly first: number;
  readonly #changes: readonly Change[];

  constructor(bytes: Uint8Array) {
    this.first = bytes[0] ?? 0;
    const changes: Change[] = [];
    for (let at = 1; at + HEADER_BYTES <= bytes.length; ) {
      const [message = 0, how = 0, high = 0, low = 0, size = 0] = bytes.subarray(at, (at += HEADER_BYTES));
      const length = size % MOST_BYTES;
      changes.push({
        at: message % 16,
        how: HOWS[how % HOWS.length]!,
        place: 256 * high + low,
        bytes: bytes.subarray(at, (at += length)),
      });
    }
    this.#changes = changes;
  }

  /** What goes in place of the message of this number; `earlier` holds it and those before it. */
  change(number: number, message: Uint8Array, earlier: readonly Uint8Array[]): readonly Uint8Array[] {
    let messages: readonly Uint8Array[] = [message];
    for (const change of this.#changes) {
      if (change.at !== number) continue;
      const [first, ...others] = messages;
      if (first !== undefined) messages = [...changed(first, change, earlier), ...others];
    }
    return messages;
  }
}

function changed(
  message: Uint8Array,
  { how, place, bytes }: Change,
  earlier: readonly Uint8Array[],
): readonly Uint8Array[] {
  const [type = 0] = message;
  const body = message.subarray(MESSAGE_HEADER_BYTES);
  const at = place % (body.length + 1);
  const [head, tail] = [body.subarray(0, at), body.subarray(at)];
  const framed = (...parts: readonly Uint8Array[]): Uint8Array =>
    concat([Uint8Array.of(type), field(3, ...parts)]);
  const other = concat([Uint8Array.of(bytes[0] ?? 0), field(3, bytes.subarray(1))]);
  switch (how) {
    case "field":
      return [fieldChanged(message, place)];
    case "extension": {
      const type = EXTENSIONS[(bytes[0] ?? 0) % EXTENSIONS.length]!;
      return [extensionsInstead(message, place, { type, body: bytes.subarray(1) })];
    }
    case "write":
      return [framed(head, bytes.subarray(0, tail.length), tail.subarray(bytes.length))];
    case "insert":
      return [framed(head, bytes, tail)];
    case "cut":
      return [framed(head, tail.subarray(bytes.length + 1))];
    case "double":
      return [framed(head, tail.subarray(0, bytes.length + 1), tail)];
    case "type":
      return [concat([Uint8Array.of(bytes[0] ?? 0), message.subarray(1)])];
    case "follow":
      return [message, other];
    case "precede":
      return [other, message];
    case "drop":
      return [];
    case "repeat":
      return [message, message];
    case "earlier":
      return [earlier[place % earlier.length]!];
    case "length": {
      const bent = message.slice();
      bent.set(bytes.subarray(0, 3), 1);
      return [bent];
    }
  }
}

/** One of the changes that know what the message means; none to a message that does not mean anything any more. */
function fieldChanged(message: Uint8Array, place: number): Uint8Array {
  try {
    const changes = changesOf(message);
    return changes[place % changes.length]?.apply() ?? message;
  } catch {
    return message;
  }
}
