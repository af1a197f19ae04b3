import { describe, expect, test } from "vitest";
import { concat, EMPTY, fromUtf8, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { nextTrafficSecret } from "../../src/schedule/traffic.ts";
import { credentials, provider } from "../support/credentials.ts";
import { Pair, withQkd, type PairOptions, type Side } from "../support/pair.ts";
import { clear, forger, forgerFor, recordsOf } from "../support/records.ts";
import { clock } from "../support/scripted-source.ts";

describe("a channel in memory", () => {
  test("connects with the hybrid group by default and carries data both ways", () => {
    const pair = new Pair().run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.group?.name).toBe("X25519MLKEM768");
    expect(pair.client.established?.suite.name).toBe("TLS_AES_256_GCM_SHA384");
    pair.client.send(utf8("hello"));
    pair.server.send(utf8("welcome"));
    pair.settle();
    expect(fromUtf8(pair.received("server"))).toBe("hello");
    expect(fromUtf8(pair.received("client"))).toBe("welcome");
  });

  test("mixes the QKD key in beside the certificate (RFC 9973)", () => {
    const pair = new Pair(withQkd).run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.qkd).toMatchObject({
      initiator: "sae-a",
      responder: "sae-b",
      simulated: true,
    });
    expect(pair.server.established?.qkd?.keyId).toBe(pair.client.established?.qkd?.keyId);
    expect(pair.client.established?.peer.by).toBe("certificate");
  });

  test("resumes", () => {
    const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
    const first = new Pair({ server: { tickets } }).run();
    const session = first.session;
    expect(session).toBeDefined();
    // A Buffer, as it comes from a file or an event: its `slice` does not copy.
    const second = new Pair({ client: { session: Buffer.from(session!) }, server: { tickets } }).run();
    expect(second.error("client")).toBeUndefined();
    expect(second.connected).toBe(true);
    expect(second.client.established?.resumed).toBe(true);
    expect(second.client.established?.peer.by).toBe("resumption");
  });

  test("borrows what it receives: the transport may overwrite it at once", () => {
    const shared = Buffer.alloc(65_536);
    const pair = new Pair({
      ...withQkd,
      wire: {
        onBytes: (_, bytes) => {
          shared.fill(0);
          shared.set(bytes);
          return shared.subarray(0, bytes.length);
        },
      },
    });
    pair.borrowing = true;
    pair.run();
    expect(pair.error("server")).toBeUndefined();
    expect(pair.connected).toBe(true);
  });

  test("authenticates the client by certificate", () => {
    const pair = new Pair({ server: { clientAuth: "require" }, clientCredentials: credentials() }).run();
    expect(pair.connected).toBe(true);
    expect(pair.server.established?.peer.by).toBe("certificate");
  });

  test("asks again when the first share does not fit", () => {
    const pair = new Pair({ server: { groups: ["SecP384r1MLKEM1024"] } }).run();
    expect(pair.error("client")).toBeUndefined();
    expect(pair.connected).toBe(true);
    expect(pair.client.established?.retried).toBe(true);
  });

  test("works byte by byte", () => {
    const pair = new Pair({ ...withQkd, wire: { pieceBytes: 1 } }).run();
    expect(pair.connected).toBe(true);
  });
});

const SIDES = ["client", "server"] as const;
const other = (side: Side): Side => (side === "client" ? "server" : "client");

/** A connection on which the server sends nothing by itself, so that records can be forged from sequence 0 on. */
function quiet(options: PairOptions = {}): Pair {
  const pair = new Pair({ ...options, server: { ...options.server, tickets: false } }).run();
  expect(pair.connected).toBe(true);
  return pair;
}

const named = (pair: Pair, side: Side): string[] => pair.events[side].map(({ event }) => event);

