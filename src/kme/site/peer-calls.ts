/** Calls between two KMEs over one connection that both have authenticated; either may call. */

import type { Duplex } from "node:stream";
import { equal } from "../../protocol/bytes.ts";
import { LinkError } from "../../protocol/errors.ts";
import type { Room } from "../link-pace.ts";
import type { Issue, KmeLink, Recipe } from "../issue.ts";
import { type Site, SITES } from "./fibre-messages.ts";
import { Frames } from "./frames.ts";
import {
  CHUNK_IDS,
  MOST_NAMED,
  MOST_PEER_BYTES,
  PEER_VERSION,
  type PeerMessage,
  PeerMessages,
} from "./peer-messages.ts";

/** A block of the link, whose pieces both ends come to by themselves. */
export interface LinkBlock {
  /** Of the session. */
  readonly context: Uint8Array;
  readonly block: number;
}

/** What each KME does for the other one. */
export interface PeerWork {
  accept(issue: Issue): Promise<boolean>;
  withdraw(keys: readonly Recipe[]): Promise<void>;
  agree(blocks: readonly string[]): Promise<readonly string[]>;
  room(): Room;
  /** Puts the first `count` pieces of the block that the other one may issue; how many of them are there now, durably. */
  land(block: LinkBlock, count: number): Promise<number>;
}

/** The same from the caller's side. What fails, or takes too long, is rejected, and nobody knows what became of it. */
export interface PeerLink extends KmeLink {
  room(): Promise<Room>;
  land(block: LinkBlock, count: number): Promise<number>;
}

export interface PeerCallsOptions {
  readonly site: Site;
  readonly blockBytes: number;
  readonly simulated: boolean;
  readonly work: PeerWork;
  /** The other KME is one that fits. */
  readonly onReady: (calls: PeerCalls) => void;
  readonly onClose: (error: Error | undefined, calls: PeerCalls) => void;
}

/** Calls under way each way; more of our own wait, more of the other's end the connection. */
const MOST_CALLS = 64;
const MOST_WAITING = 4096;
/** Half of the time that a store lets pass before the lack of a block means something. */
const CALL_MS = 5000;
const HELLO_MS = 5000;

const CALLS = ["announce", "withdraw", "agree", "room", "land"] as const;
type CallMessage = Extract<PeerMessage, { kind: (typeof CALLS)[number] }>;
type Answer = Exclude<PeerMessage, CallMessage | { kind: "hello" }>;

const isCall = (message: PeerMessage): message is CallMessage => CALLS.some((kind) => kind === message.kind);

interface Call {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly late: NodeJS.Timeout;
  /** Ids of an answer in parts. */
  readonly ids: string[];
}

export class PeerCalls implements PeerLink {
  readonly #options: PeerCallsOptions;
  readonly #frames: Frames;
  readonly #calls = new Map<number, Call>();
  readonly #waiting: (() => void)[] = [];
  #late: NodeJS.Timeout;
  #isReady = false;
  #isClosed = false;
  #lastCall = 0;
  /** Calls of the other KME that are being worked on, and the ids of those that come in parts. */
  #working = 0;
  readonly #named = new Map<number, string[]>();

