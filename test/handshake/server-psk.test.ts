import { describe, expect, test } from "vitest";
import { clientConfig } from "../../src/channel/config.ts";
import { firstOffer, staticPsks } from "../../src/handshake/offer.ts";
import { concat, toHex, utf8 } from "../../src/protocol/bytes.ts";
import type { PskOption } from "../../src/channel/psk.ts";
import { ClientHello, decodeServerHello } from "../../src/wire/hello.ts";
import { changing, engines } from "../support/engines.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { encodeTicketState } from "../../src/handshake/session.ts";
import { credentials, provider } from "../support/credentials.ts";
import { clear, recordsOf } from "../support/records.ts";
import { Pair, saes, withQkd, type PairOptions } from "../support/pair.ts";

const key = new Uint8Array(32).fill(1);
const psk = (identity: string, more: Partial<PskOption> = {}): PskOption => ({ identity, key, ...more });
const BOTH = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"] as const;

/** Both ends know these keys and nothing else. */
function alone(ofClient: readonly PskOption[], ofServer = ofClient, more: PairOptions = {}): Pair {
  return new Pair({
    ...more,
    client: { psks: ofClient, authentication: "psk", ...more.client },
    server: { psks: ofServer, credentials: [], ...more.server },
  }).run();
}

/** The key beside certificates. RFC 9973. */
function beside(ofClient: readonly PskOption[], ofServer = ofClient, more: PairOptions = {}): Pair {
  return new Pair({
    ...more,
    client: { psks: ofClient, ...more.client },
    server: { psks: ofServer, ...more.server },
  }).run();
}

const ok = (pair: Pair): Pair => {
  expect(pair.error("client") ?? pair.error("server")).toBeUndefined();
  expect(pair.connected).toBe(true);
  return pair;
};