describe("§6.1: closing", () => {
  test.each(SIDES)("the %s says close_notify; the other may still send, and then ends too", (side) => {
    const pair = quiet();
    const far = other(side);
    pair[side].send(utf8("last words"));
    pair[side].close();
    pair.settle();
    expect(fromUtf8(pair.received(far))).toBe("last words");
    expect(named(pair, far).at(-1)).toBe("end");
    expect(pair[far].readEnded).toBe(true);
    pair[far].send(utf8("and mine"));
    pair[far].close();
    pair.settle();
    expect(fromUtf8(pair.received(side))).toBe("and mine");
    expect(pair[side].readEnded).toBe(true);
    expect(pair[side].endOfInput()).toEqual([]);
    expect(pair.error(side) ?? pair.error(far)).toBeUndefined();
  });

  test.each(SIDES)(
    "after its own close_notify the %s sends nothing more, whatever is asked of it",
    (side) => {
      const pair = quiet();
      pair[side].close();
      pair.settle();
      pair[side].close();
      expect(() => pair[side].send(utf8("x"))).toThrow(UsageError);
      expect(() => pair[side].updateKeys()).toThrow(UsageError);
      pair[other(side)].updateKeys({ requestPeer: true });
      pair.carry(other(side));
      expect(pair[side].takeOutput()).toEqual([]);
      // The peer's new key is in use all the same.
      pair[other(side)].send(utf8("still here"));
      pair.carry(other(side));
      expect(fromUtf8(pair.received(side))).toBe("still here");
      expect(pair.error(side)).toBeUndefined();
    },
  );

  test.each(SIDES)("data that the %s receives behind close_notify is ignored", (side) => {
    const pair = quiet();
    const forge = forger(pair, other(side));
    const data = forge.alert("close_notify", 1);
    pair.take(side, pair[side].receive(concat([data, forge.record("application_data", utf8("late"))])));
    pair.take(side, pair[side].receive(utf8("not even a record")));
    expect(named(pair, side).slice(-1)).toEqual(["end"]);
    expect(pair.received(side)).toHaveLength(0);
    expect(pair.error(side)).toBeUndefined();
  });

  test.each(SIDES)("a transport that ends without close_notify is a truncation at the %s", (side) => {
    const pair = quiet();
    pair[other(side)].send(utf8("half"));
    pair.settle();
    pair.take(side, pair[side].endOfInput());
    expect(pair.error(side)).toMatchObject({ code: "ERR_TLS_TRUNCATED" });
    expect(fromUtf8(pair.received(side))).toBe("half");
    expect(pair[side].takeOutput()).toEqual([]);
    expect(pair[side].endOfInput()).toEqual([]);
  });

  test("a transport that ends during the handshake is a truncation", () => {
    const pair = new Pair();
    pair.take("client", pair.client.start());
    pair.take("client", pair.client.endOfInput());
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_TRUNCATED" });
  });

  test.each(SIDES)("the %s closes in the middle of the handshake: no message of it follows", (side) => {
    const sent: Uint8Array[] = [];
    const pair = new Pair({
      wire: {
        onBytes: (from, bytes) => {
          if (from === side) sent.push(bytes.slice());
          return bytes;
        },
        onQuestion: (asked, { ask }) => {
          if (side === "client" && asked === "client" && ask === "verify_peer") pair.client.close();
          return undefined;
        },
      },
    });
    if (side === "server") pair.server.close();
    pair.run();
    const types = recordsOf(concat(sent)).map(({ type }) => type);
    // The client has sent its hello and its change_cipher_spec by then; the last record is the alert.
    expect(types).toEqual(side === "client" ? [22, 20, 23] : [21]);
    expect(pair.error(other(side))).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "close_notify" });
    expect(pair[other(side)].state).toBe("failed");
  });

  test("close_notify during the handshake ends it", () => {
    const pair = new Pair();
    pair.take("client", pair.client.start());
    pair.take("client", pair.client.receive(clear("alert", Uint8Array.of(1, 0))));
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "close_notify" });
    expect(pair.client.state).toBe("failed");
  });
});

