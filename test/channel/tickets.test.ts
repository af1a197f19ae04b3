import { describe, expect, test } from "vitest";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { decodeSession, encodeSession } from "../../src/handshake/session.ts";
import { TrustError, UsageError } from "../../src/protocol/errors.ts";
import { toHex, utf8 } from "../../src/protocol/bytes.ts";
import { credentials, provider } from "../support/credentials.ts";
import type { Question } from "../../src/handshake/question.ts";
import { Pair, type PairOptions, type Side } from "../support/pair.ts";
import { clock } from "../support/scripted-source.ts";

const HOUR_MS = 3_600_000;
const state = utf8("what a ticket holds");

describe("TicketKeys: seals and rotates", () => {
  test("opens what it sealed and nothing else", () => {
    const keys = new TicketKeys({ provider, now: Date.now });
    const ticket = keys.seal(state);
    expect(keys.open(ticket)).toEqual(state);
    expect(new TicketKeys({ provider, now: Date.now }).open(ticket)).toBeUndefined();
    for (const at of [0, 16, 28, ticket.length - 1]) {
      const bent = ticket.slice();
      bent[at] = bent[at]! ^ 1;
      expect(keys.open(bent), `byte ${at}`).toBeUndefined();
    }
    for (const length of [0, 15, 43, ticket.length - 1]) {
      expect(keys.open(ticket.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
  });

  test("two tickets of the same state share no bytes but the key's name", () => {
    const keys = new TicketKeys({ provider, now: Date.now });
    const [one, two] = [keys.seal(state), keys.seal(state)];
    expect(toHex(one.subarray(0, 16))).toBe(toHex(two.subarray(0, 16)));
    expect(toHex(one.subarray(16))).not.toBe(toHex(two.subarray(16)));
  });

  test("a key seals for one period and opens for one more", () => {
    const time = clock();
    const keys = new TicketKeys({ provider, now: time.now, rotationMs: HOUR_MS });
    const old = keys.seal(state);
    time.add(HOUR_MS);
    const young = keys.seal(state);
    expect(toHex(young.subarray(0, 16))).not.toBe(toHex(old.subarray(0, 16)));
    expect(keys.open(old)).toEqual(state);
    time.add(HOUR_MS);
    expect(keys.open(old)).toBeUndefined();
    expect(keys.open(young)).toEqual(state);
    time.add(2 * HOUR_MS);
    expect(keys.open(young)).toBeUndefined();
  });

  test("servers that share keys open each other's tickets, and such keys stay until they are replaced", () => {
    const time = clock();
    const shared = provider.random(48).slice();
    const [one, two] = [1, 2].map(
      () => new TicketKeys({ provider, now: time.now, shared, rotationMs: HOUR_MS }),
    );
    const ticket = one!.seal(state);
    time.add(50 * HOUR_MS);
    expect(two!.open(ticket)).toEqual(state);
    two!.replace(provider.random(48).slice());
    expect(two!.open(ticket)).toEqual(state);
    expect(one!.open(two!.seal(state))).toBeUndefined();
    two!.replace(provider.random(48).slice());
    expect(two!.open(ticket)).toBeUndefined();
  });

  test("shared keys of another length are refused, and the given bytes are left alone", () => {
    const make = (): TicketKeys => new TicketKeys({ provider, now: Date.now, shared: new Uint8Array(47) });
    expect(make).toThrow(UsageError);
    // A Buffer's slice does not copy, so it is the form to be careful with.
    const shared = Buffer.from(provider.random(48));
    const before = toHex(shared);
    const keys = new TicketKeys({ provider, now: Date.now, shared });
    keys.replace(shared);
    expect(toHex(shared)).toBe(before);
    expect(() => keys.replace(new Uint8Array(49))).toThrow(expect.objectContaining({ option: "ticketKeys" }));
    expect(keys.open(keys.seal(state))).toEqual(state);
  });
});

/** A client that comes back: one sealer, one clock, two connections. */
function comeBack(
  options: {
    readonly first?: PairOptions;
    readonly second?: PairOptions;
    readonly waitMs?: number;
    readonly tickets?: object;
    readonly bend?: (session: Uint8Array) => Uint8Array;
  } = {},
): Pair {
  const time = clock();
  const sealer = new TicketKeys({ provider, now: time.now });
  const merged = (given: PairOptions = {}, session?: Uint8Array): PairOptions => ({
    ...given,
    now: time.now,
    client: { ...given.client, ...(session === undefined ? {} : { session }) },
    server: { ...given.server, tickets: { sealer, ...options.tickets } },
  });
  const first = new Pair(merged(options.first)).run();
  expect(first.error("client") ?? first.error("server")).toBeUndefined();
  const session = first.session!;
  time.add(options.waitMs ?? 0);
  return new Pair(merged(options.second, options.bend?.(session) ?? session)).run();
}

const resumed = (pair: Pair): boolean => {
  expect(pair.error("client")).toBeUndefined();
  expect(pair.error("server")).toBeUndefined();
  expect(pair.server.established?.resumed).toBe(pair.client.established?.resumed);
  return pair.client.established!.resumed;
};

describe("§4.7.1: tickets that a server issues", () => {
  const sessions = (pair: Pair): number =>
    pair.events.client.filter(({ event }) => event === "session").length;

  test.each([0, 1, 2, 16])("%i of them, when so configured", (count) => {
    const sealer = new TicketKeys({ provider, now: Date.now });
    expect(sessions(new Pair({ server: { tickets: { sealer, count } } }).run())).toBe(count);
  });

  test("one to a connection that was resumed itself, in place of the one it used", () => {
    expect(sessions(comeBack())).toBe(1);
    expect(sessions(comeBack({ tickets: { count: 5 } }))).toBe(1);
    expect(comeBack().server.established?.resumed).toBe(true);
  });

  test("none without tickets, and none to a client that cannot use one", () => {
    expect(sessions(new Pair({ server: { tickets: false } }).run())).toBe(0);
    expect(sessions(new Pair({ client: { resumption: false } }).run())).toBe(0);
  });

  test("none where QKD is required, because each connection takes a fresh key", () => {
    const qkd = { client: { qkd: { sae: "sae-a", peer: "sae-b" } }, server: { qkd: { sae: "sae-b" } } };
    expect(sessions(new Pair(qkd).run())).toBe(0);
  });

  test("each stands for another secret under another age_add", () => {
    const pair = new Pair().run();
    const given = pair.events.client.flatMap((event) => (event.event === "session" ? [event.session] : []));
    expect(new Set(given.map(({ psk }) => toHex(psk))).size).toBe(2);
    expect(new Set(given.map(({ ageAdd }) => ageAdd)).size).toBe(2);
    expect(given[0]).toMatchObject({ lifetimeSeconds: 7200, serverName: "localhost", authorized: true });
  });
});

describe("§4.7.1: resumption", () => {
  test("with an ephemeral exchange (psk_dhe_ke), no certificate and a ticket that serves only once more", () => {
    const pair = comeBack();
    expect(resumed(pair)).toBe(true);
    expect(pair.client.established).toMatchObject({
      group: { name: "X25519MLKEM768" },
      peer: { by: "resumption" },
    });
    expect(pair.client.established?.peer.chain).toHaveLength(1);
    expect(pair.session).toBeDefined();
  });

  test.each([
    ["at its last second", 0, true],
    ["a moment later", 1, false],
  ])("the ticket's lifetime holds, %s", (_, lateMs, works) => {
    const waitMs = 600_000 + lateMs;
    expect(resumed(comeBack({ tickets: { lifetimeSeconds: 600 }, waitMs }))).toBe(works);
  });

  test("the server itself refuses an expired ticket from a client that lies about its age", () => {
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), lifetimeSeconds: 604_800 });
    expect(resumed(comeBack({ tickets: { lifetimeSeconds: 600 }, waitMs: 600_001, bend }))).toBe(false);
  });

  test("a session from the future is not offered", () => {
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), receivedMs: decodeSession(bytes).receivedMs + 1000 });
    expect(resumed(comeBack({ bend }))).toBe(false);
  });

  test("a ticket under a key that has rotated away means a full handshake", () => {
    expect(resumed(comeBack({ waitMs: 25 * HOUR_MS, tickets: { lifetimeSeconds: 604_800 } }))).toBe(false);
  });

  test("a session for another server name is not offered, and its ticket would not be taken", () => {
    const other = { client: { serverName: "example.test" } };
    expect(resumed(comeBack({ second: other }))).toBe(false);
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), serverName: "example.test" });
    expect(resumed(comeBack({ second: other, bend }))).toBe(false);
  });

  test("§4.7.1: the server tells the name that the resuming hello has", () => {
    const pair = comeBack();
    expect(resumed(pair)).toBe(true);
    expect(pair.server.established?.serverName).toBe("localhost");
    const silent = comeBack({ second: { client: { sendServerName: false } } });
    expect(silent.server.established?.serverName).toBeUndefined();
  });

  test("another suite of the same hash resumes; a suite of another hash does not", () => {
    const chacha = { suites: ["TLS_CHACHA20_POLY1305_SHA256"] } as const;
    const both = { suites: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] } as const;
    const same = comeBack({ first: { server: chacha }, second: { client: both, server: both } });
    expect(resumed(same)).toBe(true);
    expect(same.client.established?.suite.name).toBe("TLS_AES_128_GCM_SHA256");
    const sha384 = { suites: ["TLS_AES_256_GCM_SHA384"] } as const;
    expect(resumed(comeBack({ first: { server: chacha }, second: { server: sha384 } }))).toBe(false);
  });

  test("the ticket's hash moves the server from its favourite suite", () => {
    const first = { server: { suites: ["TLS_AES_128_GCM_SHA256"] } } as const;
    const pair = comeBack({ first });
    expect(resumed(pair)).toBe(true);
    expect(pair.client.established?.suite.hash).toBe("sha256");
  });

  test("after a HelloRetryRequest too", () => {
    const second = { server: { groups: ["SecP384r1MLKEM1024"] } } as const;
    const pair = comeBack({ second });
    expect(resumed(pair)).toBe(true);
    expect(pair.client.established?.retried).toBe(true);
  });

  test("the application protocol is agreed on anew", () => {
    const pair = comeBack({
      first: { client: { alpn: ["a"] }, server: { alpn: ["a"] } },
      second: { client: { alpn: ["b", "a"] }, server: { alpn: ["b"] } },
    });
    expect(resumed(pair)).toBe(true);
    expect(pair.client.established?.alpn).toBe("b");
  });

  test("a client certificate is remembered; where one is required a session without one is not enough", () => {
    const known = { clientCredentials: credentials(), server: { clientAuth: "require" } } as const;
    const pair = comeBack({ first: known, second: known });
    expect(resumed(pair)).toBe(true);
    expect(pair.server.established).toMatchObject({
      peer: { by: "resumption" },
      verdict: { authorized: true },
    });
    expect(pair.server.established?.peer.chain).toHaveLength(1);
    expect(resumed(comeBack({ second: known }))).toBe(false);
  });

  describe("the certificate of the first handshake is judged anew", () => {
    /** The verdict changes once the first connection is over. */
    const judged = (side: Side, verdict: unknown): PairOptions => ({
      wire: {
        onQuestion: (asked, question) =>
          asked === side && question.ask === "verify_peer" && question.resumes ? verdict : undefined,
      },
    });
    const known = { clientCredentials: credentials(), server: { clientAuth: "require" } } as const;
    const refused = new TrustError("ERR_CERT_EXPIRED", "certificate_expired", "expired meanwhile");

    test.each([
      ["that is refused", refused],
      ["that is not authorized", { authorized: false }],
    ])("a client's, %s, costs the resumption", (_, verdict) => {
      const pair = comeBack({ first: known, second: { ...known, ...judged("server", verdict) } });
      expect(resumed(pair)).toBe(false);
      expect(pair.server.established?.peer.by).toBe("certificate");
    });

    test.each([
      ["that is refused", refused],
      ["that is not authorized", { authorized: false }],
    ])("a server's, %s, keeps the session from being offered", (_, verdict) => {
      const pair = comeBack({ second: judged("client", verdict) });
      expect(resumed(pair)).toBe(false);
      expect(pair.client.established?.peer.by).toBe("certificate");
    });

    test("by its name and purpose, before its ticket counts", () => {
      const asked: Question[] = [];
      const onQuestion = (_: Side, question: Question) => void asked.push(question);
      expect(resumed(comeBack({ first: known, second: { ...known, wire: { onQuestion } } }))).toBe(true);
      expect(asked).toMatchObject([
        {
          ask: "verify_peer",
          purpose: "server",
          resumes: true,
          name: "localhost",
          chain: [expect.anything()],
        },
        { ask: "verify_peer", purpose: "client", resumes: true, chain: [expect.anything()] },
      ]);
    });

    test("unless nobody had one", () => {
      const psks = [{ identity: "one", key: new Uint8Array(32).fill(1) }];
      const byKey = { client: { psks, authentication: "psk" }, server: { psks } } as const;
      const asked: Question[] = [];
      const onQuestion = (_: Side, question: Question) => void asked.push(question);
      expect(resumed(comeBack({ first: byKey, second: { ...byKey, wire: { onQuestion } } }))).toBe(true);
      expect(asked).toEqual([]);
    });
  });

  test("a session that a key authenticated serves no client that wants a certificate, nor the other way round", () => {
    const psks = [{ identity: "one", key: new Uint8Array(32).fill(1) }];
    const byKey = { client: { psks, authentication: "psk" }, server: { psks } } as const;
    expect(resumed(comeBack({ first: byKey }))).toBe(false);
    expect(resumed(comeBack({ second: byKey }))).toBe(false);
  });

  test("renewed again and again, tickets end seven days after the certificates and keys that began them", () => {
    const time = clock();
    const sealer = new TicketKeys({ provider, now: time.now });
    const tickets = { sealer, lifetimeSeconds: 7200 };
    const visit = (session?: Uint8Array): Pair =>
      new Pair({
        now: time.now,
        client: session === undefined ? {} : { session },
        server: { tickets },
      }).run();
    let last = visit();
    let resumptions = 0;
    for (let hours = 0; hours < 24 * 8 && last.session !== undefined; hours++) {
      time.add(HOUR_MS);
      last = visit(last.session);
      if (!resumed(last)) break;
      resumptions++;
    }
    expect(resumptions).toBe(24 * 7);
    expect(last.session).toBeUndefined();
  });

  test("a session with an unverified server serves no client that verifies", () => {
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), authorized: false });
    expect(resumed(comeBack({ bend }))).toBe(false);
    const lax = comeBack({ bend, second: { client: { acceptsUnverified: true } } });
    expect(resumed(lax)).toBe(true);
    expect(lax.client.established?.verdict.authorized).toBe(false);
  });

  test("a stolen ticket without its secret is decrypt_error", () => {
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), psk: new Uint8Array(48) });
    const pair = comeBack({ bend });
    expect(pair.error("server")).toMatchObject({ code: "ERR_TLS_DECRYPT", alert: "decrypt_error" });
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "decrypt_error" });
  });

  test("a ticket of no server of ours is passed over", () => {
    const bend = (bytes: Uint8Array): Uint8Array =>
      encodeSession({ ...decodeSession(bytes), ticket: provider.random(200).slice() });
    expect(resumed(comeBack({ bend }))).toBe(false);
  });

  test("a stored session that is cut, bent or of another version is refused by name", () => {
    const session = new Pair().run().session!;
    const bent = session.slice();
    bent[0] = 9;
    for (const bytes of [session.subarray(0, 20), Uint8Array.of(), bent, utf8("no session")]) {
      expect(() => decodeSession(bytes)).toThrow(expect.objectContaining({ option: "session" }));
    }
  });
});

