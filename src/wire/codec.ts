import { type Prefix, Reader, Writer } from "./cursor.ts";

/** One wire type, both ways. Decoded byte fields are views: copy what must outlive the input. */
export interface Codec<T> {
  read(from: Reader): T;
  write(to: Writer, value: T): void;
}

/** The value a codec carries: the schema is written once and its type follows. */
export type Of<C> = C extends Codec<infer T> ? T : never;

const uint = (size: 1 | 2 | 3 | 4): Codec<number> => ({
  read: (from) => from.uint(size),
  write: (to, value) => to.uint(size, value),
});
export const u8 = uint(1);
export const u16 = uint(2);
export const u24 = uint(3);
export const u32 = uint(4);

/** `opaque x[length]` */
export const bytes = (length: number): Codec<Uint8Array> => ({
  read: (from) => from.take(length),
  write(to, value) {
    if (value.length !== length) throw new RangeError(`${value.length} bytes where ${length} belong`);
    to.put(value);
  },
});

/** `opaque x<min..max>` */
export const opaque = (prefix: Prefix, min = 0, max = 256 ** prefix - 1): Codec<Uint8Array> => ({
  read: (from) => from.within(prefix, min, max, (body) => body.rest()),
  write: (to, value) => to.within(prefix, min, max, () => to.put(value)),
});

/** Everything up to the end of the enclosing field. */
export const rest: Codec<Uint8Array> = {
  read: (from) => from.rest(),
  write: (to, value) => to.put(value),
};

/** A field with no bytes, whose presence is the message. */
export const empty: Codec<true> = {
  read: () => true,
  write: () => undefined,
};

/** `T x<min..max>`: the bounds are in bytes, as in the RFC. */
export const vector = <T>(
  prefix: Prefix,
  item: Codec<T>,
  min = 0,
  max = 256 ** prefix - 1,
): Codec<readonly T[]> => ({
  read: (from) =>
    from.within(prefix, min, max, (body) => {
      const items: T[] = [];
      while (body.left > 0) items.push(item.read(body));
      return items;
    }),
  write: (to, value) =>
    to.within(prefix, min, max, () => {
      for (const each of value) item.write(to, each);
    }),
});

/** `struct { … }`: fields in wire order. */
// oxlint-disable-next-line typescript/no-explicit-any -- a codec is invariant; the mapped type restores each field's own
export function struct<F extends Record<string, Codec<any>>>(
  fields: F,
): Codec<{ readonly [K in keyof F]: Of<F[K]> }> {
  const order = Object.entries(fields);
  const blank = blankOf(Object.keys(fields));
  return {
    read(from) {
      // A copy of one blank object: every value of a struct has the same shape.
      const value: Record<string, unknown> = { ...blank };
      for (const [name, field] of order) {
        from.field = name;
        value[name] = field.read(from);
      }
      return value as { [K in keyof F]: Of<F[K]> };
    },
    write(to, value) {
      for (const [name, field] of order) field.write(to, value[name]);
    },
  };
}

/** An object with these keys and nothing in them. */
export const blankOf = (keys: readonly string[]): Readonly<Record<string, undefined>> =>
  Object.fromEntries(keys.map((key) => [key, undefined]));

/** Reads a value that must fill `bytes` exactly. Throws a ProtocolError (decode_error). */
export function decode<T>(codec: Codec<T>, input: Uint8Array): T {
  const from = new Reader(input);
  const value = codec.read(from);
  from.finish();
  return value;
}

/** The bytes of a value. Throws a RangeError when it does not fit its fields. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const to = new Writer();
  codec.write(to, value);
  return to.done();
}