describe("§6: alerts", () => {
  test.each([
    ["a fatal one", "decrypt_error", 2, "decrypt_error"],
    ["an error at warning level is an error all the same", "handshake_failure", 1, "handshake_failure"],
    ["an unknown one is an error", 222, 1, "alert 222"],
    ["user_canceled as an error", "user_canceled", 2, "user_canceled"],
  ] as const)("%s", (_, alert, level, seen) => {
    for (const side of SIDES) {
      const pair = quiet();
      pair.take(side, pair[side].receive(forger(pair, other(side)).alert(alert, level)));
      expect(pair.error(side)).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: seen });
      expect(pair[side].takeOutput()).toEqual([]);
    }
  });

  test("user_canceled as a warning, again and again, is unexpected_message", () => {
    const pair = quiet();
    const forge = forger(pair, "server");
    const again = (): void => pair.take("client", pair.client.receive(forge.alert("user_canceled", 1)));
    for (let n = 0; n < 4; n++) again();
    expect(pair.error("client")).toBeUndefined();
    again();
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_LIMIT", alert: "unexpected_message" });
  });

  test("user_canceled as a warning waits for the close_notify behind it", () => {
    const pair = quiet();
    const forge = forger(pair, "server");
    pair.take("client", pair.client.receive(forge.alert("user_canceled", 1)));
    expect(pair.client.state).toBe("connected");
    pair.take("client", pair.client.receive(forge.alert("close_notify", 1)));
    expect(named(pair, "client").at(-1)).toBe("end");
  });

  test("§5.4: an alert without content is unexpected_message", () => {
    const pair = quiet();
    const empty = forger(pair, "server").record("alert", new Uint8Array(0));
    pair.take("client", pair.client.receive(empty));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });

  test("an alert of another length than two bytes is decode_error", () => {
    for (const bytes of [Uint8Array.of(2), Uint8Array.of(2, 40, 0), Uint8Array.of(1, 0, 1, 0)]) {
      const pair = quiet();
      pair.take("client", pair.client.receive(forger(pair, "server").record("alert", bytes)));
      expect(pair.error("client")).toMatchObject({ alert: "decode_error" });
    }
  });

  test.each(["client", "server"] as const)("a QKD key that comes too late for its %s is wiped", (side) => {
    const pair = new Pair({ ...withQkd, wire: { onQuestion: () => undefined } });
    const channel = pair[side];
    if (side === "client") channel.start();
    else {
      pair.take("client", pair.client.start());
      channel.receive(concat(pair.client.takeOutput()));
    }
    expect(channel.question?.ask).toBe(side === "client" ? "draw_qkd_key" : "redeem_qkd_key");
    channel.abort(new Error("over"));
    const key = new Uint8Array(32).fill(7);
    expect(channel.answer({ id: "", key, simulated: true, kind: "test" })).toEqual([]);
    expect(key).toEqual(new Uint8Array(32));
  });

  test("the side that fails sends its alert once; the other learns it by name", () => {
    const pair = quiet();
    pair.take("client", pair.client.abort(new Error("the host has had enough")));
    pair.take("client", pair.client.abort(new Error("again")));
    pair.settle();
    expect(pair.events.client.filter(({ event }) => event === "error")).toHaveLength(1);
    expect(pair.error("server")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "internal_error" });
  });

  test("a failed channel takes and gives nothing more", () => {
    const pair = quiet();
    pair.take("client", pair.client.abort(new Error("over")));
    pair.client.takeOutput();
    pair.server.send(utf8("x"));
    expect(pair.client.receive(concat(pair.server.takeOutput()))).toEqual([]);
    expect(pair.client.answer(1)).toEqual([]);
    expect(pair.client.refuse(new Error("no"))).toEqual([]);
    pair.client.close();
    expect(pair.client.takeOutput()).toEqual([]);
    expect(() => pair.client.send(utf8("x"))).toThrow(UsageError);
  });
});

describe("misuse is the caller's error and ends nothing", () => {
  test("before the handshake", () => {
    const { client, server } = new Pair();
    expect(() => client.send(utf8("x"))).toThrow(UsageError);
    expect(() => client.updateKeys()).toThrow(UsageError);
    expect(() => client.exportKeyingMaterial("EXPORTER-x", EMPTY, 32)).toThrow(UsageError);
    expect(() => server.start()).toThrow(UsageError);
    client.close();
    client.start();
    expect(() => client.start()).toThrow(UsageError);
    expect(client.state).toBe("handshaking");
  });

  test("an answer that nothing asked for changes nothing", () => {
    const pair = quiet();
    expect(pair.client.answer({ authorized: false })).toEqual([]);
    expect(pair.connected).toBe(true);
  });
});

