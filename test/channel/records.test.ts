import { describe, expect, test, vi } from "vitest";
import { Channel } from "../../src/channel/channel.ts";
import { Records } from "../../src/channel/records.ts";
import { LIMITS } from "../../src/channel/defaults.ts";
import { clientConfig, serverConfig } from "../../src/channel/config.ts";
import type { ServerOptions } from "../../src/channel/options.ts";
import { firstOffer, secondOffer } from "../../src/handshake/offer.ts";
import { concat, fromHex, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { ContentType } from "../../src/protocol/iana.ts";
import { RecordOpener } from "../../src/record/protection.ts";
import { trafficKeys } from "../../src/schedule/traffic.ts";
import { encode } from "../../src/wire/codec.ts";
import { encodeHandshake } from "../../src/wire/handshake.ts";
import { ClientHello, decodeServerHello } from "../../src/wire/hello.ts";
import { credentials, provider } from "../support/credentials.ts";
import { Pair, withQkd, type PairOptions, type Side } from "../support/pair.ts";
import { clear, forger, forgerFor, recordsOf, type WireRecord } from "../support/records.ts";

const SIDES = ["client", "server"] as const;
const other = (side: Side): Side => (side === "client" ? "server" : "client");
const { change_cipher_spec, handshake, application_data } = ContentType;
/** A tag and the true content type stand behind the content of a protected record. */
const OVERHEAD = 17;

interface Recorded {
  readonly pair: Pair;
  /** What each side has sent since the last look. */
  readonly records: (side: Side) => readonly WireRecord[];
}

/** A connection without tickets whose records are written down. */
function recorded(options: PairOptions = {}): Recorded {
  const sent: Record<Side, Uint8Array[]> = { client: [], server: [] };
  const pair = new Pair({
    ...options,
    server: { ...options.server, tickets: false },
    wire: { ...options.wire, onBytes: (from, bytes) => (sent[from].push(bytes.slice()), bytes) },
  }).run();
  return { pair, records: (side) => recordsOf(concat(sent[side].splice(0))) };
}

const inner = (records: readonly WireRecord[]): number[] =>
  records.filter(({ type }) => type === application_data).map(({ fragment }) => fragment.length - 16);

describe("RFC 8449: record_size_limit", () => {
  test.each([
    ["the smallest one", 64, 200],
    ["the client's the smaller", 512, 2000],
    ["the client's the larger", 4000, 300],
  ])("each end keeps to what the other named: %s", (_, clientLimit, serverLimit) => {
    const limits = { client: clientLimit, server: serverLimit };
    const { pair, records } = recorded({
      client: { recordSizeLimit: clientLimit },
      server: { recordSizeLimit: serverLimit, clientAuth: "require" },
      clientCredentials: credentials(),
    });
    expect(pair.connected).toBe(true);
    // The encrypted part of the handshake keeps to it as well.
    for (const side of SIDES)
      expect(Math.max(...inner(records(side)))).toBeLessThanOrEqual(limits[other(side)]);
    for (const side of SIDES) {
      const data = provider.random(10_000).slice();
      pair[side].send(data);
      pair.settle();
      expect(toHex(pair.received(other(side)))).toBe(toHex(data));
      const sizes = inner(records(side));
      expect(Math.max(...sizes)).toBe(limits[other(side)]);
      expect(sizes).toHaveLength(Math.ceil(10_000 / (limits[other(side)] - 1)));
    }
  });

  test.each(SIDES)("binds nobody when only the %s named one", (side) => {
    const { pair, records } = recorded({ [side]: { recordSizeLimit: 512 } });
    for (const each of SIDES) {
      records(each);
      pair[each].send(new Uint8Array(40_000));
    }
    pair.settle();
    for (const each of SIDES) expect(inner(records(each))).toEqual([16_385, 16_385, 40_000 - 32_768 + 1]);
  });

  test.each(SIDES)(
    "a record over the limit of the %s is record_overflow; one at the limit is not",
    (side) => {
      const both = { client: { recordSizeLimit: 100 }, server: { recordSizeLimit: 100 } };
      const { pair } = recorded(both);
      const forge = forger(pair, other(side));
      const take = (bytes: Uint8Array): void => pair.take(side, pair[side].receive(bytes));
      take(forge.record("application_data", new Uint8Array(99)));
      take(forge.record("application_data", new Uint8Array(9), 90));
      expect(pair.received(side)).toHaveLength(108);
      take(forge.record("application_data", new Uint8Array(9), 91));
      expect(pair.error(side)).toMatchObject({ code: "ERR_TLS_RECORD_OVERFLOW", alert: "record_overflow" });
    },
  );

  test("§5.4: without a limit, 2^14 bytes and their type are the most", () => {
    const { pair } = recorded();
    const forge = forger(pair, "server");
    pair.take("client", pair.client.receive(forge.record("application_data", new Uint8Array(16_384))));
    expect(pair.received("client")).toHaveLength(16_384);
    pair.take("client", pair.client.receive(forge.record("application_data", new Uint8Array(16_385))));
    expect(pair.error("client")).toMatchObject({ alert: "record_overflow" });
  });
});

describe("maxSendFragment: how much content our records have", () => {
  const sizes = (options: PairOptions, change?: (pair: Pair) => void): number[] => {
    const { pair, records } = recorded(options);
    records("client");
    change?.(pair);
    pair.client.send(new Uint8Array(2000));
    pair.settle();
    expect(pair.received("server")).toHaveLength(2000);
    return inner(records("client")).map((length) => length - 1);
  };

  test("is 16384 bytes at most, or what the option says", () => {
    expect(sizes({})).toEqual([2000]);
    expect(sizes({ client: { maxSendFragment: 512 } })).toEqual([512, 512, 512, 464]);
    expect(sizes({ server: { maxSendFragment: 512 } })).toEqual([2000]);
  });

  test("the handshake keeps to it as well, ClientHello included", () => {
    const limits = { client: { maxSendFragment: 512 }, server: { maxSendFragment: 1000 } };
    const { pair, records } = recorded({ ...limits, credentials: credentials("ml-dsa-65") });
    expect(pair.connected).toBe(true);
    const [client, server] = [records("client"), records("server")];
    const hello = client.filter(({ type }) => type === handshake).map(({ fragment }) => fragment.length);
    expect(hello.length).toBeGreaterThan(2);
    expect(Math.max(...hello)).toBe(512);
    expect(Math.max(...inner(server))).toBe(1001);
  });

  test("may be changed on the way", () => {
    const change = (pair: Pair): void => {
      pair.client.send(new Uint8Array(0));
      pair.client.setMaxSendFragment(1024);
    };
    expect(sizes({ client: { maxSendFragment: 512 } }, change)).toEqual([1024, 976]);
    expect(sizes({}, change)).toEqual([1024, 976]);
  });

  test.each([
    [512, 700, 512],
    [700, 513, 512],
  ])("RFC 8449: the smaller counts, of %i and the peer's limit of %i", (maxSendFragment, limit, most) => {
    const server = { recordSizeLimit: limit };
    const client = { maxSendFragment, recordSizeLimit: 16_385 };
    expect(Math.max(...sizes({ client, server }))).toBe(most);
    const change = (pair: Pair): void => pair.client.setMaxSendFragment(16_384);
    expect(Math.max(...sizes({ client, server }, change))).toBe(limit - 1);
  });

  test("padding stays within it", () => {
    const { pair, records } = recorded({ client: { maxSendFragment: 512, padding: 1000 } });
    records("client");
    pair.client.send(new Uint8Array(10));
    pair.settle();
    expect(inner(records("client"))).toEqual([513]);
  });

  test.each([511, 16_385, 600.5, "512"])("%j is refused by name", (bytes) => {
    const { pair } = recorded();
    expect(() => pair.client.setMaxSendFragment(bytes as number)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "maxSendFragment" }),
    );
  });
});

