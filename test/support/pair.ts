import { Channel } from "../../src/channel/channel.ts";
import type { ChannelEvent } from "../../src/channel/events.ts";
import { clientConfig, serverConfig } from "../../src/channel/config.ts";
import type { ClientOptions, ServerOptions } from "../../src/channel/options.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import type { Question } from "../../src/handshake/question.ts";
import { encodeSession } from "../../src/handshake/session.ts";
import { parseCertificate } from "../../src/pki/certificate.ts";
import { verifyChain } from "../../src/pki/verify.ts";
import { inProcessPair } from "../../src/qkd/pair.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { credentials, provider, type Credentials } from "./credentials.ts";

export type Side = "client" | "server";
type Events = readonly ChannelEvent[];

/** What a test may put between the two ends. */
export interface Wire {
  /** Sees, and may replace, what one side sends. */
  readonly onBytes?: (from: Side, bytes: Uint8Array) => Uint8Array;
  /** Delivers in pieces of this many bytes. */
  readonly pieceBytes?: number;
  /** Replaces the answer to a question; undefined leaves it. */
  readonly onQuestion?: (side: Side, question: Question) => unknown;
}

export interface PairOptions {
  readonly client?: Partial<ClientOptions>;
  readonly server?: Partial<ServerOptions>;
  readonly credentials?: Credentials;
  readonly clientCredentials?: Credentials;
  readonly wire?: Wire;
  readonly now?: () => number;
}

export const saes = { a: "sae-a", b: "sae-b" } as const;

/** A client and a server in memory, joined by a wire that a test controls; time is given, nothing waits. */
export class Pair {
  readonly client: Channel;
  readonly server: Channel;
  readonly events: { readonly client: ChannelEvent[]; readonly server: ChannelEvent[] } = {
    client: [],
    server: [],
  };
  readonly keys = inProcessPair(saes);
  /** Overwrites what was delivered as soon as `receive` returns. */
  borrowing = false;
  readonly #wire: Wire;
  readonly #credentials: Credentials;

  constructor(options: PairOptions = {}) {
    const own = options.credentials ?? credentials();
    this.#credentials = own;
    this.#wire = options.wire ?? {};
    const now = options.now ?? Date.now;
    this.client = Channel.client(
      clientConfig({
        provider,
        now,
        serverName: "localhost",
        ...(options.clientCredentials === undefined
          ? {}
          : { credentials: [options.clientCredentials.identity] }),
        ...options.client,
      }),
    );
    this.server = Channel.server(
      serverConfig({
        provider,
        now,
        credentials: [own.identity],
        tickets: { sealer: new TicketKeys({ provider, now }) },
        ...options.server,
      }),
    );
  }

  /** Runs the handshake until neither side has more to say. */
  run(): this {
    this.take("client", this.client.start());
    this.settle();
    return this;
  }

  /** Carries bytes to and fro until both are silent. */
  settle(): void {
    for (let round = 0; round < 50; round++) {
      const moved = this.carry("client") + this.carry("server");
      if (moved === 0) return;
    }
    throw new Error("the two ends never fall silent");
  }

  /** Carries what one side has to send; returns how many bytes there were. */
  carry(from: Side): number {
    const sent = concat(this[from].takeOutput());
    const bytes = this.#wire.onBytes?.(from, sent) ?? sent;
    const to: Side = from === "client" ? "server" : "client";
    const piece = this.#wire.pieceBytes ?? Math.max(bytes.length, 1);
    for (let at = 0; at < bytes.length; at += piece) {
      const part = this.borrowing ? bytes.subarray(at, at + piece) : bytes.slice(at, at + piece);
      this.take(to, this[to].receive(part));
      if (this.borrowing) part.fill(0xff);
    }
    return sent.length;
  }

  take(side: Side, events: Events): void {
    for (const event of events) {
      this.events[side].push(event);
      if (event.event === "question") this.#reply(side, event.question);
    }
  }

  #reply(side: Side, question: Question): void {
    const channel = this[side];
    try {
      const given = this.#wire.onQuestion?.(side, question);
      if (given instanceof Error) throw given;
      this.take(side, channel.answer(given ?? this.#answer(question)));
    } catch (error) {
      this.take(side, channel.refuse(error as Error));
    }
  }

  #answer(question: Question): unknown {
    switch (question.ask) {
      case "verify_peer": {
        const { name, purpose } = question;
        const chain = question.chain.map((der) => parseCertificate(der));
        const { anchors } = this.#credentials;
        verifyChain({
          provider,
          chain,
          anchors,
          purpose,
          nowMs: Date.now(),
          ...(name === undefined ? {} : { name }),
        });
        return { authorized: true };
      }
      case "draw_qkd_key":
        return this.keys.a.drawNow(question.peer);
      case "redeem_qkd_key":
        return this.keys.b.redeemNow(question.initiator, question.keyId);
      case "choose_identity":
      case "find_ocsp_response":
      case "choose_client_identity":
      case "find_psk":
      case "load_ticket":
      case "sign":
        return undefined;
    }
  }

  /** The first error that a side reported. */
  error(side: Side): Error | undefined {
    return this.events[side].find((event) => event.event === "error")?.error;
  }

  /** Everything a side received, joined. */
  received(side: Side): Uint8Array {
    return concat(this.events[side].flatMap((event) => (event.event === "data" ? [event.bytes] : [])));
  }

  /** The newest session the client was given. */
  get session(): Uint8Array | undefined {
    const session = this.events.client.findLast((event) => event.event === "session")?.session;
    return session === undefined ? undefined : encodeSession(session);
  }

  get connected(): boolean {
    return this.client.state === "connected" && this.server.state === "connected";
  }
}

/** Both ends with QKD, as the default policy has it. */
export const withQkd = {
  client: { qkd: { sae: saes.a, peer: saes.b } },
  server: { qkd: { sae: saes.b } },
} as const;
