/** Records of a connection by a peer that holds its keys, and what stands on the wire, by somebody who does not. */
import { expect } from "vitest";
import { expectHonest, expectNoHarm } from "../../support/tamper.ts";
import { concat, equal } from "../../../src/protocol/bytes.ts";
import { encodeHandshake, NewSessionTicket } from "../../../src/wire/handshake.ts";
import { nextTrafficSecret } from "../../../src/schedule/traffic.ts";
import { provider } from "../../support/credentials.ts";
import { Pair, type PairOptions, type Side } from "../../support/pair.ts";
import { forgerFor } from "../../support/records.ts";
import type { Target } from "../guided/search.ts";
import { afterwards, converse, expectConversation, scenarios } from "../scenarios.ts";

const APPLICATION_DATA = 23;
const HANDSHAKE = 22;
const PIECES = [1 << 20, 1, 3, 50];

/** Any bytes as steps: which, how often or where, and the bytes that go with it. */
function stepsOf(
  input: Uint8Array,
): { readonly which: number; readonly place: number; readonly bytes: Uint8Array }[] {
  const steps = [];
  for (let at = 0; at + 3 <= input.length; ) {
    const [which = 0, place = 0, size = 0] = input.subarray(at, (at += 3));
    steps.push({ which, place, bytes: input.subarray(at, (at += size % 48)) });
  }
  return steps;
}

/** Seals what it is told to, and knows what of it is application data. */
class Peer {
  readonly sent: Uint8Array[] = [];
  readonly #pair: Pair;
  readonly #side: Side;
  #secret: Uint8Array;
  #forger: ReturnType<typeof forgerFor>;

  constructor(pair: Pair, side: Side) {
    this.#pair = pair;
    this.#side = side;
    // It updates its own copy.
    this.#secret = pair[side].established!.secrets[`${side}Traffic`].slice();
    this.#forger = this.#next();
  }

  inner(plain: Uint8Array): Uint8Array {
    const end = plain.findLastIndex((byte) => byte !== 0);
    if (plain[end] === APPLICATION_DATA) this.sent.push(plain.subarray(0, end));
    return this.#forger.inner(plain);
  }

  record(type: number, content: Uint8Array, zeros = 0): Uint8Array {
    return this.inner(concat([content, Uint8Array.of(type), new Uint8Array(zeros)]));
  }

  keyUpdate(request: number): Uint8Array {
    const message = this.#forger.keyUpdate(request);
    const { suite } = this.#pair[this.#side].established!;
    this.#secret = nextTrafficSecret(provider.hash(suite.hash), this.#secret);
    this.#forger = this.#next();
    return message;
  }

  #next(): ReturnType<typeof forgerFor> {
    return forgerFor(this.#pair[this.#side].established!.suite.name, this.#secret);
  }
}

function ticket(place: number, bytes: Uint8Array): Uint8Array {
  return encodeHandshake("new_session_ticket", NewSessionTicket, {
    ticket_lifetime: place * 5000,
    ticket_age_add: place,
    ticket_nonce: bytes.subarray(0, 8),
    ticket: concat([Uint8Array.of(place), bytes]),
    extensions: {},
  });
}

/** What the peer makes of a step. */
function made(peer: Peer, { which, place, bytes }: ReturnType<typeof stepsOf>[number]): Uint8Array {
  switch (which % 10) {
    case 0:
    case 1:
      return peer.record(APPLICATION_DATA, bytes, place);
    case 2:
      return peer.record(HANDSHAKE, bytes);
    case 3:
      return peer.record(21, bytes);
    case 4:
      return peer.keyUpdate(place % 2);
    case 5:
      return peer.inner(bytes.length === 0 ? new Uint8Array(1) : bytes);
    case 6:
      return concat([Uint8Array.of(place, 3, 3, 0, bytes.length), bytes]);
    case 7:
      return bytes;
    case 8:
      return peer.record(HANDSHAKE, ticket(place, bytes));
    default:
      return concat(Array.from({ length: place % 40 }, () => peer.record(HANDSHAKE + (place % 2), bytes)));
  }
}

const limited = { recordSizeLimit: 100 };
const modes: readonly ((options: PairOptions) => PairOptions)[] = [
  (options) => options,
  ({ client, server }) => ({ client: { ...client, ...limited }, server: { ...server, ...limited } }),
];

