import { wipe } from "../protocol/bytes.ts";
import { LinkError } from "../protocol/errors.ts";

export type Party = "alice" | "bob";
/** As seen by one party. */
export type Direction = "send" | "receive";
/** What a bit of authentication key was made by. */
export type KeyOrigin = "bootstrap" | "link";

/** Authentication key for both ways, the same for both parties. */
export interface TwoWayKey {
  readonly aliceToBob: Uint8Array;
  readonly bobToAlice: Uint8Array;
}

/** The books of one direction, in bits. earned + bootstrap = spent + dropped + reserve. */
export interface Account {
  readonly bootstrapBits: number;
  /** Made by the link and put in. */
  readonly earnedBits: number;
  readonly spentBits: number;
  /** Thrown away unspent: a retired bootstrap, or what was skipped. */
  readonly droppedBits: number;
  readonly reserveBits: number;
}

/**
 * Authentication key and what became of it. A bit leaves by `take` and is overwritten here in the same moment, so it
 * can be spent once only; when none is left, the link stops. Both parties put in the same key in the same order and take
 * it in the order of the messages, so that the nth bit sent is the nth bit received.
 */
export class Ledger {
  readonly #streams: Readonly<Record<Direction, Stream>>;
  readonly #party: Party;

  /** Takes over the bootstrap key: the caller keeps no copy. */
  constructor(party: Party, bootstrap: TwoWayKey) {
    this.#party = party;
    this.#streams = { send: new Stream("send"), receive: new Stream("receive") };
    this.#put(bootstrap, "bootstrap");
  }

  /**
   * Puts in key that the link has made, wiping it: the first half pays for messages from Alice to Bob, the second for
   * those from Bob to Alice. Both parties do it with no message under way between them. Throws a RangeError for an odd number of bytes.
   */
  deposit(key: Uint8Array): void {
    if (key.length % 2 !== 0) throw new RangeError(`${key.length} bytes cannot be halved`);
    const half = key.length / 2;
    this.#put({ aliceToBob: key.slice(0, half), bobToAlice: key.slice(half) }, "link");
    wipe(key);
  }

  /**
   * Moves the next bits of one direction out; the caller wipes them after use. The origin is `link` if all of them are.
   * Throws a LinkError (ERR_LINK_KEY_EXHAUSTED), and moves nothing, when there are too few.
   */
  take(direction: Direction, byteCount: number): { readonly key: Uint8Array; readonly origin: KeyOrigin } {
    return this.#streams[direction].take(byteCount);
  }

  /** Whether the next bits of one direction were made by the link; undefined when there are none. */
  nextOrigin(direction: Direction): KeyOrigin | undefined {
    return this.#streams[direction].nextOrigin;
  }

  account(direction: Direction): Account {
    return this.#streams[direction].account;
  }

  /** How many bits the link must put in for `bits` to be in reserve both ways; a whole number of bytes each way. */
  shortfallBits(bits: number): number {
    const reserve = Math.min(this.account("send").reserveBits, this.account("receive").reserveBits);
    return 16 * Math.max(0, Math.ceil((bits - reserve) / 8));
  }

