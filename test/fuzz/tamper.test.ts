import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  changesOf,
  describeMessage,
  expectNoHarm,
  tamperedPair,
  type Ending,
  type Tamper,
} from "../support/tamper.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { concat, fromUtf8, utf8 } from "../../src/protocol/bytes.ts";
import { someBytes } from "../support/codec-rules.ts";
import { credentials, provider } from "../support/credentials.ts";
import { fuzz } from "../support/fuzz.ts";
import { Pair, withQkd, type PairOptions, type Side } from "../support/pair.ts";

/** Quick groups; what they are made of makes no difference to the order and the checks of messages. */
const classical = {
  groups: ["x25519", "secp256r1"],
  policy: { mlkem: "off", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;
const quickQkd = { groups: ["x25519", "secp256r1"], policy: "qkd" } as const;

interface Scenario {
  readonly name: string;
  readonly options: () => PairOptions;
  /** Every message up to the end of the handshake, in the order of sending. */
  readonly messages: readonly string[];
}

const sealer = new TicketKeys({ provider, now: Date.now });
let session: Uint8Array | undefined;

const scenarios: readonly Scenario[] = [
  {
    name: "certificates on both sides with a QKD key",
    options: () => ({
      client: { ...withQkd.client, alpn: ["h2", "http/1.1"], recordSizeLimit: 4096 },
      server: { ...withQkd.server, alpn: ["http/1.1"], recordSizeLimit: 8192, clientAuth: "require" },
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
    name: "external PSK alone",
    options: () => {
      const psks = [{ identity: "them", key: new Uint8Array(32).fill(7), importContext: utf8("us") }];
      return {
        client: { ...classical, psks, authentication: "psk" },
        server: { ...classical, psks, credentials: [], tickets: false },
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
type Place = { readonly side: Side; readonly at: number };

function places({ messages }: Scenario): Place[] {
  const counts = { client: 0, server: 0 };
  return messages.map((name) => {
    const side = name.startsWith("client") ? "client" : "server";
    return { side, at: counts[side]++ };
  });
}

const only =
  (place: Place, change: (message: Uint8Array) => readonly Uint8Array[]): Tamper =>
  (side, at, message) =>
    side === place.side && at === place.at ? change(message) : [message];

function endingOf(scenario: Scenario, tamper: Tamper, what: string): Ending {
  const pair = tamperedPair(scenario.options(), tamper);
  pair.run();
  const ending = expectNoHarm(pair, what);
  expect(
    [...pair.events.client, ...pair.events.server].some(({ event }) => event === "data"),
    `${what}: application data came out`,
  ).toBe(false);
  return ending;
}

describe.each(scenarios)("$name", (scenario) => {
  test("untouched, it connects by these messages", () => {
    const seen: string[] = [];
    const pair = tamperedPair(scenario.options(), (side, _, message) => {
      seen.push(describeMessage(side, message));
      return [message];
    });
    pair.run();
    expect(pair.connected).toBe(true);
    expect(seen.filter((name) => !name.endsWith("new_session_ticket"))).toEqual(scenario.messages);
    expect(expectNoHarm(pair, "untouched")).toBe("connected");
  });

  test.each(places(scenario).map((place, i) => [i, scenario.messages[i]!, place] as const))(
    "message %i, %s: no change to any field is believed by both ends",
    (_, name, place) => {
      let count = 0;
      for (let n = 0; ; n++) {
        let what: string | undefined;
        let changed = false;
        const tamper = only(place, (message) => {
          const change = changesOf(message)[n];
          if (change === undefined) return [message];
          what = `${name}, ${change.what}`;
          const other = change.apply();
          changed = other !== undefined && !Buffer.from(other).equals(message);
          return [changed ? other! : message];
        });
        const pair = tamperedPair(scenario.options(), tamper);
        pair.run();
        if (what === undefined) break;
        if (!changed) continue;
        count++;
        // Only a message that announces more than follows leaves both ends waiting.
        const stalls = what.endsWith("length one more");
        expect(expectNoHarm(pair, what), what).toBeOneOf(stalls ? ["refused", "stalled"] : ["refused"]);
      }
      expect(count).toBeGreaterThan(20);
    },
  );

  test("any message deleted", () => {
    for (const [i, place] of places(scenario).entries()) {
      const what = `${scenario.messages[i]} deleted`;
      expect(
        endingOf(
          scenario,
          only(place, () => []),
          what,
        ),
        what,
      ).not.toBe("connected");
    }
  });

  test("any message sent twice", () => {
    for (const [i, place] of places(scenario).entries()) {
      const what = `${scenario.messages[i]} twice`;
      expect(
        endingOf(
          scenario,
          only(place, (message) => [message, message]),
          what,
        ),
        what,
      ).not.toBe("connected");
    }
  });

  test("any message sent after the one behind it", () => {
    const all = places(scenario);
    for (const [i, place] of all.entries()) {
      const next = all.find(({ side, at }) => side === place.side && at === place.at + 1);
      if (next === undefined) continue;
      let held: Uint8Array | undefined;
      const what = `${scenario.messages[i]} after the next`;
      const ending = endingOf(
        scenario,
        (side, at, message) => {
          if (side !== place.side) return [message];
          if (at === place.at) {
            held = message;
            return [];
          }
          return at === next.at && held !== undefined ? [message, held] : [message];
        },
        what,
      );
      expect(ending, what).not.toBe("connected");
    }
  });

  test("any message replaced by any other one of the handshake", () => {
    const sent: Uint8Array[] = [];
    tamperedPair(scenario.options(), (_, __, message) => {
      sent.push(message);
      return [message];
    }).run();
    for (const [i, place] of places(scenario).entries()) {
      for (const [j, other] of sent.slice(0, scenario.messages.length).entries()) {
        const what = `${scenario.messages[i]} replaced by an old ${scenario.messages[j]}`;
        let changed = false;
        const tamper = only(place, (message) => {
          changed = !Buffer.from(other).equals(message);
          return [other];
        });
        const ending = endingOf(scenario, tamper, what);
        if (changed) expect(ending, what).not.toBe("connected");
      }
    }
  });

  test("any message with a random part in it", () => {
    const all = places(scenario);
    fc.assert(
      fc.property(fc.nat(all.length - 1), fc.nat(), fc.nat(8), someBytes(0, 8), (i, at, cut, bytes) => {
        const what = `${scenario.messages[i]} with ${bytes.length} bytes for ${cut} at ${at}`;
        let changed = false;
        const ending = endingOf(
          scenario,
          only(all[i]!, (message) => {
            const body = message.subarray(4);
            const from = at % (body.length + 1);
            const other = concat([body.subarray(0, from), bytes, body.subarray(from + cut)]);
            changed = !Buffer.from(other).equals(body);
            const header = Uint8Array.of(message[0]!, 0, other.length >> 8, other.length & 0xff);
            return [concat([header, other])];
          }),
          what,
        );
        if (changed) expect(ending, what).not.toBe("connected");
      }),
      fuzz(60),
    );
  });
});

/** A handshake without QKD, which therefore gives tickets; then both keys are updated and data flows. */
const afterwards: Scenario = {
  name: "afterwards",
  options: () => ({ client: classical, server: { ...classical, tickets: { sealer } } }),
  messages: [],
};
const [PING, PONG] = [utf8("ping"), utf8("pong")];

function converse(pair: Pair): void {
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
function expectConversation(pair: Pair, what: string, all = true): Ending {
  const ending = expectNoHarm(pair, what);
  const arrived = [pair.received("server"), pair.received("client")].map(fromUtf8);
  for (const [i, text] of ["ping", "pong"].entries()) {
    if (all && ending === "connected") expect(arrived[i], what).toBe(text);
    else expect(arrived[i], what).toBeOneOf(["", text]);
  }
  return ending;
}

describe("after the handshake", () => {
  const AFTER = [
    ["server new_session_ticket", { side: "server", at: 5 }],
    ["server new_session_ticket", { side: "server", at: 6 }],
    ["client key_update", { side: "client", at: 2 }],
    ["server key_update", { side: "server", at: 7 }],
  ] as const;

  test("untouched, both tickets and both key updates are sent and all data arrives", () => {
    const seen: string[] = [];
    const pair = tamperedPair(afterwards.options(), (side, at, message) => {
      seen.push(`${describeMessage(side, message)} ${at}`);
      return [message];
    });
    converse(pair);
    expect(expectConversation(pair, "untouched")).toBe("connected");
    expect(seen).toEqual(expect.arrayContaining(AFTER.map(([name, { at }]) => `${name} ${at}`)));
  });

  test.each(AFTER)("%s %o: a change to any field is refused, or does no harm", (name, place) => {
    const endings = new Set<Ending>();
    for (let n = 0; ; n++) {
      let what: string | undefined;
      const tamper = only(place, (message) => {
        const change = changesOf(message)[n];
        if (change === undefined) return [message];
        what = `${name}, ${change.what}`;
        return [change.apply() ?? message];
      });
      const pair = tamperedPair(afterwards.options(), tamper);
      converse(pair);
      if (what === undefined) break;
      endings.add(expectConversation(pair, what));
      if (pair.session === undefined) continue;
      // What came of the ticket is a full handshake, a resumption both agree on, or a clean refusal.
      const { client, server } = afterwards.options();
      const second = new Pair({ client: { ...client, session: pair.session }, server: server! }).run();
      expect(expectNoHarm(second, `resumed after ${what}`)).not.toBe("stalled");
    }
    expect(endings).toContain("refused");
  });

  test.each(AFTER)("%s %o deleted, twice, or late is refused, or does no harm", (name, place) => {
    const isUpdate = name.endsWith("key_update");
    for (const [how, change] of [
      ["deleted", () => []],
      ["twice", (message: Uint8Array) => [message, message]],
    ] as const) {
      const pair = tamperedPair(afterwards.options(), only(place, change));
      converse(pair);
      expect(expectConversation(pair, `${name} ${how}`)).toBe(isUpdate ? "refused" : "connected");
    }
  });
});

/** Replaces what a side's n-th delivery of bytes carries. */
function onDelivery(options: PairOptions, n: number, change: (bytes: Uint8Array) => Uint8Array): Pair {
  let at = 0;
  const pair = new Pair({
    ...options,
    wire: { onBytes: (_, bytes) => (bytes.length > 0 && at++ === n ? change(bytes) : bytes) },
  });
  // Whatever is kept of borrowed bytes would show.
  pair.borrowing = true;
  return pair;
}

/** Client and server speak in turn; a delivery is one turn. The last ones carry tickets, key updates and data. */
const DELIVERIES = 7;

describe("on the wire", () => {
  const options = scenarios[0]!.options;

  test("any bit of any record: refused, unless it is one that nobody looks at", () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (n, place, bit) => {
        let unread = false;
        const pair = onDelivery(options(), n, (bytes) => {
          const at = place % bytes.length;
          unread = isUnread(bytes, at);
          return bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        }).run();
        const what = `bit ${bit} of byte ${place} in delivery ${n}`;
        const ending = expectNoHarm(pair, what);
        if (!unread) expect(ending, what).not.toBe("connected");
      }),
      fuzz(300),
    );
  });

  test("random bytes before, in, behind or instead of what is sent, in every state", () => {
    const record = fc
      .tuple(fc.constantFrom(20, 21, 22, 23, 24), fc.constantFrom(0x0301, 0x0303), someBytes(0, 40))
      .map(([type, version, body]) =>
        concat([Uint8Array.of(type, version >> 8, version & 0xff, 0, body.length), body]),
      );
    const garbage = fc.oneof(
      someBytes(1, 60),
      record,
      fc.array(record, { minLength: 1, maxLength: 40 }).map((all) => concat(all)),
    );
    const how = fc.constantFrom("before", "in", "behind", "instead");
    fc.assert(
      fc.property(fc.nat(DELIVERIES - 1), how, garbage, fc.nat(), (n, how, bytes, place) => {
        const pair = onDelivery(afterwards.options(), n, (sent) => {
          if (how === "instead") return bytes;
          const at = { before: 0, in: place % sent.length, behind: sent.length }[how];
          return concat([sent.subarray(0, at), bytes, sent.subarray(at)]);
        });
        converse(pair);
        // Of what was cut off at the end, the rest may still come.
        expectConversation(pair, `${bytes.length} bytes ${how} delivery ${n}`, false);
      }),
      fuzz(300),
    );
  });

  test("random bytes while a question to the host is open", () => {
    const asks = ["draw_qkd_key", "redeem_qkd_key", "verify_peer"] as const;
    const size = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.constantFrom(20_000, 200_000));
    fc.assert(
      fc.property(fc.constantFrom(...asks), size, fc.constantFrom(0, 22, 23, 255), (ask, size, byte) => {
        let asked = 0;
        const pair: Pair = new Pair({
          ...options(),
          wire: {
            onQuestion: (side, question) => {
              if (question.ask !== ask || asked++ > 0) return undefined;
              const bytes = new Uint8Array(size).fill(byte);
              pair.take(side, pair[side].receive(bytes));
              bytes.fill(0xff);
              return undefined;
            },
          },
        });
        pair.run();
        expect(asked, ask).toBeGreaterThan(0);
        expect(expectNoHarm(pair, `${size} bytes at ${ask}`)).not.toBe("connected");
      }),
      fuzz(60),
    );
  });
});

/** The low byte of the version of a record in the clear, which RFC 9846 §5.1 says to ignore. */
function isUnread(bytes: Uint8Array, at: number): boolean {
  for (let start = 0; start < bytes.length; start += 5 + ((bytes[start + 3]! << 8) | bytes[start + 4]!)) {
    if (at === start + 2) return bytes[start] !== 23;
  }
  return false;
}