  /** The stream is destroyed with it. */
  constructor(stream: Duplex, options: PeerCallsOptions) {
    this.#options = options;
    this.#frames = new Frames(stream, {
      maxBytes: MOST_PEER_BYTES,
      onFrame: (frame) => this.#hear(PeerMessages.read(frame)),
      onClose: (error) => this.#onClose(error),
    });
    this.#late = setTimeout(() => this.close(closed("the other KME does not say who it is")), HELLO_MS);
    this.#frames.send(PeerMessages.write("hello", this.#hello(options.site)));
  }

  async announce(issue: Issue): Promise<void> {
    const answer = await this.#call((call) => [PeerMessages.write("announce", { call, ...issue })]);
    if (answer.kind !== "announced") throw this.#unfit(answer);
    if (answer.body.accepted !== 1) throw new Error("the other end lacks a block of this issue");
  }

  async withdraw(keys: readonly Recipe[]): Promise<void> {
    for (let at = 0; at < keys.length; at += MOST_WITHDRAWN) {
      const part = keys.slice(at, at + MOST_WITHDRAWN);
      const answer = await this.#call((call) => [PeerMessages.write("withdraw", { call, keys: part })]);
      if (answer.kind !== "withdrawn") throw this.#unfit(answer);
    }
  }

  async agree(blocks: readonly string[]): Promise<readonly string[]> {
    if (blocks.length > MOST_NAMED)
      throw new RangeError(`${blocks.length} blocks are more than can be named`);
    const lacking: string[] = [];
    const answer = await this.#call(
      (call) =>
        parts(blocks).map(({ ids, last }) => PeerMessages.write("agree", { call, last, blocks: ids })),
      lacking,
    );
    if (answer.kind !== "lacking") throw this.#unfit(answer);
    return lacking;
  }

  async room(): Promise<Room> {
    const answer = await this.#call((call) => [PeerMessages.write("room", { call })]);
    if (answer.kind !== "space") throw this.#unfit(answer);
    const { outgoing, incoming } = answer.body;
    return { outgoing, incoming };
  }

  async land({ context, block }: LinkBlock, count: number): Promise<number> {
    const answer = await this.#call((call) => [PeerMessages.write("land", { call, context, block, count })]);
    if (answer.kind !== "landed") throw this.#unfit(answer);
    return Math.min(answer.body.count, count);
  }

  close(error?: Error): void {
    this.#frames.close(error);
  }

  #hello(site: Site) {
    const { blockBytes: block_bytes, simulated } = this.#options;
    const number = SITES.indexOf(site) + 1;
    return { version: PEER_VERSION, site: number, block_bytes, simulated: simulated ? 1 : 0 };
  }

  async #call(write: (call: number) => readonly Uint8Array[], ids: string[] = []): Promise<Answer> {
    while (this.#calls.size >= MOST_CALLS) await this.#turn();
    if (!this.#isReady || this.#isClosed) throw closed("the other KME is not there");
    const call = (this.#lastCall = (this.#lastCall + 1) % 2 ** 32);
    const messages = write(call);
    return await new Promise<Answer>((resolve, reject) => {
      const late = setTimeout(() => this.close(closed("the other KME takes too long")), CALL_MS);
      this.#calls.set(call, { resolve, reject, late, ids });
      for (const message of messages) this.#frames.send(message);
    });
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= MOST_WAITING) throw closed("too many calls wait for the other KME");
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #hear(message: PeerMessage): void {
    if (!this.#isReady) return this.#greet(message);
    if (message.kind === "hello") throw new LinkError("ERR_LINK_UNEXPECTED", "KME link: hello came twice");
    if (isCall(message)) this.#onCall(message);
    else this.#onAnswer(message);
  }

  #greet({ kind, body }: PeerMessage): void {
    if (kind !== "hello") throw new LinkError("ERR_LINK_UNEXPECTED", `KME link: ${kind} before hello`);
    const wanted = this.#hello(this.#options.site === "a" ? "b" : "a");
    for (const field of ["version", "site", "block_bytes", "simulated"] as const) {
      if (body[field] === wanted[field]) continue;
      const text = `the other KME says ${field} ${body[field]} where ${wanted[field]} belongs`;
      throw new LinkError("ERR_LINK_MALFORMED", text);
    }
    clearTimeout(this.#late);
    this.#isReady = true;
    this.#options.onReady(this);
  }

  #onAnswer(answer: Answer): void {
    const { call: number } = answer.body;
    const call = this.#calls.get(number);
    if (call === undefined) throw new LinkError("ERR_LINK_UNEXPECTED", `KME link: ${answer.kind} to no call`);
    if (answer.kind === "lacking") {
      if (call.ids.length + answer.body.blocks.length > MOST_NAMED) throw tooMany();
      for (const id of answer.body.blocks) call.ids.push(id);
      if (answer.body.last !== 1) return;
    }
    clearTimeout(call.late);
    this.#calls.delete(number);
    this.#waiting.shift()?.();
    call.resolve(answer);
  }

  #onCall(message: CallMessage): void {
    const { call } = message.body;
    let blocks: string[] = [];
    if (message.kind === "agree") {
      blocks = this.#named.get(call) ?? [];
      if (blocks.length + message.body.blocks.length > MOST_NAMED || this.#named.size > MOST_CALLS) {
        throw tooMany();
      }
      for (const id of message.body.blocks) blocks.push(id);
      this.#named.set(call, blocks);
      if (message.body.last !== 1) return;
      this.#named.delete(call);
    }
    if (this.#working >= MOST_CALLS)
      throw new LinkError("ERR_LINK_LIMIT", "KME link: too many calls at once");
    this.#working++;
    void this.#answer(message, blocks);
  }

  async #answer(message: CallMessage, named: readonly string[]): Promise<void> {
    try {
      for (const answer of await this.#perform(message, named)) this.#frames.send(answer);
    } catch {
      this.#frames.send(PeerMessages.write("failed", { call: message.body.call }));
    } finally {
      this.#working--;
    }
  }

  async #perform({ kind, body }: CallMessage, named: readonly string[]): Promise<readonly Uint8Array[]> {
    const { work } = this.#options;
    const { call } = body;
    switch (kind) {
      case "announce":
        return [PeerMessages.write("announced", { call, accepted: (await work.accept(body)) ? 1 : 0 })];
      case "withdraw":
        await work.withdraw(body.keys);
        return [PeerMessages.write("withdrawn", { call })];
      case "agree":
        return parts(await work.agree(named)).map(({ ids, last }) =>
          PeerMessages.write("lacking", { call, last, blocks: ids }),
        );
      case "room":
        return [PeerMessages.write("space", { call, ...work.room() })];
      case "land": {
        const block = { context: body.context.slice(), block: body.block };
        return [PeerMessages.write("landed", { call, count: await work.land(block, body.count) })];
      }
    }
  }

  #unfit(answer: Answer): Error {
    if (answer.kind === "failed") return new Error("the other KME could not do it");
    const error = new LinkError("ERR_LINK_UNEXPECTED", `KME link: ${answer.kind} answers another call`);
    this.close(error);
    return error;
  }

  #onClose(error: Error | undefined): void {
    this.#isClosed = true;
    clearTimeout(this.#late);
    for (const { reject, late } of this.#calls.values()) {
      clearTimeout(late);
      reject(error ?? closed("the other KME has gone"));
    }
    this.#calls.clear();
    this.#named.clear();
    for (const next of this.#waiting.splice(0)) next();
    this.#options.onClose(error, this);
  }
}

/** Keys withdrawn at once, so that the message fits. */
const MOST_WITHDRAWN = 128;

/** Ids in messages that fit; one message where there are none. */
function parts(ids: readonly string[]): { readonly ids: readonly string[]; readonly last: number }[] {
  const count = Math.max(1, Math.ceil(ids.length / CHUNK_IDS));
  return Array.from({ length: count }, (_, at) => ({
    ids: ids.slice(at * CHUNK_IDS, (at + 1) * CHUNK_IDS),
    last: at === count - 1 ? 1 : 0,
  }));
}

export const sameBlock = (one: LinkBlock, other: LinkBlock): boolean =>
  one.block === other.block && equal(one.context, other.context);

const closed = (what: string): LinkError => new LinkError("ERR_LINK_CLOSED", what);
const tooMany = (): LinkError => new LinkError("ERR_LINK_LIMIT", "KME link: more blocks than can be named");
