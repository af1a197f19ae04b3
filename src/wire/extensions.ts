import { type ExtensionName, ExtensionType, nameOf } from "../protocol/iana.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { blankOf, type Codec, type Of } from "./codec.ts";
import type { Reader, Writer } from "./cursor.ts";

type Bodies = Partial<Record<ExtensionName, Codec<any>>>; // oxlint-disable-line typescript/no-explicit-any -- as in struct()

/** The extensions of one message: each optional, with the types that arrived in their order. */
export type Extensions<B extends Bodies> = { readonly [K in keyof B]?: Of<B[K]> } & {
  /** Every extension type that was read, known or not; ignored when writing. */
  readonly present?: readonly number[];
  /** Extensions that have no name here, written before the others; what is read of them is in `present`. */
  readonly unnamed?: readonly UnnamedExtension[];
  /** Types in the order in which they are written, before those that it does not list; never read. */
  readonly order?: readonly number[];
};

export interface UnnamedExtension {
  readonly type: number;
  readonly body: Uint8Array;
}

const known = new Map<number, ExtensionName>(
  Object.entries(ExtensionType).map(([name, code]) => [code, name as ExtensionName]),
);

/**
 * `Extension extensions<min..2^16-1>` with the bodies this message may carry, written in the order given unless the value
 * has one of its own. RFC 9846 §4.3.
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
        for (const { type, write } of inOrder(value.order, toWrite(value, order, bodies), last)) {
          to.uint(2, type);
          to.within(2, 0, 0xffff, () => write(to));
        }
      });
    },
  };
}

interface Written {
  readonly type: number;
  readonly write: (to: Writer) => void;
}

function toWrite<B extends Bodies>(
  value: Extensions<B>,
  names: readonly ExtensionName[],
  bodies: B,
): readonly Written[] {
  const unnamed = (value.unnamed ?? []).map(({ type, body }) => ({
    type,
    write: (to: Writer) => to.put(body),
  }));
  const named = names.flatMap((name) => {
    const body: unknown = value[name];
    const codec = bodies[name] as Codec<unknown>;
    return body === undefined
      ? []
      : [{ type: ExtensionType[name], write: (to: Writer) => codec.write(to, body) }];
  });
  return [...unnamed, ...named];
}

/** By the order wanted, if one is; what is to be last stays there. */
function inOrder(
  order: readonly number[] | undefined,
  extensions: readonly Written[],
  last: ExtensionName | undefined,
): readonly Written[] {
  if (order === undefined) return extensions;
  const place = ({ type }: Written): number => {
    if (last !== undefined && type === ExtensionType[last]) return Number.POSITIVE_INFINITY;
    const at = order.indexOf(type);
    return at === -1 ? order.length : at;
  };
  return extensions.toSorted((a, b) => place(a) - place(b) || 0);
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