describe("§5.4: padding", () => {
  const send = (options: PairOptions, lengths: readonly number[]): number[] => {
    const { pair, records } = recorded(options);
    records("client");
    for (const length of lengths) pair.client.send(new Uint8Array(length).fill(1));
    pair.settle();
    expect(pair.received("server")).toEqual(
      new Uint8Array(lengths.reduce((sum, each) => sum + each, 0)).fill(1),
    );
    return inner(records("client")).map((length) => length - 1);
  };

  test("a block size hides lengths up to the next multiple", () => {
    expect(send({ client: { padding: 256 } }, [1, 255, 256, 257, 16_384])).toEqual([
      256, 256, 256, 512, 16_384,
    ]);
  });

  test("a policy of the caller's own says how long; less than the content is the content", () => {
    expect(send({ client: { padding: (bytes) => bytes + 7 } }, [10, 3000])).toEqual([17, 3007]);
    expect(send({ client: { padding: () => 100 } }, [10, 200])).toEqual([100, 200]);
  });

  test("never makes a record larger than the peer's limit", () => {
    const options = { client: { padding: 1000, recordSizeLimit: 400 }, server: { recordSizeLimit: 400 } };
    expect(send(options, [10])).toEqual([399]);
  });

  test("covers the handshake and alerts too", () => {
    const { pair, records } = recorded({ server: { padding: 1024 } });
    expect(inner(records("server")).every((length) => length % 1024 === 1)).toBe(true);
    pair.server.close();
    pair.settle();
    expect(inner(records("server"))).toEqual([1025]);
    expect(pair.client.readEnded).toBe(true);
  });

  test("a record of nothing but padding is unexpected_message", () => {
    const { pair } = recorded();
    pair.take("client", pair.client.receive(forger(pair, "server").inner(new Uint8Array(20))));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });
});

