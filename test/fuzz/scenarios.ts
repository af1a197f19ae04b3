/** The handshakes that are tampered with, and the conversation after one. */
import { expect } from "vitest";
import { expectNoHarm, tamperedPair, type Ending } from "../support/tamper.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { compressorsNamed } from "../../src/node/certificate-compression.ts";
import { decodeSession } from "../../src/handshake/session.ts";
import { fromUtf8, utf8 } from "../../src/protocol/bytes.ts";
import { credentials, provider } from "../support/credentials.ts";
import { Pair, withQkd, type PairOptions, type Side } from "../support/pair.ts";

/** Quick groups; what they are made of makes no difference to the order and the checks of messages. */
const classical = {
  groups: ["x25519", "secp256r1"],
  policy: { mlkem: "off", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;
/** Of another object each time nothing is kept, so that each handshake compresses. */
const fresh = () => ({ ...credentials().identity });
const certificateCompression = compressorsNamed(["zlib"]);
const quickQkd = { groups: ["x25519", "secp256r1"], policy: "qkd" } as const;

export interface Scenario {
  readonly name: string;
  readonly options: () => PairOptions;
  /** Every message up to the end of the handshake, in the order of sending. */
  readonly messages: readonly string[];
}

export const sealer = new TicketKeys({ provider, now: Date.now });
let session: Uint8Array | undefined;

export const scenarios: readonly Scenario[] = [
  {
    name: "certificates on both sides with a QKD key",
    options: () => ({
      client: { ...withQkd.client, ...quickQkd, alpn: ["h2", "http/1.1"], recordSizeLimit: 4096 },
      server: {
        ...withQkd.server,
        ...quickQkd,
        alpn: ["http/1.1"],
        recordSizeLimit: 8192,
        clientAuth: "require",
      },
      clientCredentials: credentials(),
    }),
    messages: [
      "client client_hello",
      "server server_hello",
      "server encrypted_extensions",
      "server certificate_request",
      "server certificate",
      "server certificate_verify",
      "server finished",
      "client certificate",
      "client certificate_verify",
      "client finished",
    ],
  },
  {
    name: "HelloRetryRequest with a QKD key",
    options: () => ({
      client: { ...withQkd.client, ...quickQkd },
      server: { ...withQkd.server, ...quickQkd, groups: ["secp256r1"] },
    }),
    messages: [
      "client client_hello",
      "server hello_retry_request",
      "client client_hello",
      "server server_hello",
      "server encrypted_extensions",
      "server certificate",
      "server certificate_verify",
      "server finished",
      "client finished",
    ],
  },
  {
    name: "compressed certificates on both sides",
    options: () => ({
      client: { ...withQkd.client, ...quickQkd, certificateCompression, credentials: [fresh()] },
      server: {
        ...withQkd.server,
        ...quickQkd,
        certificateCompression,
        clientAuth: "require",
        credentials: [fresh()],
      },
    }),
    messages: [
      "client client_hello",
      "server server_hello",
      "server encrypted_extensions",
      "server certificate_request",
      "server compressed_certificate",
      "server certificate_verify",
      "server finished",
      "client compressed_certificate",
      "client certificate_verify",
      "client finished",
    ],
  },
  {
    name: "resumption",
    options: () => {
      const tickets = { sealer };
      session ??= new Pair({ client: classical, server: { ...classical, tickets } }).run().session!;
      return { client: { ...classical, session }, server: { ...classical, tickets } };
    },
    messages: [
      "client client_hello",
      "server server_hello",
      "server encrypted_extensions",
      "server finished",
      "client finished",
    ],
  },
  {
    name: "external PSK alone, with X25519MLKEM768",
    options: () => {
      const psks = [{ identity: "them", key: new Uint8Array(32).fill(7), importContext: utf8("us") }];
      return {
        client: { psks, authentication: "psk" },
        server: { psks, credentials: [], tickets: false },
      };
    },
    messages: [
      "client client_hello",
      "server server_hello",
      "server encrypted_extensions",
      "server finished",
      "client finished",
    ],
  },
];

/** A change to the n-th message of the handshake, counted over both sides. */
export type Place = { readonly side: Side; readonly at: number };

export function places({ messages }: Scenario): Place[] {
  const counts = { client: 0, server: 0 };
  return messages.map((name) => {
    const side = name.startsWith("client") ? "client" : "server";
    return { side, at: counts[side]++ };
  });
}

/** A handshake without QKD, which therefore gives tickets; then both keys are updated and data flows. */
export const afterwards: Scenario = {
  name: "afterwards",
  options: () => ({ client: classical, server: { ...classical, tickets: { sealer } } }),
  messages: [],
};
const [PING, PONG] = [utf8("ping"), utf8("pong")];

export function converse(pair: Pair): void {
  pair.run();
  if (pair.client.state === "connected") {
    pair.take("client", pair.client.updateKeys({ requestPeer: true }));
    pair.settle();
  }
  if (pair.client.state === "connected") pair.client.send(PING);
  if (pair.server.state === "connected") pair.server.send(PONG);
  pair.settle();
}

/** No data is ever other than what was sent; where both ends still believe in the connection, `all` of it arrived. */
export function expectConversation(
  pair: Pair,
  what: string,
  ending = expectNoHarm(pair, what),
  all = true,
): Ending {
  const arrived = [pair.received("server"), pair.received("client")].map(fromUtf8);
  for (const [i, text] of ["ping", "pong"].entries()) {
    if (all && ending === "connected") expect(arrived[i], what).toBe(text);
    else expect(arrived[i], what).toBeOneOf(["", text]);
  }
  return ending;
}

/** What went to and fro in all of these handshakes, and what was kept of one: a session, and its ticket's state. */
export function recorded(): {
  readonly messages: readonly Uint8Array[];
  readonly session: Uint8Array;
  readonly ticket: Uint8Array;
} {
  const messages: Uint8Array[] = [];
  let resumable: Uint8Array | undefined;
  for (const scenario of [...scenarios, afterwards]) {
    const pair = tamperedPair(scenario.options(), (_, __, message) => {
      messages.push(message);
      return [message];
    });
    converse(pair);
    resumable ??= pair.session;
  }
  return { messages, session: resumable!, ticket: sealer.open(decodeSession(resumable!).ticket)! };
}
