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
import { fromUtf8, toHex, utf8, concat, equal } from "../../../src/protocol/bytes.ts";
import { HandshakeType } from "../../../src/protocol/iana.ts";
import { compressorsNamed } from "../../../src/node/certificate-compression.ts";
import { loadRawIdentity } from "../../../src/pki/identity.ts";
import type { Question } from "../../../src/handshake/question.ts";
import { credentials, provider } from "../../support/credentials.ts";
import { Pair, withQkd, type PairOptions, type Side } from "../../support/pair.ts";
import type { Target } from "../guided/search.ts";
import { afterwards, converse, expectConversation, scenarios, sealer } from "../scenarios.ts";
import { Script, scriptOf } from "./script.ts";

const raw = loadRawIdentity(provider, credentials("ed25519").keyPem);
const psks = [{ identity: "them", key: new Uint8Array(32).fill(7) }];
const classical = {
  groups: ["x25519", "secp256r1"],
  policy: { mlkem: "off", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;

const modes = {
  policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;

/** Every leaf and raw key that belongs to anybody here. */
const genuine = [...credentials().identity.chain, ...credentials("rsa").identity.chain, ...raw.chain].map(
  toHex,
);

const onlyRaw = (_: Side, question: Question): unknown => {
  if (question.ask !== "verify_peer" || question.certificateType === "X509") return undefined;
  return equal(question.chain[0]!, raw.chain[0]) ? { authorized: true } : new Error("another key");
};

/** Of an object of its own, since what was compressed is kept with it. */
const stapled = {
  ocspResponse: Uint8Array.of(1, 2, 3),
  signedCertificateTimestampList: [Uint8Array.of(4, 5), Uint8Array.of(6)],
};
const rsa = () => ({ ...credentials("rsa").identity, ...stapled });
const ecdsa = () => ({ ...credentials().identity, ...stapled });
const certificateCompression = compressorsNamed(["zlib", "brotli"]);

const handshakes: readonly { readonly name: string; readonly options: () => PairOptions }[] = [
  ...scenarios,
  afterwards,
  {
    name: "all that may be asked for",
    options: () => ({
      client: {
        ...withQkd.client,
        groups: ["x25519", "secp256r1"],
        policy: { mlkem: "off", qkd: "preferred" },
        dangerous: { allowClassical: true },
        alpn: ["h2", "http/1.1"],
        requestOCSP: true,
        requestSCT: true,
        keyLog: true,
        permuteExtensions: true,
        credentials: [ecdsa()],
        certificateCompression,
        grease: true,
        recordSizeLimit: 100,
      },
      server: {
        ...withQkd.server,
        ...classical,
        groups: ["secp256r1"],
        policy: { mlkem: "off", qkd: "preferred" },
        alpn: ["http/1.1"],
        credentials: [rsa()],
        certificateCompression,
        grease: true,
        clientAuth: "request",
        requestSCT: true,
        padding: 50,
        certificateAuthorities: [credentials().ca.subject.der],
        tickets: { sealer },
        demandsCookie: true,
        recordSizeLimit: 200,
      },
    }),
  },
  {
    name: "raw public keys on both sides",
    options: () => ({
      client: {
        ...classical,
        credentials: [raw],
        serverCertificateTypes: ["RawPublicKey", "X509"],
        clientCertificateTypes: ["RawPublicKey"],
      },
      server: {
        ...classical,
        credentials: [raw, credentials().identity],
        clientCertificateTypes: ["RawPublicKey", "X509"],
        clientAuth: "require",
        tickets: { sealer },
      },
      wire: { onQuestion: onlyRaw },
    }),
  },
  {
    name: "psk_ke",
    options: () => ({
      client: { ...modes, groups: ["x25519"], psks, pskKe: true, authentication: "psk" },
      server: { ...modes, groups: ["secp384r1"], psks, pskKe: true, credentials: [] },
    }),
  },
];

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
  const tamper: Tamper = (from, at, message) => {
    if (from !== side) return [message];
    earlier.push(message);
    const instead = script.change(at, message, earlier);
    if (at < lengths[index]![side] && !equal(concat(instead), message)) changed = true;
    return instead;
  };
  const pair = tamperedPair(options, tamper);
  converse(pair);
  const ending = expectNoHarm(pair, handshakes[index]!.name);
  if (changed) expect(ending, "a changed handshake was believed").not.toBe("connected");
  expectConversation(pair, handshakes[index]!.name, ending);
  if (pair.session !== undefined) resumed(pair.session, options);
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
    ]),
  );

export const liars: Target = { name: "a peer that lies", seeds, run: lied, maxBytes: 200 };
export const meddlers: Target = {
  name: "messages changed on their way",
  seeds,
  run: tampered,
  maxBytes: 200,
};
