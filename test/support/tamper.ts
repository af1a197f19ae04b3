/**
 * A place to stand between what a handshake decides and what its channel seals, so that a test can change, drop,
 * repeat or reorder any message, encrypted or not; and what must be true whatever was done.
 */
import { expect, vi } from "vitest";
import type { Engine } from "../../src/channel/engine.ts";
import type { Effect } from "../../src/handshake/machine.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { alertFor, PeerAlert, ProtocolError, TrustError } from "../../src/protocol/errors.ts";
import { HandshakeType, nameOf } from "../../src/protocol/iana.ts";
import { decode, encode, type Codec } from "../../src/wire/codec.ts";
import * as wire from "../../src/wire/handshake.ts";
import { ClientHello, decodeServerHello, HelloRetryRequest, ServerHello } from "../../src/wire/hello.ts";
import { field, number } from "./codec-rules.ts";
import { Pair, type PairOptions, type Side } from "./pair.ts";

/** Says what goes out in place of a side's n-th message, counted from 0. */
export type Tamper = (side: Side, at: number, message: Uint8Array) => readonly Uint8Array[];
/** The same by a peer that lies: its own transcript holds what it sends, so that only the lie itself can be found. */
export type Lie = (side: Side, at: number, message: Uint8Array) => Uint8Array;

let tamper: Tamper | undefined;
let lie: Lie | undefined;
/** Asked for each message that is being written, while a lying engine takes a step. */
let writing: ((message: Uint8Array) => Uint8Array) | undefined;

vi.mock("../../src/channel/engine.ts", async (original) => {
  const { clientEngine, serverEngine } = await original<typeof import("../../src/channel/engine.ts")>();
  return {
    clientEngine: (...args: Parameters<typeof clientEngine>) => between("client", clientEngine(...args)),
    serverEngine: (...args: Parameters<typeof serverEngine>) => between("server", serverEngine(...args)),
  };
});

vi.mock("../../src/wire/handshake.ts", async (original) => {
  const module = await original<typeof import("../../src/wire/handshake.ts")>();
  const encodeHandshake: typeof module.encodeHandshake = (type, body, value) => {
    const message = module.encodeHandshake(type, body, value);
    return writing === undefined ? message : writing(message);
  };
  return { ...module, encodeHandshake };
});

function between(side: Side, engine: Engine): Engine {
  if (lie !== undefined) return lying(side, engine, lie);
  const change = tamper;
  if (change === undefined) return engine;
  let at = 0;
  const instead = (effect: Effect): readonly Effect[] =>
    effect.do === "send"
      ? change(side, at++, effect.message).map((message) => ({ do: "send", message }))
      : [effect];
  return { ...engine, step: (name, input) => engine.step(name, input).flatMap(instead) };
}

function lying(side: Side, engine: Engine, change: Lie): Engine {
  let at = 0;
  return {
    ...engine,
    step(name, input) {
      // A compressed certificate takes the place of the one that was written just before it.
      writing = (message) =>
        change(side, message[0] === HandshakeType.compressed_certificate ? at - 1 : at++, message);
      try {
        return engine.step(name, input);
      } finally {
        writing = undefined;
      }
    },
  };
}

/** A pair whose messages go through `change` after their transcript was taken and before they are sealed. */
export function tamperedPair(options: PairOptions, change: Tamper): Pair {
  tamper = change;
  try {
    return new Pair(options);
  } finally {
    tamper = undefined;
  }
}

/** A pair whose messages are changed where they are written. */
export function lyingPair(options: PairOptions, change: Lie): Pair {
  lie = change;
  try {
    return new Pair(options);
  } finally {
    lie = undefined;
  }
}

/** What a message is called, as `client certificate_verify`. */
export const describeMessage = (side: Side, message: Uint8Array): string =>
  `${side} ${isRetry(message) ? "hello_retry_request" : nameOf(HandshakeType, message[0] as number)}`;

function isRetry(message: Uint8Array): boolean {
  return message[0] === HandshakeType.server_hello && decodeServerHello(message.subarray(4)).retry;
}

function codecOf(message: Uint8Array): Codec<unknown> {
  switch (nameOf(HandshakeType, message[0] as number)) {
    case "client_hello":
      return ClientHello;
    case "server_hello":
      return isRetry(message) ? HelloRetryRequest : ServerHello;
    case "encrypted_extensions":
      return wire.EncryptedExtensions;
    case "certificate_request":
      return wire.CertificateRequest;
    case "certificate":
      return wire.Certificate;
    case "compressed_certificate":
      return wire.CompressedCertificate;
    case "certificate_verify":
      return wire.CertificateVerify;
    case "finished":
      return wire.Finished;
    case "new_session_ticket":
      return wire.NewSessionTicket;
    case "key_update":
      return wire.KeyUpdate;
    default:
      throw new Error("a message without a codec");
  }
}