describe("static external PSKs", () => {
  describe.each([
    ["raw", {}],
    ["imported (RFC 9258)", { importContext: utf8("context") }],
    ["imported with an empty context", { importContext: new Uint8Array(0) }],
  ] as const)("%s", (_, form) => {
    describe.each(["sha256", "sha384"] as const)("provisioned for %s", (hash) => {
      const one = psk("one", { ...form, hash });
      test.each(["sha256", "sha384"] as const)(
        "alone and with certificates, on a suite of %s",
        (suiteHash) => {
          const suites = BOTH.filter((name) => name.endsWith(suiteHash.toUpperCase()));
          const only = { client: { suites }, server: { suites } };
          // A raw key goes with suites of its own hash alone; an imported one with any.
          const fits = "importContext" in form || hash === suiteHash;
          const pair = alone([one], [one], only);
          if (fits) {
            expect(ok(pair).client.established).toMatchObject({
              group: { name: "X25519MLKEM768" },
              peer: { by: "psk", chain: [] },
              local: { by: "psk" },
            });
            expect(pair.server.established?.externalPsk).toBeDefined();
          } else {
            expect(pair.connected).toBe(false);
          }
          const both = ok(beside([one], [one], only));
          expect(both.client.established?.externalPsk !== undefined).toBe(fits);
          expect(both.client.established?.peer.by).toBe("certificate");
        },
      );
    });
  });

  test("RFC 9258: the same key under another context is another key", () => {
    const pair = alone(
      [psk("one", { importContext: utf8("a") })],
      [psk("one", { importContext: utf8("b") })],
    );
    expect(pair.error("server")).toMatchObject({ alert: "handshake_failure" });
  });

  test("RFC 9258: an imported key and the raw one of the same name do not pass for each other", () => {
    const imported = psk("one", { importContext: utf8("a") });
    expect(alone([imported], [psk("one")]).connected).toBe(false);
    expect(alone([psk("one")], [imported]).connected).toBe(false);
  });

  test("§4.3.11: an unknown identity goes on with certificates, or is handshake_failure without any", () => {
    expect(ok(beside([psk("stranger")], [psk("one")])).client.established?.externalPsk).toBeUndefined();
    const pair = alone([psk("stranger")], [psk("one")]);
    expect(pair.error("server")).toMatchObject({
      code: "ERR_TLS_NO_COMMON_PARAMETERS",
      alert: "handshake_failure",
    });
    expect(pair.error("client")).toMatchObject({ alert: "handshake_failure" });
  });

  test("§4.3.11: the same name with another key is decrypt_error", () => {
    for (const run of [alone, beside]) {
      const pair = run([psk("one")], [{ identity: "one", key: new Uint8Array(32).fill(2) }]);
      expect(pair.error("server")).toMatchObject({ code: "ERR_TLS_DECRYPT", alert: "decrypt_error" });
    }
  });

  test("§4.3.11: whatever age an external PSK is given, the server takes it", () => {
    const settings = clientConfig({
      provider,
      now: Date.now,
      psks: [psk("one")],
      authentication: "psk",
    }).settings;
    const aged = {
      suite: 0x1302,
      psk: key,
      ticket: utf8("one"),
      ageAdd: 0xdead_beef,
      receivedMs: 0,
      lifetimeSeconds: 1,
      serverName: "",
      alpn: "",
      authorized: true,
      peerCertificateType: "X509" as const,
      peerChain: [],
    };
    const [offered] = staticPsks(settings);
    const { offer, message } = firstOffer(settings, [{ ...offered!, session: aged }]);
    expect(offer.hello.extensions.pre_shared_key?.identities[0]?.obfuscated_ticket_age).not.toBe(0);
    const pair = new Pair({ server: { psks: [psk("one")], credentials: [] } });
    pair.take("server", pair.server.receive(clear("handshake", message)));
    const [record] = recordsOf(concat(pair.server.takeOutput()));
    expect(decodeServerHello(record!.fragment.subarray(4)).hello.extensions).toMatchObject({
      pre_shared_key: 0,
    });
  });

  test("of several identities that the server knows it takes the first in its own order", () => {
    const taken = (ofServer: readonly PskOption[], more: PairOptions = {}) => {
      const pair = ok(alone([psk("a"), psk("b"), psk("c", { hash: "sha384" })], ofServer, more));
      expect(pair.client.established?.externalPsk).toEqual(pair.server.established?.externalPsk);
      return pair.server.established?.externalPsk;
    };
    const c = psk("c", { hash: "sha384" });
    expect(taken([c, psk("b")])).toEqual(utf8("c"));
    expect(taken([psk("b"), c])).toEqual(utf8("b"));
    expect(taken([psk("b")])).toEqual(utf8("b"));
    // One that fits no suite in common is passed over.
    const suites = ["TLS_AES_128_GCM_SHA256"] as const;
    expect(taken([c, psk("b")], { server: { suites } })).toEqual(utf8("b"));
    // What a HelloRetryRequest has promised stands.
    expect(taken([c, psk("b")], { client: { keyShares: 0 } })).toEqual(utf8("c"));
  });

  test("only so many identities are looked at", () => {
    const many = Array.from({ length: 9 }, (_, at) => psk(`${at}`));
    expect(alone(many, [psk("7")]).connected).toBe(true);
    expect(alone(many, [psk("8")]).connected).toBe(false);
    const limits = { identitiesPerHello: 9 };
    expect(alone(many, [psk("8")], { server: { limits } }).connected).toBe(true);
  });

  test("binary identities, and names of up to 16 KiB", () => {
    for (const identity of [Uint8Array.of(0), new Uint8Array(16_384).fill(0xff)]) {
      expect(ok(alone([{ identity, key }])).server.established?.peer.pskIdentity).toEqual(identity);
    }
  });

  test("a client certificate is demanded beside the key, and a key alone does not replace it", () => {
    const options = { server: { clientAuth: "require" }, clientCredentials: credentials() } as const;
    expect(ok(beside([psk("one")], [psk("one")], options)).server.established?.peer.by).toBe("certificate");
    const pair = alone([psk("one")], [psk("one")], { server: { clientAuth: "require" } });
    expect(pair.error("server")).toMatchObject({ alert: "handshake_failure" });
  });

  test("the caller's key is left as it was, for the next connection", () => {
    const own = psk("one");
    ok(alone([own]));
    ok(alone([own]));
    expect(own.key).toEqual(new Uint8Array(32).fill(1));
  });
});