describe("§E.4: middlebox compatibility", () => {
  const types = (records: readonly WireRecord[]): number[] => records.map(({ type }) => type);
  const sessionId = ({ fragment }: WireRecord): Uint8Array => fragment.slice(39, 39 + fragment[38]!);

  test("a change_cipher_spec follows ServerHello and precedes the client's second flight", () => {
    const { records } = recorded();
    const [client, server] = [records("client"), records("server")];
    expect(types(client)).toEqual([handshake, change_cipher_spec, application_data]);
    expect(types(server)).toEqual([handshake, change_cipher_spec, application_data]);
    expect(client[1]!.fragment).toEqual(Uint8Array.of(1));
    expect(sessionId(client[0]!)).toHaveLength(32);
    expect(sessionId(server[0]!)).toEqual(sessionId(client[0]!));
  });

  test("with a retry, one follows the HelloRetryRequest and one precedes the second ClientHello, and no more", () => {
    const { records } = recorded({ server: { groups: ["SecP384r1MLKEM1024"] } });
    expect(types(records("client"))).toEqual([handshake, change_cipher_spec, handshake, application_data]);
    expect(types(records("server"))).toEqual([handshake, change_cipher_spec, handshake, application_data]);
  });

  test.each([
    ["", {}],
    [" with a retry", { groups: ["SecP384r1MLKEM1024"] }],
  ] as const)("switched off, no session id and no change_cipher_spec from either end%s", (_, server) => {
    const { pair, records } = recorded({ client: { middleboxCompatibility: false }, server });
    expect(pair.connected).toBe(true);
    const [client, server_] = [records("client"), records("server")];
    expect([...types(client), ...types(server_)]).not.toContain(change_cipher_spec);
    expect(sessionId(client[0]!)).toHaveLength(0);
    expect(sessionId(server_[0]!)).toHaveLength(0);
  });

  const ccs = clear("change_cipher_spec", Uint8Array.of(1));

  test("one that the peer sends at any time between the hellos and its Finished is dropped", () => {
    for (const side of SIDES) {
      let flights = 0;
      const pair = new Pair({
        wire: {
          onBytes: (from, bytes) =>
            from === side && bytes.length > 0 && (side === "server" || flights++ > 0)
              ? concat([ccs, bytes])
              : bytes,
        },
        server: { tickets: false },
      }).run();
      expect(pair.connected).toBe(true);
    }
  });

  test.each([
    ["other content", Uint8Array.of(2)],
    ["two bytes", Uint8Array.of(1, 1)],
    ["nothing in it", Uint8Array.of()],
  ])("one with %s is unexpected_message", (_, content) => {
    const pair = new Pair();
    pair.take("client", pair.client.start());
    pair.take("client", pair.client.receive(clear("change_cipher_spec", content)));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });

  test("§5: one before ClientHello, or after the handshake, is unexpected_message", () => {
    const early = new Pair();
    early.take("server", early.server.receive(ccs));
    expect(early.error("server")).toMatchObject({ alert: "unexpected_message" });
    for (const side of SIDES) {
      const { pair } = recorded();
      pair.take(side, pair[side].receive(ccs));
      expect(pair.error(side)).toMatchObject({ alert: "unexpected_message" });
    }
  });

  test("they are counted among the records that carry nothing", () => {
    const pair = new Pair({ client: { limits: { emptyRecords: 4 } } });
    pair.take("client", pair.client.start());
    pair.take("client", pair.client.receive(concat([ccs, ccs, ccs, ccs])));
    expect(pair.error("client")).toBeUndefined();
    pair.take("client", pair.client.receive(ccs));
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_LIMIT" });
  });
});

