/** The classical channel between the two parties: every message authenticated, none encrypted. */
import { concat } from "../protocol/bytes.ts";
import { LinkError } from "../protocol/errors.ts";
import { type Codec, encode, opaque, struct, u32, u8 } from "../wire/codec.ts";
import type { Authenticator } from "./authentication.ts";
import type { Party } from "./ledger.ts";
import { readBody } from "./message.ts";

const MAX_SEQUENCE = 2 ** 48 - 1;
export const MAX_MESSAGE_BYTES = 2 ** 24 - 1;

const u48: Codec<number> = {
  read: (from) => from.uint(2) * 2 ** 32 + from.uint(4),
  write(to, value) {
    to.uint(2, Math.floor(value / 2 ** 32));
    to.uint(4, value % 2 ** 32);
  },
};

/** What stands in front of a message; all of it is under the tag. */
const Header = struct({
  /** 1 from Alice, 2 from Bob. */
  sender: u8,
  /** The block of key that the message is about. */
  block: u32,
  /** 0, 1, 2 … for each sender. */
  sequence: u48,
});

const Frame = struct({ header: Header, message: opaque(3), tag: opaque(2) });

export interface ClassicalMessage {
  readonly block: number;
  readonly message: Uint8Array;
}

/** Bytes of a frame around a message, tag not counted. */
export const FRAME_BYTES = 1 + 4 + 6 + 3 + 2;

/**
 * One party's end of the channel. The first frame that is not the peer's next one closes it for good, both ways: there
 * is no second try against the same key. That the last frames were cut off shows by their not coming, which is the
 * host's to notice.
 */
export class ClassicalChannel {
  readonly #sender: number;
  readonly #peer: number;
  readonly #context: Uint8Array;
  readonly #authenticator: Authenticator;
  #sent = 0;
  #received = 0;
  #sentBlock = 0;
  #receivedBlock = 0;
  #isClosed = false;

  /** `context` is under every tag: a value of this session's own, such as the hash of the bootstrap's transcript. */
  constructor(party: Party, context: Uint8Array, authenticator: Authenticator) {
    this.#sender = party === "alice" ? 1 : 2;
    this.#peer = 3 - this.#sender;
    this.#context = context.slice();
    this.#authenticator = authenticator;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  /** Frames sent and received so far. */
  get counts(): { readonly sent: number; readonly received: number } {
    return { sent: this.#sent, received: this.#received };
  }

  /**
   * The frame around a message about this block. Throws a LinkError (ERR_LINK_KEY_EXHAUSTED) when no tag can be paid,
   * (ERR_LINK_CLOSED) once closed, and a RangeError for a block before the last one or a message of 2^24 bytes.
   */
  seal(block: number, message: Uint8Array): Uint8Array {
    this.#demandOpen();
    if (block < this.#sentBlock) throw new RangeError(`block ${block} after block ${this.#sentBlock}`);
    if (message.length > MAX_MESSAGE_BYTES) throw new RangeError(`a message of ${message.length} bytes`);
    if (this.#sent > MAX_SEQUENCE)
      throw new LinkError("ERR_LINK_LIMIT", "the channel has carried 2^48 messages");
    const header = { sender: this.#sender, block, sequence: this.#sent };
    const data = this.#data(header, message);
    const frame = { header, message, tag: this.#authenticator.tag(data) };
    this.#sent += 1;
    this.#sentBlock = block;
    return encode(Frame, frame);
  }

  /**
   * What a frame says, if it is the peer's next one: a view of `bytes`. Throws a LinkError and closes otherwise:
   * ERR_LINK_MALFORMED, ERR_LINK_SEQUENCE (replayed, out of order, after a missing one, or our own come back) or
   * ERR_LINK_FORGED.
   */
  open(bytes: Uint8Array): ClassicalMessage {
    this.#demandOpen();
    try {
      return this.#open(bytes);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Gives up the keys; nothing is sent or taken any more. */
  close(): void {
    this.#isClosed = true;
    this.#authenticator.wipe();
  }

  #open(bytes: Uint8Array): ClassicalMessage {
    const { header, message, tag } = readBody("classical channel", bytes, (from) => Frame.read(from));
    const { sender, sequence, block } = header;
    if (sender === this.#sender) throw outOfOrder("our own message came back");
    if (sender !== this.#peer)
      throw new LinkError("ERR_LINK_MALFORMED", `classical channel: no sender ${sender}`);
    if (sequence !== this.#received) throw outOfOrder(`message ${sequence} where ${this.#received} belongs`);
    if (block < this.#receivedBlock) throw outOfOrder(`block ${block} after block ${this.#receivedBlock}`);
    if (!this.#authenticator.check(this.#data(header, message), tag)) {
      throw new LinkError(
        "ERR_LINK_FORGED",
        `classical channel: message ${sequence} does not have the peer's tag`,
      );
    }
    this.#received += 1;
    this.#receivedBlock = block;
    return { block, message };
  }

  #data(header: Parameters<typeof Header.write>[1], message: Uint8Array): Uint8Array {
    return concat([this.#context, encode(Header, header), message]);
  }

  #demandOpen(): void {
    if (this.#isClosed) throw new LinkError("ERR_LINK_CLOSED", "the classical channel is closed");
  }
}

const outOfOrder = (what: string): LinkError =>
  new LinkError("ERR_LINK_SEQUENCE", `classical channel: ${what}`);