describe("§4.3.9: psk_ke, without an ephemeral exchange", () => {
  const modes = {
    policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
    dangerous: { allowClassical: true },
  } as const;
  const client = { ...modes, groups: ["x25519"], pskKe: true } as const;
  const server = { ...modes, groups: ["secp384r1"] } as const;

  test("only when both ends say so", () => {
    const pair = ok(alone([psk("one")], [psk("one")], { client, server: { ...server, pskKe: true } }));
    expect(pair.client.established?.group).toBeUndefined();
    expect(pair.client.established?.degraded.map(({ missing }) => missing)).toEqual(["ecdh", "mlkem"]);
    pair.client.send(utf8("hello"));
    pair.settle();
    expect(toHex(pair.received("server"))).toBe(toHex(utf8("hello")));
  });

  test("not when only one does", () => {
    expect(alone([psk("one")], [psk("one")], { client, server }).error("server")).toMatchObject({
      alert: "handshake_failure",
    });
    const careful = { ...client, pskKe: false };
    expect(
      alone([psk("one")], [psk("one")], { client: careful, server: { ...server, pskKe: true } }).connected,
    ).toBe(false);
  });

  test("never where ML-KEM is required", () => {
    const pair = alone([psk("one")], [psk("one")], {
      client: { pskKe: true, groups: ["X25519MLKEM768"] },
      server: { pskKe: true, groups: ["SecP384r1MLKEM1024"] },
    });
    expect(pair.connected).toBe(false);
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_MLKEM_REQUIRED", missing: "mlkem" });
  });

  test("an exchange is preferred even when both accept going without", () => {
    const pair = ok(alone([psk("one")], [psk("one")], { client: { pskKe: true }, server: { pskKe: true } }));
    expect(pair.client.established?.group?.name).toBe("X25519MLKEM768");
  });
});