describe("§5.1 and §5.2: what may stand in a record", () => {
  const afterwards = (bytes: (forge: ReturnType<typeof forger>) => Uint8Array): Error | undefined => {
    const { pair } = recorded({ client: { limits: { emptyRecords: 3 } } });
    pair.take("client", pair.client.receive(bytes(forger(pair, "server"))));
    return pair.error("client");
  };

  test("a bent record is bad_record_mac", () => {
    const bent = afterwards((forge) => {
      const record = forge.record("application_data", utf8("x"));
      record[record.length - 1]! ^= 1;
      return record;
    });
    expect(bent).toMatchObject({ code: "ERR_TLS_BAD_RECORD_MAC", alert: "bad_record_mac" });
  });

  test("a record in the clear on a connection is unexpected_message, an alert too", () => {
    for (const type of ["handshake", "alert"] as const) {
      expect(afterwards(() => clear(type, Uint8Array.of(1, 0)))).toMatchObject({
        alert: "unexpected_message",
      });
    }
  });

  test("an empty handshake fragment is unexpected_message", () => {
    expect(afterwards((forge) => forge.record("handshake", new Uint8Array(0)))).toMatchObject({
      alert: "unexpected_message",
    });
  });

  test("empty application data is taken, but not without end", () => {
    const empty = (forge: ReturnType<typeof forger>) =>
      forge.record("application_data", new Uint8Array(0), 5);
    expect(afterwards((forge) => concat([empty(forge), empty(forge), empty(forge)]))).toBeUndefined();
    expect(
      afterwards((forge) => concat([empty(forge), empty(forge), empty(forge), empty(forge)])),
    ).toMatchObject({
      code: "ERR_TLS_LIMIT",
    });
  });

  test("data between the parts of a handshake message is unexpected_message", () => {
    const mixed = afterwards((forge) =>
      concat([
        forge.record("handshake", Uint8Array.of(24, 0, 0)),
        forge.record("application_data", utf8("x")),
      ]),
    );
    expect(mixed).toMatchObject({ alert: "unexpected_message" });
  });

  test("§5.1: a ClientHello whose record goes on with another message is unexpected_message", () => {
    const pair = new Pair({ server: { demandsCookie: true } });
    pair.take("client", pair.client.start());
    const [hello] = recordsOf(concat(pair.client.takeOutput()));
    const more = concat([hello!.fragment, Uint8Array.of(1)]);
    pair.take("server", pair.server.receive(clear("handshake", more)));
    expect(pair.error("server")).toMatchObject({
      code: "ERR_TLS_UNEXPECTED_MESSAGE",
      alert: "unexpected_message",
    });
  });

  test("§5.1: a ServerHello whose record goes on with another message is unexpected_message", () => {
    const pair = new Pair();
    pair.take("client", pair.client.start());
    pair.carry("client");
    const [hello] = recordsOf(concat(pair.server.takeOutput()));
    const more = concat([hello!.fragment, Uint8Array.of(8, 0, 0, 2, 0, 0)]);
    pair.take("client", pair.client.receive(clear("handshake", more)));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });

  test.each(SIDES)("§5.1: an alert is a record of its own, fatal but for close_notify: %s", (side) => {
    const sent = (end: (channel: Channel) => void) => {
      const { pair, records } = recorded();
      const { suite, secrets } = pair[side].established!;
      const opener = new RecordOpener(trafficKeys(provider, suite, secrets[`${side}Traffic`].slice()));
      records(side);
      end(pair[side]);
      pair.settle();
      return records(side).map(({ type, fragment }) => {
        const header = Uint8Array.of(type, 3, 3, fragment.length >> 8, fragment.length & 0xff);
        return opener.open({ type, header, fragment });
      });
    };
    const alert = (...content: number[]) => [{ type: ContentType.alert, content: Uint8Array.from(content) }];
    expect(sent((channel) => channel.close())).toEqual(alert(1, 0));
    expect(sent((channel) => channel.abort(new Error("over")))).toEqual(alert(2, 80));
  });

  test("§5.1: a HelloRetryRequest whose record goes on with another message is unexpected_message", () => {
    const pair = new Pair({ server: { demandsCookie: true } });
    pair.take("client", pair.client.start());
    pair.carry("client");
    const [retry] = recordsOf(concat(pair.server.takeOutput()));
    const more = concat([retry!.fragment, Uint8Array.of(2)]);
    pair.take("client", pair.client.receive(clear("handshake", more)));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });

  test("§5.1: the first ClientHello's record says 0x0301, every other one 0x0303", () => {
    const versions: number[] = [];
    const pair = new Pair({
      server: { demandsCookie: true },
      wire: {
        onBytes: (_, bytes) => {
          for (let at = 0; at < bytes.length; at += 5 + (bytes[at + 3]! << 8) + bytes[at + 4]!) {
            versions.push((bytes[at + 1]! << 8) | bytes[at + 2]!);
          }
          return bytes;
        },
      },
    }).run();
    expect(pair.connected).toBe(true);
    expect(versions[0]).toBe(0x0301);
    expect(new Set(versions.slice(1))).toEqual(new Set([0x0303]));
  });

  test("an alert between the parts of a message in the clear is unexpected_message", () => {
    const pair = new Pair();
    pair.take("client", pair.client.start());
    const [hello] = recordsOf(concat(pair.client.takeOutput()));
    pair.take("server", pair.server.receive(clear("handshake", hello!.fragment.subarray(0, 100))));
    pair.take("server", pair.server.receive(clear("alert", Uint8Array.of(2, 40))));
    expect(pair.error("server")).toMatchObject({ alert: "unexpected_message" });
  });

  test("an inner content type of nobody is unexpected_message", () => {
    for (const type of [0x14, 0x18, 0xff]) {
      expect(afterwards((forge) => forge.inner(Uint8Array.of(1, type)))).toMatchObject({
        alert: "unexpected_message",
      });
    }
  });

  test.each([
    ["what is no record", utf8("GET / HTTP/1.1\r\n\r\n"), "decode_error"],
    ["§E.5: an SSL 2.0 hello is no record", fromHex("802e010303000300000020001301")!, "decode_error"],
    ["a record of 2^14 + 1 bytes in the clear", Uint8Array.of(22, 3, 1, 0x40, 1), "record_overflow"],
    ["a record of 2^14 + 257 protected bytes", Uint8Array.of(23, 3, 3, 0x41, 1), "record_overflow"],
    ["application data before any key", clear("application_data", new Uint8Array(40)), "unexpected_message"],
  ] as const)("at the start: %s", (_, bytes, alert) => {
    const pair = new Pair();
    pair.take("server", pair.server.receive(bytes));
    expect(pair.error("server")).toMatchObject({ alert });
    const told = recordsOf(concat(pair.server.takeOutput()));
    expect(told).toHaveLength(1);
    expect(told[0]!.type).toBe(ContentType.alert);
  });
});