describe("§4.7.3: key updates", () => {
  const secretsOf = (pair: Pair, side: Side): string[] => {
    const { clientTraffic, serverTraffic } = pair[side].established!.secrets;
    return [toHex(clientTraffic), toHex(serverTraffic)];
  };
  const updates = (pair: Pair, side: Side): string[] =>
    pair.events[side].flatMap((event) => (event.event === "key_update" ? [event.by] : []));
  const converse = (pair: Pair): void => {
    for (const side of SIDES) pair[side].send(utf8(`from the ${side}`));
    pair.settle();
    for (const side of SIDES) {
      expect(fromUtf8(pair.received(other(side))).endsWith(`from the ${side}`)).toBe(true);
      expect(pair.error(side)).toBeUndefined();
    }
    expect(secretsOf(pair, "client")).toEqual(secretsOf(pair, "server"));
  };

  test.each(SIDES)("the %s moves its own direction alone", (side) => {
    const pair = quiet();
    const [client, server] = secretsOf(pair, side);
    pair.take(side, pair[side].updateKeys());
    pair.settle();
    converse(pair);
    expect([updates(pair, side), updates(pair, other(side))]).toEqual([["us"], ["peer"]]);
    const [newClient, newServer] = secretsOf(pair, side);
    expect(newClient === client).toBe(side === "server");
    expect(newServer === server).toBe(side === "client");
  });

  test.each(SIDES)("asked by the %s, the peer answers with one of its own", (side) => {
    const pair = quiet();
    pair.take(side, pair[side].updateKeys({ requestPeer: true }));
    pair.settle();
    converse(pair);
    expect([updates(pair, side), updates(pair, other(side))]).toEqual([
      ["us", "peer"],
      ["peer", "us"],
    ]);
  });

  test("asked by both at once", () => {
    const pair = quiet();
    for (const side of SIDES) pair.take(side, pair[side].updateKeys({ requestPeer: true }));
    pair.settle();
    converse(pair);
    for (const side of SIDES) expect(updates(pair, side).toSorted()).toEqual(["peer", "peer", "us", "us"]);
  });

  test.each(SIDES)("the %s asks again only when the answer has come", (side) => {
    const pair = quiet();
    for (let round = 0; round < 3; round++) pair.take(side, pair[side].updateKeys({ requestPeer: true }));
    pair.settle();
    converse(pair);
    expect(updates(pair, side)).toEqual(["us", "us", "us", "peer"]);
    pair.take(side, pair[side].updateKeys({ requestPeer: true }));
    pair.settle();
    converse(pair);
    expect(updates(pair, side)).toEqual(["us", "us", "us", "peer", "us", "peer"]);
  });

  test.each(SIDES)("while the %s is silent, one update answers however many requests", (side) => {
    const pair = quiet();
    const peer = other(side);
    pair.take(peer, pair[peer].updateKeys({ requestPeer: true }));
    pair.settle();
    expect(pair[side].takeOutput()).toEqual([]);
    // Ours counts as an answer too.
    pair.take(side, pair[side].updateKeys());
    pair.settle();
    pair.take(peer, pair[peer].updateKeys({ requestPeer: true }));
    pair.settle();
    expect(updates(pair, peer)).toEqual(["us", "peer", "us"]);
    converse(pair);
    converse(pair);
    expect(updates(pair, peer)).toEqual(["us", "peer", "us", "peer"]);
    // One that asks in its turn does not: the answer goes before it.
    pair.take(peer, pair[peer].updateKeys({ requestPeer: true }));
    pair.settle();
    pair.take(side, pair[side].updateKeys({ requestPeer: true }));
    pair.settle();
    converse(pair);
    expect(updates(pair, peer)).toEqual(["us", "peer", "us", "peer", "us", "peer", "peer", "us"]);
  });

  test("§5.5: by itself before a key has sealed as many records as it may", () => {
    const pair = quiet({ client: { limits: { recordsPerKey: 3 } } });
    for (let index = 0; index < 10; index++) pair.client.send(utf8(`${index}`));
    pair.settle();
    expect(fromUtf8(pair.received("server"))).toBe("0123456789");
    expect(updates(pair, "server").length).toBeGreaterThanOrEqual(3);
    converse(pair);
  });

  test("§5.5: also in the middle of one large write", () => {
    const pair = quiet({ server: { limits: { recordsPerKey: 2 } } });
    const data = provider.random(100_000).slice();
    pair.server.send(data);
    pair.settle();
    expect(toHex(pair.received("client"))).toBe(toHex(data));
    expect(updates(pair, "client").length).toBeGreaterThanOrEqual(3);
  });

  test.each(SIDES)(
    "a flood of them from the peer ends the connection at the %s, with unexpected_message",
    (side) => {
      const time = clock();
      const limits = { postHandshakeMessagesPerMinute: 5 };
      const pair = quiet({ now: time.now, client: { limits }, server: { limits } });
      const flood = (count: number): void => {
        for (let index = 0; index < count; index++) pair.take(other(side), pair[other(side)].updateKeys());
        pair.settle();
      };
      flood(5);
      expect(pair.error(side)).toBeUndefined();
      time.add(60_001);
      flood(5);
      expect(pair.error(side)).toBeUndefined();
      flood(1);
      expect(pair.error(side)).toMatchObject({ code: "ERR_TLS_LIMIT", alert: "unexpected_message" });
    },
  );

  test("an unknown KeyUpdateRequest is illegal_parameter", () => {
    const pair = quiet();
    pair.take("client", pair.client.receive(forger(pair, "server").keyUpdate(2)));
    expect(pair.error("client")).toMatchObject({ alert: "illegal_parameter" });
  });

  test.each(SIDES)(
    "§4.7.3: a record under the next key without a KeyUpdate is bad_record_mac: %s",
    (side) => {
      const pair = quiet();
      const { suite, secrets } = pair[side].established!;
      const next = nextTrafficSecret(provider.hash(suite.hash), secrets[`${other(side)}Traffic`]);
      const record = forgerFor(suite.name, next).record("application_data", utf8("early"));
      pair.take(side, pair[side].receive(record));
      expect(pair.error(side)).toMatchObject({ alert: "bad_record_mac" });
    },
  );

  test("§5.1: a message behind it in the same record is unexpected_message", () => {
    const pair = quiet();
    const update = Uint8Array.of(24, 0, 0, 1, 0);
    const record = forger(pair, "server").record("handshake", concat([update, update]));
    pair.take("client", pair.client.receive(record));
    expect(pair.error("client")).toMatchObject({ alert: "unexpected_message" });
  });

  test.each([
    ["§4.6: EndOfEarlyData", Uint8Array.of(5, 0, 0, 0), SIDES],
    ["§4.7.2: CertificateRequest", Uint8Array.of(13, 0, 0, 3, 0, 0, 0), ["client"]],
  ] as const)("%s on a connection is unexpected_message", (_, message, sides) => {
    for (const side of sides) {
      const pair = quiet();
      pair.take(side, pair[side].receive(forger(pair, other(side)).record("handshake", message)));
      expect(pair.error(side)).toMatchObject({ alert: "unexpected_message" });
    }
  });

  test("a handshake message that has no place on a connection is unexpected_message", () => {
    for (const side of SIDES) {
      const pair = quiet();
      const hello = forger(pair, other(side)).record("handshake", Uint8Array.of(1, 0, 0, 1, 0));
      pair.take(side, pair[side].receive(hello));
      expect(pair.error(side)).toMatchObject({
        code: "ERR_TLS_UNEXPECTED_MESSAGE",
        alert: "unexpected_message",
      });
    }
  });
});

