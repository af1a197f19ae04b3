/**
 * Whole handshakes, and what follows them, in which messages are changed inside the encryption: by a peer that lies,
 * whose transcript, signatures and Finished hold what it made up, or by somebody in between who could open records.
 */
import { expect } from "vitest";
import {
  expectHonest,
  expectNoHarm,
  lyingPair,
  tamperedPair,
  type Lie,
  type Tamper,
} from "../../support/tamper.ts";
import { fromHex, fromUtf8, toHex, utf8, concat, equal } from "../../../src/protocol/bytes.ts";
import { HandshakeType } from "../../../src/protocol/iana.ts";
import { decode } from "../../../src/wire/codec.ts";
import { ClientHello } from "../../../src/wire/hello.ts";
import { Pair, type PairOptions, type Side } from "../../support/pair.ts";
import type { Target } from "../guided/search.ts";
import { converse, expectConversation } from "../scenarios.ts";
import { genuine, handshakes } from "./configurations.ts";
import { Script, scriptOf } from "./script.ts";

const PIECES = [1 << 20, 1 << 20, 1, 7, 100];

/** What a script is about. */
interface Scene {
  readonly index: number;
  readonly options: PairOptions;
  readonly script: Script;
}

function sceneOf(input: Uint8Array): Scene {
  const [which = 0, pieces = 0] = input;
  const index = which % handshakes.length;
  const options = handshakes[index]!.options();
  const pieceBytes = PIECES[pieces % PIECES.length]!;
  return {
    index,
    options: { ...options, wire: { ...options.wire, pieceBytes } },
    script: new Script(input.subarray(2)),
  };
}

/** How many messages each handshake has, without what comes after it. */
const lengths = handshakes.map(({ options }) => {
  const counts = { client: 0, server: 0 };
  tamperedPair(options(), (side, _, message) => {
    const isLater = message[0] === HandshakeType.new_session_ticket;
    if (!isLater) counts[side]++;
    return [message];
  }).run();
  return counts;
});

/** The peer that a script makes a liar of: the third byte's first bit says which. */
const liarOf = ({ script }: Scene): Side => (script.first % 2 === 0 ? "client" : "server");

function lied(input: Uint8Array): void {
  const scene = sceneOf(input);
  const liar = liarOf(scene);
  const victim: Side = liar === "client" ? "server" : "client";
  const earlier: Uint8Array[] = [];
  const lie: Lie = (side, at, message) => {
    if (side !== liar) return message;
    earlier.push(message);
    return concat(scene.script.change(at, message, earlier));
  };
  const pair = lyingPair(scene.options, lie);
  converse(pair);
  if (expectHonest(pair, victim, handshakes[scene.index]!.name) !== "connected") return;
  expectAgreed(pair, victim, scene.options);
  expect(["", victim === "server" ? "ping" : "pong"]).toContain(fromUtf8(pair.received(victim)));
  if (pair.session !== undefined) resumed(pair.session, scene.options);
}

function tampered(input: Uint8Array): void {
  const { index, options, script } = sceneOf(input);
  const side: Side = script.first % 2 === 0 ? "client" : "server";
  const earlier: Uint8Array[] = [];
  let changed = false;
  let hasEarlyData = false;
  const tamper: Tamper = (from, at, message) => {
    if (from !== side) return [message];
    earlier.push(message);
    const instead = script.change(at, message, earlier);
    if (at < lengths[index]![side] && !equal(concat(instead), message)) changed = true;
    hasEarlyData ||= from === "client" && instead.some(announcesEarlyData);
    return instead;
  };
  const pair = tamperedPair(options, tamper);
  converse(pair);
  const ending = expectNoHarm(pair, handshakes[index]!.name, { alertsMayBeSkipped: hasEarlyData });
  if (changed) expect(ending, "a changed handshake was believed").not.toBe("connected");
  expectConversation(pair, handshakes[index]!.name, ending);
  if (pair.session !== undefined) resumed(pair.session, options);
}

function announcesEarlyData(message: Uint8Array): boolean {
  if (message[0] !== HandshakeType.client_hello) return false;
  try {
    return decode(ClientHello, message.subarray(4)).extensions.early_data === true;
  } catch {
    return false;
  }
}

/** What came of a ticket leads to a handshake that both agree on, or to a clean refusal. */
function resumed(session: Uint8Array, { client, server, wire }: PairOptions): void {
  const second = new Pair({
    client: { ...client, session },
    server: { ...server },
    ...(wire?.onQuestion === undefined ? {} : { wire: { onQuestion: wire.onQuestion } }),
  }).run();
  expect(expectNoHarm(second, "resumed")).not.toBe("stalled");
}

/** The honest side that believes in the connection has what its own policy asks for, from whom it may have it. */
function expectAgreed(pair: Pair, side: Side, options: PairOptions): void {
  const { policy, group, qkd, peer, alpn, externalPsk } = pair[side].established!;
  if (policy.mlkem === "required") expect(group?.mlkem).toBe(true);
  if (policy.qkd === "required") expect(qkd).toBeDefined();
  if (group === undefined) expect(options[side]?.pskKe).toBe(true);
  if (alpn !== undefined) expect(options[side]?.alpn).toContain(alpn);
  if (side === "client" || options.server?.clientAuth === "require") expect(peer.by).not.toBe("none");
  if (peer.by === "certificate") expect(genuine).toContain(toHex(peer.chain[0]!));
  if (peer.by === "psk") expect(externalPsk ?? qkd).toBeDefined();
}

/** Every handshake as it is, and with one field of one message changed, by either side. */
const seeds = (): Uint8Array[] =>
  handshakes.flatMap((_, index) =>
    [0, 1].flatMap((side) => [
      scriptOf([index, 0, side]),
      scriptOf([index, 0, side], { at: index % 7, how: "field", place: 3 * index, bytes: utf8("q") }),
      scriptOf([index, 0, side], { at: index % 4, how: "extension", place: index, bytes: utf8("qkd") }),
    ]),
  );

export const liars: Target = { name: "a peer that lies", seeds, run: lied, maxBytes: 200 };
/** A ClientHello that came to announce early data, so that the server passed over the client's alert. */
const PASSED_OVER = fromHex("0d9000001b07714925") as Uint8Array;

export const meddlers: Target = {
  name: "messages changed on their way",
  seeds: () => [...seeds(), PASSED_OVER],
  run: tampered,
  maxBytes: 200,
};
