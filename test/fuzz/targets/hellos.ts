/** What a server hears first: any stream of bytes, and any ClientHello in records that fit, with what may follow it. */
import { expect } from "vitest";
import { expectHonest } from "../../support/tamper.ts";
import { concat } from "../../../src/protocol/bytes.ts";
import { PeerAlert } from "../../../src/protocol/errors.ts";
import { ContentType, HandshakeType } from "../../../src/protocol/iana.ts";
import { decode } from "../../../src/wire/codec.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { ClientHello } from "../../../src/wire/hello.ts";
import { field } from "../../support/codec-rules.ts";
import { credentials } from "../../support/credentials.ts";
import { Pair, withQkd, type PairOptions } from "../../support/pair.ts";
import { clear } from "../../support/records.ts";
import { corpus } from "../corpus.ts";
import type { Target } from "../guided/search.ts";
import { afterwards, recorded, sealer } from "../scenarios.ts";

const HEADER_BYTES = 4;
const policy = { ecdh: "preferred", mlkem: "preferred", qkd: "preferred" } as const;
const servers: readonly PairOptions[] = [
  afterwards.options(),
  {
    server: {
      ...withQkd.server,
      policy,
      dangerous: { allowClassical: true },
      alpn: ["h2", "http/1.1"],
      psks: [{ identity: "them", key: new Uint8Array(32).fill(7) }],
      pskKe: true,
      credentials: [credentials().identity, credentials("rsa").identity],
      clientAuth: "request",
      tickets: { sealer },
      recordSizeLimit: 500,
      keyLog: true,
      padding: 64,
    },
  },
  { server: { dangerous: { allowClassical: true }, policy, demandsCookie: true, ...withQkd.server } },
];
const PIECES = [1 << 20, 1, 3, 60];
const MOST_IN_RECORD = [2 ** 14, 2 ** 14, 100, 1];

/** In as many records as it needs. */
function inRecords(message: Uint8Array, most: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += most)
    parts.push(clear("handshake", message.subarray(at, at + most)));
  return concat(parts);
}

/** Bytes that come behind a message, when it is so long as it says. */
function stream(bytes: Uint8Array, most: number): Uint8Array {
  const [a = 0, b = 0] = bytes;
  const length = Math.min(256 * a + b, bytes.length - 2);
  const body = bytes.subarray(2, 2 + length);
  const message = concat([Uint8Array.of(HandshakeType.client_hello), field(3, body)]);
  return concat([inRecords(message, most), bytes.subarray(2 + length)]);
}

function heard(input: Uint8Array): void {
  const [which = 0, how = 0] = input;
  const bytes = input.subarray(2);
  const pair = new Pair(servers[which % servers.length]);
  const sent = how % 2 === 0 ? stream(bytes, MOST_IN_RECORD[(how >> 3) % 4]!) : bytes;
  const piece = PIECES[(how >> 1) % 4]!;
  for (let at = 0; at < sent.length && pair.server.state === "handshaking"; at += piece) {
    pair.take("server", pair.server.receive(sent.slice(at, at + piece)));
  }
  const [first] = concat(pair.server.takeOutput());
  // Behind a whole ClientHello something may follow that is wrong: then the flight is out, and the alert is in its keys.
  // Whoever hears an alert answers none.
  const error = pair.error("server");
  if (error !== undefined && !(error instanceof PeerAlert))
    expect([ContentType.alert, ContentType.handshake]).toContain(first);
  expect(expectHonest(pair, "server", "a hello")).not.toBe("connected");
}

const framed = (which: number, message: Uint8Array, ...behind: readonly Uint8Array[]): Uint8Array =>
  concat([Uint8Array.of(which, 0), field(2, message.subarray(HEADER_BYTES)), ...behind]);

/** As of a client that begins with 0-RTT data, which is declined. */
function early(message: Uint8Array): Uint8Array {
  const hello = decode(ClientHello, message.subarray(HEADER_BYTES));
  return encodeHandshake("client_hello", ClientHello, {
    ...hello,
    extensions: {
      ...hello.extensions,
      early_data: true,
      psk_key_exchange_modes: [1],
      pre_shared_key: {
        identities: [{ identity: Uint8Array.of(1, 2, 3), obfuscated_ticket_age: 0 }],
        binders: [new Uint8Array(32)],
      },
    },
  });
}

export const hellos: Target = {
  name: "what a server hears first",
  seeds() {
    const ours = recorded().messages.filter(([type]) => type === HandshakeType.client_hello);
    const all = [...corpus.map(({ message }) => message), ...ours];
    const zeros = clear("application_data", new Uint8Array(40));
    return servers.flatMap((_, which) => [
      ...all.map((message) => framed(which, message)),
      ...all.slice(0, 3).map((message) => framed(which, early(message), zeros, zeros)),
      ...corpus.slice(0, 3).map(({ record }) => concat([Uint8Array.of(which, 1), record, zeros])),
    ]);
  },
  run: heard,
};
