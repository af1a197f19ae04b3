/** Changes to the extensions of any message, as whole extensions: what stands around them stays well formed. */
import { concat } from "../../../src/protocol/bytes.ts";
import { HandshakeType } from "../../../src/protocol/iana.ts";
import {
  bytes,
  decode,
  encode,
  opaque,
  struct,
  u16,
  vector,
  type Codec,
  type Of,
} from "../../../src/wire/codec.ts";
import { field } from "../../support/codec-rules.ts";

const Extension = struct({ type: u16, body: opaque(2) });
export type Extension = Of<typeof Extension>;
const extensions = vector(2, Extension);

interface Holder {
  readonly extensions: readonly Extension[];
}

/** Messages as far as it takes to find their extensions. */
const HOLDERS: Readonly<Record<number, Codec<Holder>>> = {
  [HandshakeType.client_hello]: struct({
    head: bytes(34),
    session: opaque(1),
    suites: opaque(2),
    compression: opaque(1),
    extensions,
  }),
  [HandshakeType.server_hello]: struct({ head: bytes(34), session: opaque(1), suite: bytes(3), extensions }),
  [HandshakeType.encrypted_extensions]: struct({ extensions }),
  [HandshakeType.certificate_request]: struct({ context: opaque(1), extensions }),
  [HandshakeType.new_session_ticket]: struct({
    head: bytes(8),
    nonce: opaque(1),
    ticket: opaque(2),
    extensions,
  }),
};
const Certificate = struct({
  context: opaque(1),
  list: vector(3, struct({ data: opaque(3), extensions })),
});

const HEADER_BYTES = 4;

/**
 * The message with one extension put in, left out, given this body or this type, as `place` says; of a Certificate the
 * first entry's, or the entry itself doubled. A message that has no extensions, or is too broken, stays as it is.
 */
export function extensionsInstead(message: Uint8Array, place: number, extension: Extension): Uint8Array {
  const body = message.subarray(HEADER_BYTES);
  const framed = (other: Uint8Array): Uint8Array => concat([message.subarray(0, 1), field(3, other)]);
  try {
    if (message[0] === HandshakeType.certificate) {
      const { context, list } = decode(Certificate, body);
      const [first, ...others] = list;
      if (first === undefined) return message;
      const instead =
        place % 5 === 4
          ? [first, first]
          : [{ ...first, extensions: changed(first.extensions, place, extension) }];
      return framed(encode(Certificate, { context, list: [...instead, ...others] }));
    }
    const codec = HOLDERS[message[0] ?? -1];
    if (codec === undefined) return message;
    const holder = decode(codec, body);
    return framed(encode(codec, { ...holder, extensions: changed(holder.extensions, place, extension) }));
  } catch {
    return message;
  }
}

function changed(all: readonly Extension[], place: number, extension: Extension): readonly Extension[] {
  const at = Math.floor(place / 5) % (all.length + 1);
  const there = all[at];
  if (there === undefined || place % 5 === 0) return all.toSpliced(at, 0, extension);
  if (place % 5 === 1) return all.toSpliced(at, 1);
  return all.with(
    at,
    place % 5 === 2 ? { ...there, body: extension.body } : { ...there, type: extension.type },
  );
}