describe("questions that take their time", () => {
  test("bytes that come meanwhile are read afterwards, in whatever pieces", () => {
    const { pair } = recorded();
    expect(pair.connected).toBe(true);
    const late = new Pair({ ...withQkd, wire: { onQuestion: () => undefined } });
    late.take("client", late.client.start());
    const hello = concat(late.client.takeOutput());
    const pieces = [hello.subarray(0, 3), hello.subarray(3, 700), hello.subarray(700)];
    const events = pieces.flatMap((piece) => [...late.server.receive(piece)]);
    expect(events).toMatchObject([{ event: "question", question: { ask: "redeem_qkd_key" } }]);
    const [asked] = events;
    if (asked?.event !== "question" || asked.question.ask !== "redeem_qkd_key")
      throw new Error("no question");
    // An alert in pieces while the key is being looked up.
    const alert = clear("alert", Uint8Array.of(2, 40));
    for (const byte of alert) expect(late.server.receive(Uint8Array.of(byte))).toEqual([]);
    late.take(
      "server",
      late.server.answer(late.keys.b.redeemNow(asked.question.initiator, asked.question.keyId)),
    );
    expect(late.error("server")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "handshake_failure" });
  });
});

describe("§4.3.10: early data is refused and skipped", () => {
  const garbage = (bytes = 100): Uint8Array => clear("application_data", provider.random(bytes).slice());

  /** A server that was sent a ClientHello, with or without early_data, and what it said. */
  function greeted(options: Partial<ServerOptions>, earlyData = true) {
    const { settings } = clientConfig({ provider, now: Date.now, serverName: "localhost" });
    const { offer } = firstOffer(settings, []);
    const { extensions } = offer.hello;
    const hello = {
      ...offer.hello,
      extensions: { ...extensions, ...(earlyData ? { early_data: true as const } : {}) },
    };
    const server = Channel.server(
      serverConfig({
        provider,
        now: Date.now,
        credentials: [credentials().identity],
        keyLog: true,
        ...options,
      }),
    );
    const events = server.receive(clear("handshake", encodeHandshake("client_hello", ClientHello, hello)));
    const secret = events.flatMap((event) => (event.event === "key_log" ? [event.line.split(" ")] : []));
    const found = secret.find(([label]) => label === "CLIENT_HANDSHAKE_TRAFFIC_SECRET")?.[2] ?? "";
    return {
      server,
      offer,
      settings,
      events,
      said: recordsOf(concat(server.takeOutput())),
      secret: fromHex(found)!,
    };
  }

  const fails = (events: ReturnType<Channel["receive"]>): unknown =>
    events.find((event) => event.event === "error")?.error;

  test("after ServerHello: records that do not open are dropped until the first that does", () => {
    const { server, secret } = greeted({});
    for (let index = 0; index < 20; index++) expect(server.receive(garbage(1000))).toEqual([]);
    // Too short for a tag is one way not to open.
    for (const bytes of [1, 4, 16]) expect(server.receive(garbage(bytes))).toEqual([]);
    const forge = forgerFor("TLS_AES_256_GCM_SHA384", secret);
    // The beginning of a Finished opens; from here on, what does not open is an error.
    expect(server.receive(forge.record("handshake", Uint8Array.of(20, 0, 0)))).toEqual([]);
    expect(fails(server.receive(garbage()))).toMatchObject({ alert: "bad_record_mac" });
  });

  test("after HelloRetryRequest: application data is dropped until the second ClientHello", () => {
    const { server, offer, settings, said } = greeted({ groups: ["SecP384r1MLKEM1024"] });
    const retry = decodeServerHello(said[0]!.fragment.subarray(4));
    if (!retry.retry) throw new Error("no HelloRetryRequest");
    for (let index = 0; index < 20; index++) expect(server.receive(garbage(1000))).toEqual([]);
    offer.transcript.foldRetry(provider.hash("sha384"));
    const { message } = secondOffer(settings, offer, retry.hello);
    expect(fails(server.receive(clear("handshake", message)))).toBeUndefined();
    expect(recordsOf(concat(server.takeOutput())).length).toBeGreaterThan(1);
    expect(fails(server.receive(garbage()))).toMatchObject({ alert: "bad_record_mac" });
  });

  test.each([
    ["after ServerHello", {}],
    ["after HelloRetryRequest", { groups: ["SecP384r1MLKEM1024"] }],
  ] as const)("no more than earlyDataBytes of it, %s", (_, options) => {
    const { server } = greeted({ ...options, limits: { earlyDataBytes: 1000 } });
    for (let index = 0; index < 10; index++) expect(server.receive(garbage(100))).toEqual([]);
    expect(fails(server.receive(garbage(100)))).toMatchObject({
      code: "ERR_TLS_LIMIT",
      alert: "unexpected_message",
    });
  });

  test.each([
    ["after ServerHello", {}, "bad_record_mac"],
    ["after HelloRetryRequest", { groups: ["SecP384r1MLKEM1024"] }, "unexpected_message"],
  ] as const)("none at all where it was not announced, %s", (_, options, alert) => {
    const { server } = greeted(options, false);
    expect(fails(server.receive(garbage()))).toMatchObject({ alert });
  });

  test("the second ClientHello may not announce it again", () => {
    const { server, offer, settings, said } = greeted({ groups: ["SecP384r1MLKEM1024"] });
    const retry = decodeServerHello(said[0]!.fragment.subarray(4));
    if (!retry.retry) throw new Error("no HelloRetryRequest");
    offer.transcript.foldRetry(provider.hash("sha384"));
    const second = secondOffer(settings, offer, retry.hello).offer.hello;
    const hello = encode(ClientHello, { ...second, extensions: { ...second.extensions, early_data: true } });
    const message = concat([Uint8Array.of(1, 0, hello.length >> 8, hello.length & 0xff), hello]);
    expect(fails(server.receive(clear("handshake", message)))).toMatchObject({ alert: "illegal_parameter" });
  });

  test("our client never announces it", () => {
    const { settings } = clientConfig({ provider, now: Date.now });
    expect(firstOffer(settings, []).offer.hello.extensions.early_data).toBeUndefined();
  });
});

test("a record carries no more than its overhead beside the data", () => {
  const { pair, records } = recorded();
  records("client");
  pair.client.send(new Uint8Array(1));
  pair.settle();
  expect(records("client").map(({ fragment }) => fragment.length)).toEqual([1 + OVERHEAD]);
});

test("what waits for an answer is not copied again with each byte that joins it", () => {
  const records = new Records(LIMITS);
  records.feed(new Uint8Array(1000));
  records.keep();
  const slice = vi.spyOn(Uint8Array.prototype, "slice");
  try {
    for (let count = 0; count < 1000; count++) {
      records.feed(Uint8Array.of(0));
      records.keep();
    }
    const copied = slice.mock.results.reduce((sum, { value }) => sum + (value as Uint8Array).length, 0);
    expect(copied).toBeLessThan(10_000);
  } finally {
    slice.mockRestore();
  }
});
