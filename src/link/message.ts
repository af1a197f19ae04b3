import { LinkError } from "../protocol/errors.ts";
import { type Codec, u8 } from "../wire/codec.ts";
import { Reader, Writer } from "../wire/cursor.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- a codec is invariant; MessageOf restores each body's own type
type AnyCodec = Codec<any>;
type Kinds = Readonly<Record<string, { readonly code: number; readonly body: AnyCodec }>>;
/** One of a stage's messages: which one it is, and what it says. */
export type MessageOf<K> = {
  [Name in keyof K]: K[Name] extends { readonly body: Codec<infer T> }
    ? { readonly kind: Name; readonly body: T }
    : never;
}[keyof K];

/** The messages of one stage of the link, each declared once: a byte that says which, then its body. */
export interface Messages<K> {
  /** Throws a LinkError (ERR_LINK_MALFORMED) for bytes that are none of them. */
  read(bytes: Uint8Array): MessageOf<K>;
  /** Throws a RangeError when the body does not fit. */
  write<Name extends keyof K>(
    kind: Name,
    body: K[Name] extends { readonly body: Codec<infer T> } ? T : never,
  ): Uint8Array;
}

export function messages<const K extends Kinds>(stage: string, kinds: K): Messages<K> {
  const byCode = new Map(Object.entries(kinds).map(([kind, { code, body }]) => [code, { kind, body }]));
  return {
    read(bytes) {
      const found = readBody(stage, bytes, (from) => {
        const code = u8.read(from);
        const known = byCode.get(code);
        if (known === undefined) throw new LinkError("ERR_LINK_MALFORMED", `${stage}: no message ${code}`);
        return { kind: known.kind, body: known.body.read(from) };
      });
      return found as MessageOf<K>;
    },
    write(kind, body) {
      const to = new Writer();
      const { code, body: codec } = kinds[kind] as { code: number; body: Codec<unknown> };
      u8.write(to, code);
      codec.write(to, body);
      return to.done();
    },
  };
}

/** Reads all of `bytes` as one value; whatever does not fit is a LinkError (ERR_LINK_MALFORMED) of that stage. */
export function readBody<T>(stage: string, bytes: Uint8Array, read: (from: Reader) => T): T {
  try {
    const from = new Reader(bytes);
    const value = read(from);
    from.finish();
    return value;
  } catch (cause) {
    if (cause instanceof LinkError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LinkError("ERR_LINK_MALFORMED", `${stage}: ${why}`, { cause });
  }
}

/** The message of another kind than the one that belongs here. */
export const unexpected = (stage: string, got: string, wanted: string): LinkError =>
  new LinkError("ERR_LINK_UNEXPECTED", `${stage}: ${got} came where ${wanted} belongs`);
