/** What two KMEs say to each other over their TLS connection. No key: ids, names and figures. */

import { messages } from "../../link/message.ts";
import { fromHex, fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts";
import { bytes, type Codec, opaque, struct, u16, u32, u8, vector } from "../../wire/codec.ts";

export const PEER_VERSION = 1;
/** A message, at most: 60,000 ids. */
export const MOST_PEER_BYTES = 2 ** 20;
/** Ids in one message of many. */
export const CHUNK_IDS = 16_384;
/** Blocks that one KME may name in all. */
export const MOST_NAMED = 2 ** 20;

/** A UUID as its 16 bytes. RFC 9562 §4. */
export const uuid: Codec<string> = {
  read(from) {
    const hex = toHex(bytes(16).read(from));
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  },
  write(to, id) {
    const octets = fromHex(id.replaceAll("-", ""));
    if (octets?.length !== 16) throw new RangeError("an id that is no UUID");
    to.put(octets);
  },
};

const text: Codec<string> = {
  read: (from) => fromUtf8(opaque(2, 1, 1024).read(from)),
  write: (to, value) => opaque(2, 1, 1024).write(to, utf8(value)),
};
const ids = vector(3, uuid);
const Recipe = struct({ id: uuid, blocks: ids });

export const PeerMessages = messages("KME link", {
  /** The first one, each way: what must be alike, and who of the two it is. */
  hello: { code: 1, body: struct({ version: u8, site: u8, block_bytes: u16, simulated: u8 }) },
  announce: {
    code: 2,
    body: struct({
      call: u32,
      master: text,
      slaves: vector(3, text),
      bytes: u32,
      keys: vector(3, Recipe),
    }),
  },
  withdraw: { code: 3, body: struct({ call: u32, keys: vector(3, Recipe) }) },
  /** In parts; `last` is 1 in the last one. */
  agree: { code: 4, body: struct({ call: u32, last: u8, blocks: ids }) },
  room: { code: 5, body: struct({ call: u32 }) },
  /** The first `count` pieces that the sender may issue of this block of the link are to be put by the receiver. */
  land: { code: 6, body: struct({ call: u32, context: opaque(1), block: u32, count: u32 }) },

  /** Answers, to announce, withdraw, agree, room and land. */
  announced: { code: 16, body: struct({ call: u32, accepted: u8 }) },
  withdrawn: { code: 17, body: struct({ call: u32 }) },
  lacking: { code: 18, body: struct({ call: u32, last: u8, blocks: ids }) },
  space: { code: 19, body: struct({ call: u32, outgoing: u32, incoming: u32 }) },
  landed: { code: 20, body: struct({ call: u32, count: u32 }) },
  /** It could not be done, and nobody knows how much of it was. */
  failed: { code: 21, body: struct({ call: u32 }) },
});
export type PeerMessage = ReturnType<typeof PeerMessages.read>;