describe("a ticket store of the host", () => {
  function visit(stored: Map<string, Uint8Array>, session?: Uint8Array): Pair {
    const pair = new Pair({
      client: session === undefined ? {} : { session },
      server: { tickets: {} },
      wire: {
        onQuestion: (_, question) =>
          question.ask === "load_ticket" ? stored.get(toHex(question.ticket)) : undefined,
      },
    }).run();
    for (const event of pair.events.server) {
      if (event.event === "store_ticket") stored.set(toHex(event.ticket), event.state);
    }
    return pair;
  }

  test("keeps the sessions; tickets are 32 random bytes that say nothing", () => {
    const stored = new Map<string, Uint8Array>();
    const first = visit(stored);
    expect([...stored.keys()].map((ticket) => ticket.length)).toEqual([64, 64]);
    const second = visit(stored, first.session);
    expect(resumed(second)).toBe(true);
    expect(second.server.established?.peer.by).toBe("resumption");
  });

  test("that has forgotten means a full handshake, and so does what is no session", () => {
    const stored = new Map<string, Uint8Array>();
    const { session } = visit(stored);
    expect(resumed(visit(new Map(), session))).toBe(false);
    const nonsense = new Map([...stored.keys()].map((ticket) => [ticket, utf8("nonsense")]));
    expect(resumed(visit(nonsense, session))).toBe(false);
  });

  test("that fails ends the connection", () => {
    const { session } = visit(new Map());
    const pair = new Pair({
      client: { session: session! },
      server: { tickets: {} },
      wire: {
        onQuestion: (_, question) => (question.ask === "load_ticket" ? new Error("store down") : undefined),
      },
    }).run();
    expect(pair.error("server")?.message).toBe("store down");
    expect(pair.error("client")).toMatchObject({ alert: "internal_error" });
  });
});