  /**
   * Throws away what is left of the bootstrap key, once the link has made key of its own. Both parties do it at the same
   * point of their exchange, with no message under way. Throws a LinkError (ERR_LINK_KEY_EXHAUSTED) where nothing else is left to go on with.
   */
  retireBootstrap(): void {
    for (const stream of Object.values(this.#streams)) stream.demandLinkKey();
    for (const stream of Object.values(this.#streams)) stream.dropBootstrap();
  }

  /**
   * Throws key away up to the bit `position` since the beginning, to go on after messages were lost: forwards only, so
   * nobody can have a bit spent again. Throws a LinkError (ERR_LINK_KEY_EXHAUSTED or ERR_LINK_SEQUENCE).
   */
  skipTo(direction: Direction, position: number): void {
    this.#streams[direction].skipTo(position);
  }

  /** The bit that is next to be spent, counted from the beginning. */
  position(direction: Direction): number {
    const { spentBits, droppedBits } = this.account(direction);
    return spentBits + droppedBits;
  }

  /** Overwrites all that is left. */
  wipe(): void {
    for (const stream of Object.values(this.#streams)) stream.wipe();
  }

  #put({ aliceToBob, bobToAlice }: TwoWayKey, origin: KeyOrigin): void {
    const isAlice = this.#party === "alice";
    this.#streams.send.put(isAlice ? aliceToBob : bobToAlice, origin);
    this.#streams.receive.put(isAlice ? bobToAlice : aliceToBob, origin);
  }
}

interface Lot {
  readonly bytes: Uint8Array;
  readonly origin: KeyOrigin;
  at: number;
}

/** The key of one direction, first in, first out. */
class Stream {
  readonly #direction: Direction;
  #lots: Lot[] = [];
  readonly #bytes = { bootstrap: 0, link: 0, spent: 0, dropped: 0 };

  constructor(direction: Direction) {
    this.#direction = direction;
  }

  get account(): Account {
    const { bootstrap, link, spent, dropped } = this.#bytes;
    return {
      bootstrapBits: 8 * bootstrap,
      earnedBits: 8 * link,
      spentBits: 8 * spent,
      droppedBits: 8 * dropped,
      reserveBits: 8 * (bootstrap + link - spent - dropped),
    };
  }

  get nextOrigin(): KeyOrigin | undefined {
    return this.#lots[0]?.origin;
  }

  put(bytes: Uint8Array, origin: KeyOrigin): void {
    this.#bytes[origin] += bytes.length;
    if (bytes.length > 0) this.#lots.push({ bytes, origin, at: 0 });
  }

  take(byteCount: number): { readonly key: Uint8Array; readonly origin: KeyOrigin } {
    const reserve = this.account.reserveBits;
    if (8 * byteCount > reserve) throw exhausted(this.#direction, 8 * byteCount, reserve);
    const key = new Uint8Array(byteCount);
    let origin: KeyOrigin = "link";
    for (let filled = 0; filled < byteCount; ) {
      const lot = this.#lots[0] as Lot;
      const part = lot.bytes.subarray(lot.at, lot.at + byteCount - filled);
      key.set(part, filled);
      wipe(part);
      lot.at += part.length;
      filled += part.length;
      if (lot.origin === "bootstrap") origin = "bootstrap";
      if (lot.at === lot.bytes.length) this.#lots.shift();
    }
    this.#bytes.spent += byteCount;
    return { key, origin };
  }

  demandLinkKey(): void {
    if (this.#lots.some(({ origin }) => origin === "link")) return;
    throw exhausted(this.#direction, 8, 0);
  }

  dropBootstrap(): void {
    for (const lot of this.#lots) {
      if (lot.origin === "link") continue;
      this.#bytes.dropped += lot.bytes.length - lot.at;
      wipe(lot.bytes);
    }
    this.#lots = this.#lots.filter(({ origin }) => origin === "link");
  }

  skipTo(position: number): void {
    const by = position / 8 - this.#bytes.spent - this.#bytes.dropped;
    if (!(Number.isInteger(by) && by >= 0)) {
      throw new LinkError(
        "ERR_LINK_SEQUENCE",
        `bit ${position} of the authentication key is spent or no place for a tag`,
      );
    }
    wipe(this.take(by).key);
    this.#bytes.spent -= by;
    this.#bytes.dropped += by;
  }

  wipe(): void {
    for (const lot of this.#lots.splice(0)) {
      this.#bytes.dropped += lot.bytes.length - lot.at;
      wipe(lot.bytes);
    }
  }
}

const exhausted = (direction: Direction, neededBits: number, reserveBits: number): LinkError =>
  new LinkError(
    "ERR_LINK_KEY_EXHAUSTED",
    `${neededBits} bits of authentication key are needed to ${direction}, ${reserveBits} are left, and none is used twice`,
    { figures: { neededBits, reserveBits } },
  );