describe("QKD identities", () => {
  const raw = {
    client: { qkd: { sae: saes.a, peer: saes.b, form: "raw" } },
    server: { qkd: { sae: saes.b, form: "raw" } },
  } as const;

  test.each([
    ["imported, the default", withQkd],
    ["raw, with the default suites and hash", raw],
    [
      "raw, for sha384",
      {
        client: { qkd: { ...raw.client.qkd, rawHash: "sha384" } },
        server: { qkd: { ...raw.server.qkd, rawHash: "sha384" } },
      },
    ],
    [
      "imported, after a retry",
      { ...withQkd, server: { ...withQkd.server, groups: ["SecP384r1MLKEM1024"] } },
    ],
    ["raw, after a retry", { ...raw, server: { ...raw.server, groups: ["SecP384r1MLKEM1024"] } }],
    [
      "imported, alone",
      {
        client: { qkd: { ...withQkd.client.qkd, authenticates: true } },
        server: { qkd: { sae: saes.b, authenticates: true }, credentials: [] },
      },
    ],
  ] as const)("%s", (_, options) => {
    const pair = ok(new Pair(options).run());
    expect(pair.client.established?.qkd).toMatchObject({ initiator: saes.a, responder: saes.b });
    expect(pair.server.established?.qkd?.keyId).toBe(pair.client.established?.qkd?.keyId);
    expect(pair.client.established?.degraded).toEqual([]);
  }); // prettier-ignore

  test("raw ones are not taken unless that was asked for", () => {
    const pair = new Pair({ client: raw.client, server: withQkd.server }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED" });
    expect(pair.events.server.some(({ event }) => event === "question")).toBe(false);
  });

  test("a key that was announced without tls_cert_with_extern_psk authenticates nobody by default", () => {
    const pair = new Pair({
      client: { qkd: { ...withQkd.client.qkd, authenticates: true } },
      server: withQkd.server,
    }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED" });
    expect(pair.events.server.some(({ event }) => event === "question")).toBe(false);
  });

  test("DESIGN §2: the roles are bound: a key that was drawn the other way round opens nothing", () => {
    const pair = new Pair({
      client: { qkd: { sae: saes.b, peer: saes.a } },
      server: withQkd.server,
      wire: {
        onQuestion: (_, question) =>
          question.ask === "draw_qkd_key"
            ? { id: "9c0e6a3c-8b0e-4a6e-8a4e-0d6d1f7a2b11", key: key.slice(), simulated: true, kind: "x" }
            : undefined,
      },
    }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED" });
  });

  test("a bent identity is asked for nowhere, or fails at its binder", () => {
    for (const at of [0, 3, 12, 30, 60, 66]) {
      const { failed } = engines({
        ...withQkd,
        edit: changing("client_hello", ClientHello, (hello) => {
          const psks = hello.extensions.pre_shared_key!;
          const identities = psks.identities.map((each) => {
            const identity = each.identity.slice();
            identity[at % identity.length]! ^= 1;
            return { ...each, identity };
          });
          return { ...hello, extensions: { ...hello.extensions, pre_shared_key: { ...psks, identities } } };
        }),
        onQuestion: (question) =>
          question.ask === "redeem_qkd_key"
            ? { id: question.keyId, key: key.slice(), simulated: true, kind: "x" }
            : undefined,
      });
      expect(failed?.side, `byte ${at}`).toBe("server");
      expect((failed!.error as { alert?: string }).alert).toMatch(
        /insufficient_security|decrypt_error|illegal_parameter/,
      );
    }
  });

  test("§4.3.11.2: a bent binder is decrypt_error, and the key does not count as used", () => {
    const { failed, server } = engines({
      ...withQkd,
      edit: changing("client_hello", ClientHello, (hello) => {
        const psks = hello.extensions.pre_shared_key!;
        const binders = psks.binders.map((binder) => binder.map((byte) => byte ^ 1));
        return { ...hello, extensions: { ...hello.extensions, pre_shared_key: { ...psks, binders } } };
      }),
    });
    expect(failed).toMatchObject({ side: "server", error: { code: "ERR_TLS_DECRYPT" } });
    expect(server.some((effect) => effect.do === "qkd_key_used")).toBe(false);
  });
});

test("RFC 9973 §5.1: a ticket among the keys beside certificates is illegal_parameter", () => {
  const sealer = new TicketKeys({ provider, now: Date.now });
  const ticket = sealer.seal(
    encodeTicketState({
      suite: 0x1301,
      psk: key,
      ageAdd: 0,
      issuedMs: Date.now(),
      sinceMs: Date.now(),
      lifetimeSeconds: 7200,
      serverName: "localhost",
      alpn: "",
      authorized: false,
      peerCertificateType: "X509" as const,
      peerChain: [],
    }),
  );
  const { failed } = engines({
    client: { psks: [psk("one")] },
    server: { psks: [psk("one")], tickets: { sealer } },
    edit: changing("client_hello", ClientHello, (hello) => {
      const { identities, binders } = hello.extensions.pre_shared_key!;
      const pre_shared_key = {
        identities: [...identities, { identity: ticket, obfuscated_ticket_age: 0 }],
        binders: [...binders, new Uint8Array(32)],
      };
      return { ...hello, extensions: { ...hello.extensions, pre_shared_key } };
    }),
  });
  expect(failed).toMatchObject({ side: "server", error: { alert: "illegal_parameter" } });
});

describe('a client with authentication: "any"', () => {
  const any = { client: { psks: [psk("shared")], authentication: "any" } } as const;

  test("takes a server that has the key, without a certificate", () => {
    const pair = ok(new Pair({ ...any, server: { psks: [psk("shared")], credentials: [] } }).run());
    expect(pair.client.established?.peer).toMatchObject({ by: "psk", chain: [] });
  });

  test("takes a server that has a certificate and not the key", () => {
    const pair = ok(new Pair(any).run());
    expect(pair.client.established?.peer.by).toBe("certificate");
  });

  test("resumes with either", () => {
    for (const server of [{ psks: [psk("shared")], credentials: [] }, {}]) {
      const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
      const first = ok(new Pair({ ...any, server: { ...server, tickets } }).run());
      const session = first.session as Uint8Array;
      const again = ok(
        new Pair({ client: { ...any.client, session }, server: { ...server, tickets } }).run(),
      );
      expect(again.client.established?.resumed).toBe(true);
    }
  });
});