describe("§7.5: exporters", () => {
  test("are equal on both ends, and differ by label, context, length and connection", () => {
    const [one, two] = [quiet(), quiet()];
    const material = (pair: Pair, side: Side, label: string, context: string, length: number): string =>
      toHex(pair[side].exportKeyingMaterial(label, utf8(context), length));
    const seen = new Set<string>();
    for (const [label, context, length] of [
      ["EXPORTER-a", "", 32],
      ["EXPORTER-b", "", 32],
      ["EXPORTER-a", "x", 32],
      ["EXPORTER-a", "", 64],
    ] as const) {
      for (const pair of [one, two]) {
        const value = material(pair, "client", label, context, length);
        expect(value).toHaveLength(2 * length);
        expect(material(pair, "server", label, context, length)).toBe(value);
        seen.add(value.slice(0, 64));
      }
    }
    expect(seen.size).toBe(8);
  });

  test("RFC 9266: tls-exporter stays the same over key updates", () => {
    const pair = quiet();
    const binding = (side: Side): string =>
      toHex(pair[side].exportKeyingMaterial("EXPORTER-Channel-Binding", EMPTY, 32));
    const before = binding("client");
    pair.client.updateKeys({ requestPeer: true });
    pair.settle();
    expect([binding("client"), binding("server")]).toEqual([before, before]);
  });
});