/** One way to change a message; `what` names the field and stays the same from run to run. */
export interface Change {
  readonly what: string;
  /** The changed message; undefined when it cannot be written. */
  readonly apply: () => Uint8Array | undefined;
}

/** Every field of a message flipped, emptied, shortened, lengthened, dropped or doubled, and its frame bent. */
export function changesOf(message: Uint8Array): readonly Change[] {
  const codec = codecOf(message);
  const type = message[0] as number;
  const inFields = alternatives(decode(codec, message.subarray(4))).map(({ what, value }) => ({
    what,
    apply: () => {
      try {
        return framed(type, encode(codec, value()));
      } catch (error) {
        if (error instanceof RangeError) return undefined;
        throw error;
      }
    },
  }));
  return [...inFields, ...bentFrames(message)];
}

const framed = (type: number, body: Uint8Array): Uint8Array => concat([number(1, type), field(3, body)]);

function bentFrames(message: Uint8Array): Change[] {
  const [type, body] = [message[0] as number, message.subarray(4)];
  const bent = (what: string, apply: () => Uint8Array): Change => ({ what: `frame: ${what}`, apply });
  const bytes = [...new Set([4, 5, 6, 37, 38, 39, 60, 100, message.length - 1])].filter(
    (at) => at >= 4 && at < message.length,
  );
  return [
    ...[0, ...Object.values<number>(HandshakeType), 99, 255]
      .filter((other) => other !== type)
      .map((other) => bent(`type ${other}`, () => framed(other, body))),
    bent("no body", () => framed(type, new Uint8Array(0))),
    bent("a byte less", () => framed(type, body.subarray(0, -1))),
    bent("a byte more", () => framed(type, concat([body, new Uint8Array(1)]))),
    bent("length one less", () => concat([number(1, type), number(3, body.length - 1), body])),
    bent("length one more", () => concat([number(1, type), number(3, body.length + 1), body])),
    bent("length 2^24-1", () => concat([number(1, type), number(3, 0xffffff), body])),
    ...bytes.map((at) =>
      bent(`byte ${at < message.length - 1 ? at : "last"} flipped`, () =>
        message.map((byte, i) => (i === at ? byte ^ 0x80 : byte)),
      ),
    ),
  ];
}

interface Alternative {
  readonly what: string;
  readonly value: () => unknown;
}

/** Every value that differs from this one in a single field. */
function alternatives(value: unknown, path = ""): Alternative[] {
  if (typeof value === "number") {
    return [value ^ 1, 0, 0xffff, 0xff, 0x0a0a]
      .filter((other) => other !== value)
      .map((other, i) => ({ what: `${path} number ${i}`, value: () => other >>> 0 }));
  }
  if (value instanceof Uint8Array) return bytesInstead(value, path);
  if (Array.isArray(value)) return listInstead(value, path);
  if (typeof value !== "object" || value === null) return [];
  const fields = Object.entries(value).filter(([name]) => name !== "present");
  return fields.flatMap(([name, part]) => [
    ...alternatives(part, path === "" ? name : `${path}.${name}`).map(({ what, value: other }) => ({
      what,
      value: () => ({ ...value, [name]: other() }),
    })),
    ...(path.endsWith("extensions")
      ? [{ what: `${path}.${name} left out`, value: () => ({ ...value, [name]: undefined }) }]
      : []),
  ]);
}

function bytesInstead(value: Uint8Array, path: string): Alternative[] {
  const flipped = (at: number) => () => value.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const grown = { what: `${path} a byte more`, value: () => concat([value, new Uint8Array(1)]) };
  if (value.length === 0) return [grown];
  return [
    grown,
    { what: `${path} first bit`, value: flipped(0) },
    { what: `${path} middle bit`, value: flipped(value.length >> 1) },
    { what: `${path} last bit`, value: flipped(value.length - 1) },
    { what: `${path} zeros`, value: () => new Uint8Array(value.length) },
    { what: `${path} a byte less`, value: () => value.subarray(0, -1) },
    { what: `${path} empty`, value: () => new Uint8Array(0) },
  ];
}