/** Whatever the peer seals: the data that comes out is what it sealed as data, in order and to the end of it. */
function sealed(input: Uint8Array): void {
  const [mode = 0, pieces = 0] = input;
  const { client, server } = afterwards.options();
  // Without tickets nothing is sealed before the peer begins.
  const options = modes[(mode >> 1) % 2]!({ client: client!, server: { ...server, tickets: false } });
  const pair = new Pair(options).run();
  const victim: Side = mode % 2 === 0 ? "client" : "server";
  const peer = new Peer(pair, victim === "client" ? "server" : "client");
  const bytes = concat(stepsOf(input.subarray(2)).map((step) => made(peer, step)));
  const piece = PIECES[pieces % PIECES.length]!;
  for (let at = 0; at < bytes.length; at += piece) {
    pair.take(victim, pair[victim].receive(bytes.slice(at, at + piece)));
    if (pair[victim].state !== "connected") break;
  }
  pair[victim].takeOutput();
  const received = pair.received(victim);
  expect(equal(received, concat(peer.sent).subarray(0, received.length)), "other data than was sent").toBe(
    true,
  );
  expectHonest(pair, victim, "records");
}

const wires = [...scenarios, afterwards];
const DELIVERIES = 7;

/** Whatever is done to bytes on the wire: nobody is told what nobody said, and two that believe in it see one connection. */
function onTheWire(input: Uint8Array): void {
  const [which = 0, pieces = 0] = input;
  const scenario = wires[which % wires.length]!;
  const steps = stepsOf(input.subarray(2));
  let delivery = 0;
  const onBytes = (_: Side, sent: Uint8Array): Uint8Array => {
    if (sent.length === 0) return sent;
    const now = delivery++;
    let bytes = sent;
    for (const step of steps)
      if (step.which % DELIVERIES === now) bytes = changed(bytes, step.place, step.bytes);
    return bytes;
  };
  const options = scenario.options();
  const pair = new Pair({
    ...options,
    wire: { ...options.wire, onBytes, pieceBytes: PIECES[pieces % PIECES.length]! },
  });
  pair.borrowing = true;
  converse(pair);
  // Whoever can change the alert of one side, too, can leave the other waiting, as one who cuts the line can.
  if (pair.connected) expectNoHarm(pair, scenario.name);
  else for (const side of ["client", "server"] as const) expectHonest(pair, side, scenario.name);
  expectConversation(pair, scenario.name, pair.connected ? "connected" : "refused", false);
}

/** The first of the bytes says how, the others are put there or stand for how many. */
function changed(sent: Uint8Array, place: number, [how = 0, ...bytes]: Uint8Array): Uint8Array {
  const at = how % 8 < 3 ? Math.min(place, sent.length) : Math.floor((place / 256) * sent.length);
  const [head, tail] = [sent.subarray(0, at), sent.subarray(at)];
  switch (how % 8) {
    case 0:
    case 3:
      return concat([head, Uint8Array.from(bytes), tail]);
    case 1:
    case 4:
      return concat([head, Uint8Array.from(bytes), tail.subarray(bytes.length)]);
    case 2:
    case 5:
      return concat([head, tail.subarray(bytes.length)]);
    case 6:
      return concat([head, Uint8Array.from(bytes)]);
    default:
      return concat([sent, sent.subarray(0, at)]);
  }
}

const steps = (...each: readonly (readonly number[])[]): Uint8Array =>
  Uint8Array.from(each.flatMap(([which = 0, place = 0, ...bytes]) => [which, place, bytes.length, ...bytes]));

export const records: Target = {
  name: "records under known keys",
  seeds: () =>
    [0, 1, 2, 3].map((mode) =>
      concat([
        Uint8Array.of(mode, 0),
        steps([0, 0, 65, 66], [1, 5, 67], [4, 0], [0, 0, 68], [4, 1], [8, 1, 1, 2], [9, 4, 0], [3, 0, 1, 0]),
      ]),
    ),
  run: sealed,
  maxBytes: 300,
};

export const wire: Target = {
  name: "bytes on the wire",
  seeds: () =>
    wires.flatMap((_, at) => [
      Uint8Array.of(at, 0),
      concat([Uint8Array.of(at, 1), steps([0, 2, 0, 20, 3, 3, 0, 1, 1], [2, 0, 0, 21, 3, 3, 0, 2, 1, 0])]),
    ]),
  run: onTheWire,
  maxBytes: 200,
};
