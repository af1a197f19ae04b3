import { describe, expect, test } from "vitest";
import { clientConfig } from "../../src/channel/config.ts";
import type { ClientOptions } from "../../src/channel/options.ts";
import { firstOffer, qkdPsks, secondOffer, sessionPsk, staticPsks } from "../../src/handshake/offer.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { TLS12, TLS13 } from "../../src/protocol/iana.ts";
import type { HelloRetryRequest } from "../../src/wire/hello.ts";
import { encodeSession } from "../../src/handshake/session.ts";
import { provider } from "../support/credentials.ts";
import { Pair } from "../support/pair.ts";

const settingsOf = (options: Partial<ClientOptions> = {}) =>
  clientConfig({ provider, now: () => 1_000_000, serverName: "localhost", ...options }).settings;
const key = new Uint8Array(32).fill(1);

const retry = (more: object): HelloRetryRequest => ({
  legacy_version: TLS12,
  random: new Uint8Array(32),
  legacy_session_id_echo: new Uint8Array(0),
  cipher_suite: 0x1302,
  legacy_compression_method: 0,
  extensions: { supported_versions: TLS13, ...more },
});

describe("§4.2.2: the first ClientHello", () => {
  test("offers TLS 1.3 alone, one hybrid share, and no name that is an address", () => {
    const { hello } = firstOffer(settingsOf(), []).offer;
    expect(hello.extensions.supported_versions).toEqual([TLS13]);
    expect(hello.extensions.key_share?.map(({ group }) => group)).toEqual([0x11ec]);
    expect(hello.legacy_session_id).toHaveLength(32);
    expect(hello.extensions.server_name).toEqual([{ name_type: 0, host_name: utf8("localhost") }]);
    const bare = firstOffer(settingsOf({ serverName: "127.0.0.1" }), []).offer.hello;
    expect(bare.extensions.server_name).toBeUndefined();
  });

  test.each([
    ["example.test.", "example.test"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["Example.test", "Example.test"],
  ])("RFC 6066 §3: %s goes out in ASCII and without a final dot", (serverName, sent) => {
    const { hello } = firstOffer(settingsOf({ serverName }), []).offer;
    expect(hello.extensions.server_name).toEqual([{ name_type: 0, host_name: utf8(sent) }]);
  });

  test("as many shares as keyShares, from the front", () => {
    const shares = (keyShares: number) =>
      firstOffer(settingsOf({ keyShares }), []).offer.hello.extensions.key_share?.map(({ group }) => group);
    expect(shares(0)).toEqual([]);
    expect(shares(3)).toEqual([0x11ec, 0x11eb, 0x11ed]);
  });

  test("§4.3.8: or shares of the groups that keyShares names, in the order of supported_groups", () => {
    const keyShares = ["SecP384r1MLKEM1024", "X25519MLKEM768"] as const;
    const { hello } = firstOffer(settingsOf({ keyShares }), []).offer;
    expect(hello.extensions.key_share?.map(({ group }) => group)).toEqual([0x11ec, 0x11ed]);
    expect(hello.extensions.supported_groups).toEqual([0x11ec, 0x11eb, 0x11ed]);
  });

  test("two hellos share neither random nor session id nor share", () => {
    const [one, two] = [firstOffer(settingsOf(), []).offer.hello, firstOffer(settingsOf(), []).offer.hello];
    expect(one.random).not.toEqual(two.random);
    expect(one.legacy_session_id).not.toEqual(two.legacy_session_id);
    expect(one.extensions.key_share).not.toEqual(two.extensions.key_share);
  });

  test("§4.3.2: has no cookie, whatever an earlier connection was given", () => {
    const pair = new Pair({ server: { demandsCookie: true } }).run();
    expect(pair.client.established?.retried).toBe(true);
    const { session } = pair;
    const settings = settingsOf({ session: session!, now: Date.now });
    const { hello } = firstOffer(settings, [sessionPsk(settings)!]).offer;
    expect(hello.extensions.pre_shared_key?.identities).toHaveLength(1);
    expect(hello.extensions.cookie).toBeUndefined();
  });

  test("§4.2.2: says TLS 1.2 in legacy_version and no compression, in its second hello too", () => {
    const settings = settingsOf();
    const first = firstOffer(settings, []).offer;
    first.transcript.foldRetry(provider.hash("sha384"));
    const second = secondOffer(settings, first, retry({ key_share: 0x11ed })).offer;
    for (const { hello } of [first, second]) {
      expect(hello.legacy_version).toBe(0x0303);
      expect(hello.legacy_compression_methods).toEqual(Uint8Array.of(0));
    }
  });

  test("§4.3.8: two shares have no key in common, though both hold X25519", () => {
    const settings = settingsOf({
      groups: ["X25519MLKEM768", "x25519"],
      keyShares: 2,
      policy: { mlkem: "preferred", qkd: "off" },
      dangerous: { allowClassical: true },
    });
    const [hybrid, classical] = firstOffer(settings, []).offer.hello.extensions.key_share!;
    expect(classical!.key_exchange).toHaveLength(32);
    expect(hybrid!.key_exchange.slice(-32)).not.toEqual(classical!.key_exchange);
  });

  test("§9.2: has every extension that its features ask for, and no other", () => {
    const names = (options: object) => {
      const settings = settingsOf(options);
      const { extensions } = firstOffer(settings, staticPsks(settings)).offer.hello;
      return Object.keys(extensions).toSorted();
    };
    const always = ["key_share", "supported_groups", "supported_versions"];
    const certificates = [...always, "signature_algorithms"];
    expect(names({ serverName: "127.0.0.1", resumption: false })).toEqual(certificates.toSorted());
    expect(names({})).toEqual([...certificates, "psk_key_exchange_modes", "server_name"].toSorted());
    const psk = { psks: [{ identity: "one", key }], authentication: "psk", sendServerName: false };
    expect(names(psk)).toEqual([...always, "pre_shared_key", "psk_key_exchange_modes"].toSorted());
  });

  test("§4.3.9: pre_shared_key never goes without psk_key_exchange_modes", () => {
    const settings = settingsOf({ psks: [{ identity: "one", key }], resumption: false });
    const { extensions } = firstOffer(settings, staticPsks(settings)).offer.hello;
    expect(extensions.pre_shared_key?.identities).toHaveLength(1);
    expect(extensions.psk_key_exchange_modes).toEqual([1]);
  });

  test("psk_ke is offered by option only", () => {
    const modes = (options: object) =>
      firstOffer(settingsOf(options), []).offer.hello.extensions.psk_key_exchange_modes;
    expect(modes({})).toEqual([1]);
    expect(modes({ pskKe: true })).toEqual([1, 0]);
    expect(modes({ resumption: false })).toBeUndefined();
  });

  test("tls_cert_with_extern_psk stands beside external keys where certificates authenticate, and nowhere else", () => {
    const psks = [{ identity: "one", key }];
    const flag = (options: object): unknown => {
      const settings = settingsOf({ psks, ...options });
      return firstOffer(settings, staticPsks(settings)).offer.hello.extensions.tls_cert_with_extern_psk;
    };
    expect(flag({})).toBe(true);
    expect(flag({ authentication: "psk" })).toBeUndefined();
    expect(firstOffer(settingsOf(), []).offer.hello.extensions.tls_cert_with_extern_psk).toBeUndefined();
  });

  test("RFC 9258: an imported key is offered once for each hash, a raw one once", () => {
    const hashes = (more: object) =>
      staticPsks(settingsOf({ psks: [{ identity: "one", key, ...more }] })).map(({ ready }) => ready.hash);
    expect(hashes({})).toEqual(["sha256"]);
    expect(hashes({ importContext: utf8("c") })).toEqual(["sha384", "sha256"]);
  });

  test("the delivered QKD key is wiped once it was imported", () => {
    const settings = settingsOf({ qkd: { sae: "sae-a", peer: "sae-b" } });
    const delivered = {
      id: "9c0e6a3c-8b0e-4a6e-8a4e-0d6d1f7a2b11",
      key: key.slice(),
      simulated: true,
      kind: "x",
    };
    const psks = qkdPsks(settings, delivered);
    expect(psks.map(({ ready }) => ready.hash)).toEqual(["sha384", "sha256"]);
    expect(delivered.key).toEqual(new Uint8Array(32));
    expect(psks.every(({ ready }) => ready.secret.some((byte) => byte !== 0))).toBe(true);
  });
});

describe("§4.2.2: the second ClientHello", () => {
  test("is the first one with a new share, the cookie and new binders", () => {
    const settings = settingsOf({ psks: [{ identity: "one", key, importContext: utf8("c") }] });
    const first = firstOffer(settings, staticPsks(settings)).offer;
    first.transcript.foldRetry(provider.hash("sha384"));
    const second = secondOffer(settings, first, retry({ key_share: 0x11ed, cookie: Uint8Array.of(7) })).offer;
    expect(second.hello.random).toEqual(first.hello.random);
    expect(second.hello.cipher_suites).toEqual(first.hello.cipher_suites);
    expect(second.hello.extensions.cookie).toEqual(Uint8Array.of(7));
    expect(second.hello.extensions.key_share?.map(({ group }) => group)).toEqual([0x11ed]);
    expect(second.hello.extensions.tls_cert_with_extern_psk).toBe(true);
    // Only what fits the suite that the server chose, and what does not is wiped.
    expect(second.psks.map(({ ready }) => ready.hash)).toEqual(["sha384"]);
    const [, dropped] = first.psks;
    expect(dropped?.ready.secret).toEqual(new Uint8Array(32));
  });

  test("keeps its shares when only a cookie was asked for", () => {
    const settings = settingsOf();
    const first = firstOffer(settings, []).offer;
    first.transcript.foldRetry(provider.hash("sha384"));
    const second = secondOffer(settings, first, retry({ cookie: Uint8Array.of(7) })).offer;
    expect(second.hello.extensions.key_share).toEqual(first.hello.extensions.key_share);
  });

  test("without a PSK that fits, RFC 9973's extension goes as well", () => {
    const settings = settingsOf({ psks: [{ identity: "one", key }] });
    const first = firstOffer(settings, staticPsks(settings)).offer;
    first.transcript.foldRetry(provider.hash("sha384"));
    const { hello } = secondOffer(settings, first, retry({ key_share: 0x11ed })).offer;
    expect(hello.extensions.pre_shared_key).toBeUndefined();
    expect(hello.extensions.tls_cert_with_extern_psk).toBeUndefined();
  });
});

describe("§4.3.11: the age of a ticket", () => {
  const base = {
    suite: 0x1302,
    psk: new Uint8Array(48),
    ticket: Uint8Array.of(1, 2, 3),
    ageAdd: 0xffff_fff0,
    receivedMs: 999_900,
    lifetimeSeconds: 7200,
    serverName: "localhost",
    alpn: "",
    authorized: true,
    peerCertificateType: "X509" as const,
    peerChain: [Uint8Array.of(1)],
  };

  test("is added to age_add modulo 2^32", () => {
    const settings = settingsOf({ session: encodeSession(base) });
    const psk = sessionPsk(settings)!;
    const [identity] = firstOffer(settings, [psk]).offer.hello.extensions.pre_shared_key!.identities;
    expect(identity?.obfuscated_ticket_age).toBe(100 - 16);
  });

  test.each([
    ["another server's", { serverName: "other.test" }],
    ["one from the future", { receivedMs: 1_000_001 }],
    ["one that has expired", { receivedMs: 1_000_000 - 7_200_001 }],
    ["one of a suite that is not offered", { suite: 0x1301 }],
    ["one with an unverified server", { authorized: false }],
    ["one that a key authenticated", { peerChain: [] }],
    ["one with a type of certificate that is not taken", { peerCertificateType: "RawPublicKey" as const }],
  ])("%s is not offered", (_, change) => {
    const session = encodeSession({
      ...base,
      ...change,
      receivedMs: Math.max(0, (change as { receivedMs?: number }).receivedMs ?? base.receivedMs),
    });
    const now = "receivedMs" in change && change.receivedMs < 0 ? 7_200_002 : 1_000_000;
    const settings = settingsOf({ session, suites: ["TLS_AES_256_GCM_SHA384"], now: () => now });
    expect(sessionPsk(settings)).toBeUndefined();
  });
});

test("a session is not offered beside a QKD key, which is fresh for each connection", () => {
  const { session } = new Pair().run();
  const qkd = { sae: "sae-a", peer: "sae-b" };
  const pair = new Pair({
    client: { session: session!, qkd, policy: "prefer-hybrid" },
    server: { qkd: { sae: "sae-b" }, policy: "prefer-hybrid" },
  }).run();
  expect(pair.client.established).toMatchObject({ resumed: false, qkd: { initiator: "sae-a" } });
});