function listInstead(value: readonly unknown[], path: string): Alternative[] {
  // Of a long list its ends are enough.
  const places = [...new Set([0, value.length - 1])].filter((at) => at >= 0);
  return [
    ...places.flatMap((at) =>
      alternatives(value[at], `${path}[${at === 0 ? "first" : "last"}]`).map(({ what, value: other }) => ({
        what,
        value: () => value.with(at, other()),
      })),
    ),
    { what: `${path} empty`, value: () => [] },
    { what: `${path} without its first`, value: () => value.slice(1) },
    { what: `${path} doubled`, value: () => [...value, ...value] },
    { what: `${path} reversed`, value: () => value.toReversed() },
  ];
}

/** How a run ended. */
export type Ending = "refused" | "stalled" | "connected";

const SIDES = ["client", "server"] as const;

/**
 * What must hold after anything was done to a connection: no side failed more than once, or for another reason than a
 * rule of the protocol or of trust; a side that refused told the other; and two sides that both believe in the
 * connection see the same one. A run in which both still wait is ended, as a transport would.
 */
export function expectNoHarm(
  pair: Pair,
  what: string,
  { alertsMayBeForged = false, alertsMayBeSkipped = false } = {},
): Ending {
  const failed = SIDES.filter((side) => pair[side].state === "failed");
  let ending: Ending = "refused";
  if (failed.length === 0) {
    ending = pair.connected ? "connected" : "stalled";
    if (ending === "connected") expectSameView(pair, what);
    else endInput(pair);
  } else if (alertsMayBeForged && failed.every((side) => pair.error(side) instanceof PeerAlert)) {
    // In the clear, anybody can end a handshake; the side that believes it closes the transport.
    endInput(pair);
  } else if (alertsMayBeSkipped && failed.length === 1 && failed[0] === "client" && isWaiting(pair)) {
    // A server that passes over early data takes for it what it cannot open, a client's alert too. RFC 9846 §4.3.10.
    endInput(pair);
  } else {
    expect(failed, `${what}: one side goes on alone`).toEqual(SIDES);
    if (!alertsMayBeForged) expectToldOnce(pair, what);
  }
  if (ending !== "connected") for (const side of SIDES) expectOneError(pair, side, what);
  return ending;
}

const isWaiting = ({ server }: Pair): boolean => server.state === "handshaking";

function endInput(pair: Pair): void {
  for (const side of SIDES) pair.take(side, pair[side].endOfInput());
}

/** What must hold for the honest side, whatever the other one made up. */
export function expectHonest(pair: Pair, side: Side, what: string): Ending {
  if (pair[side].state === "connected") return "connected";
  const ending = pair[side].state === "failed" ? "refused" : "stalled";
  if (ending === "stalled") pair.take(side, pair[side].endOfInput());
  expectOneError(pair, side, what);
  return ending;
}

function expectOneError(pair: Pair, side: Side, what: string): void {
  const events = pair.events[side];
  const errors = events.flatMap((event) => (event.event === "error" ? [event.error] : []));
  expect(errors.length, `${what}: errors of the ${side}`).toBe(1);
  const [error] = errors;
  const clean = error instanceof ProtocolError || error instanceof TrustError || error instanceof PeerAlert;
  expect(clean, `${what}: the ${side} failed with ${String(error)}\n${error?.stack ?? ""}`).toBe(true);
  const ours = error instanceof PeerAlert || (error as ProtocolError).code === "ERR_TLS_LIMIT";
  if (!ours) expect(alertFor(error), `${what}: ${error?.stack}`).not.toBe("internal_error");
  expect(events.at(-1)?.event, `${what}: the ${side} went on after its error`).toBe("error");
  expect(pair[side].receive(new Uint8Array(64).fill(0x16)), what).toEqual([]);
  expect(concat(pair[side].takeOutput()).length, `${what}: output of the ${side} after its alert`).toBe(0);
}

/** Whoever found fault said so in its one alert; the other heard it, or could not read it and found fault itself. */
function expectToldOnce(pair: Pair, what: string): void {
  const [client, server] = SIDES.map((side) => pair.error(side));
  const heard = [client, server].filter((error) => error instanceof PeerAlert);
  expect(heard.length, `${what}: both heard an alert and none sent one`).toBeLessThan(2);
  const [alert] = heard;
  if (alert === undefined) return;
  expect(alert.alert, `${what}: ${String(client)} / ${String(server)}`).toBe(
    alertFor(alert === client ? server : client),
  );
}

function expectSameView(pair: Pair, what: string): void {
  const views = SIDES.map((side) => {
    const { suite, group, alpn, qkd, externalPsk, resumed, retried, secrets } = pair[side].established!;
    return {
      suite: suite.name,
      group: group?.name,
      alpn,
      resumed,
      retried,
      externalPsk,
      key: qkd?.keyId,
      exporter: secrets.exporter,
    };
  });
  expect(views[0], `${what}: two views of one connection`).toEqual(views[1]);
}