describe("RFC 9850: the key log", () => {
  const LABELS = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
  ];
  const lines = (pair: Pair, side: Side): string[] =>
    pair.events[side].flatMap((event) => (event.event === "key_log" ? [event.line] : []));

  test.each([
    ["", {}],
    [" after a HelloRetryRequest", { groups: ["SecP384r1MLKEM1024"] }],
  ] as const)("has the five labels, the client's random and the same secrets on both ends%s", (_, server) => {
    const sent: Uint8Array[] = [];
    const pair = quiet({
      client: { keyLog: true },
      server: { ...server, keyLog: true },
      wire: { onBytes: (from, bytes) => (from === "client" && sent.push(bytes.slice()), bytes) },
    });
    const random = toHex(recordsOf(sent[0]!)[0]!.fragment.slice(6, 38));
    expect(lines(pair, "client").map((line) => line.split(" ")[0])).toEqual(LABELS);
    for (const line of lines(pair, "client")) expect(line).toMatch(/^[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]{96}$/);
    expect(lines(pair, "client").every((line) => line.split(" ")[1] === random)).toBe(true);
    expect(lines(pair, "server")).toEqual(lines(pair, "client"));
  });

  test("is not made unless it was asked for", () => {
    const pair = quiet();
    expect([...lines(pair, "client"), ...lines(pair, "server")]).toEqual([]);
  });
});

describe("limits on what a peer can make us do", () => {
  test("one handshake message larger than handshakeMessageBytes is refused at its header", () => {
    const pair = new Pair({ server: { limits: { handshakeMessageBytes: 1000 } } }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_TLS_LIMIT", alert: "illegal_parameter" });
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_PEER_ALERT" });
  });

  test("all of them together larger than handshakeBytes are refused", () => {
    const limits = { handshakeBytes: 1500, handshakeMessageBytes: 1400 };
    const pair = new Pair({ client: { limits } }).run();
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_LIMIT", alert: "illegal_parameter" });
  });

  test("a chain longer than chainLength is refused", () => {
    const { identity, ca } = credentials();
    const long = { ...identity, chain: [...identity.chain, ca.der, ca.der] };
    const pair = new Pair({ client: { limits: { chainLength: 2 } }, server: { credentials: [long] } }).run();
    expect(pair.error("client")).toMatchObject({ code: "ERR_CERT_INVALID", alert: "bad_certificate" });
  });

  test("what waits while a question is open is bounded by bufferedBytes", () => {
    const limits = { bufferedBytes: 16_000 };
    const { client, server, keys } = new Pair({ ...withQkd, server: { ...withQkd.server, limits } });
    client.start();
    client.answer(keys.a.drawNow("sae-b"));
    server.receive(concat(client.takeOutput()));
    expect(server.question?.ask).toBe("redeem_qkd_key");
    expect(server.receive(clear("handshake", new Uint8Array(10_000)))).toEqual([]);
    const events = server.receive(clear("handshake", new Uint8Array(10_000)));
    expect(events).toMatchObject([{ event: "error", error: { code: "ERR_TLS_LIMIT" } }]);
    expect(server.answer(undefined)).toEqual([]);
  });
});

describe("§6 of the design: a channel that is over", () => {
  test("exports, sends and answers nothing, and has no secret left", () => {
    const { client } = new Pair().run();
    client.wipe();
    client.wipe();
    expect(client.state).toBe("failed");
    expect(() => client.exportKeyingMaterial("EXPORTER-x", EMPTY, 32)).toThrow(
      expect.objectContaining({ code: "ERR_STATE" }),
    );
    expect(() => client.send(utf8("x"))).toThrow(expect.objectContaining({ code: "ERR_STATE" }));
    expect(client.receive(utf8("x"))).toEqual([]);
    expect(client.endOfInput()).toEqual([]);
    expect(concat(client.takeOutput())).toHaveLength(0);
  });

  test("wipes a QKD key that comes too late", () => {
    const { client } = new Pair(withQkd);
    client.start();
    client.wipe();
    const key = new Uint8Array(32).fill(1);
    expect(client.answer({ id: "x", key, simulated: true, kind: "x" })).toEqual([]);
    expect(key).toEqual(new Uint8Array(32));
  });
});
