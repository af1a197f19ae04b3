import { type ExtensionName, ExtensionType, nameOf } from "../protocol/iana.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { blankOf, type Codec, type Of } from "./codec.ts";
import type { Reader, Writer } from "./cursor.ts";

type Bodies = Partial<Record<ExtensionName, Codec<any>>>; // oxlint-disable-line typescript/no-explicit-any -- as in struct()

/** The extensions of one message: each optional, with the types that arrived in their order. */
export type Extensions<B extends Bodies> = { readonly [K in keyof B]?: Of<B[K]> } & {
  /** Every extension type that was read, known or not; ignored when writing. */
  readonly present?: readonly number[];
};

const known = new Map<number, ExtensionName>(
  Object.entries(ExtensionType).map(([name, code]) => [code, name as ExtensionName]),
);

/**
 * `Extension extensions<min..2^16-1>` with the bodies this message may carry, written in the order given. RFC 9846 §4.3.
 * Refuses duplicates, trailing bytes, a recognised extension in the wrong message, and anything behind the extension
 * that is to be `last` (illegal_parameter). Unknown types are skipped and reported in `present`.
 */
export function extensions<B extends Bodies>(
  bodies: B,
  { min = 0, last }: { readonly min?: number; readonly last?: ExtensionName & keyof B } = {},
): Codec<Extensions<B>> {
  const order = Object.keys(bodies) as ExtensionName[];
  const blank = blankOf(["present", ...order]);
  return {
    read: (from) =>
      from.within(2, min, 0xffff, (block) => readBlock(block, bodies, blank, last)) as Extensions<B>,
    write(to, value) {
      to.within(2, min, 0xffff, () => {
        for (const name of order) {
          const body: unknown = value[name];
          if (body !== undefined) writeOne(to, ExtensionType[name], bodies[name] as Codec<unknown>, body);
        }
      });
    },
  };
}

function writeOne<T>(to: Writer, type: number, body: Codec<T>, value: T): void {
  to.uint(2, type);
  to.within(2, 0, 0xffff, () => body.write(to, value));
}

function readBlock(
  block: Reader,
  bodies: Bodies,
  blank: Readonly<Record<string, unknown>>,
  last: ExtensionName | undefined,
): Record<string, unknown> {
  const present: number[] = [];
  const seen = new Set<number>();
  const value: Record<string, unknown> = { ...blank, present };
  while (block.left > 0) {
    block.field = "extension";
    const type = block.uint(2);
    const name = known.get(type);
    if (seen.has(type)) throw illegal(`${nameOf(ExtensionType, type)} twice in one message`);
    seen.add(type);
    present.push(type);
    block.field = name ?? `extension ${type}`;
    const body = name === undefined ? undefined : bodies[name];
    if (body === undefined) {
      if (name !== undefined && !isIgnored(name)) throw illegal(`${name} does not belong in this message`);
      block.within(2, 0, 0xffff, (from) => from.rest());
      continue;
    }
    value[name as string] = block.within(2, 0, 0xffff, (from) => body.read(from));
  }
  if (last !== undefined && value[last] !== undefined && present.at(-1) !== ExtensionType[last]) {
    throw illegal(`${last} is not the last extension`);
  }
  return value;
}

/** Recognised only so that it has a name; we neither offer nor act on it, so a message may carry it. */
function isIgnored(name: ExtensionName): boolean {
  return name === "post_handshake_auth" || name === "oid_filters";
}

function illegal(what: string): ProtocolError {
  return new ProtocolError("ERR_TLS_ILLEGAL_PARAMETER", "illegal_parameter", what);
}
