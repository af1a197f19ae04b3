import { describe, expect, test } from "vitest";
import { nobleProvider } from "../../src/crypto/noble.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";
import { concat, toHex, utf8 } from "../../src/protocol/bytes.ts";
import {
  CipherSuite,
  NamedGroup,
  type CipherSuiteName,
  type NamedGroupName,
} from "../../src/protocol/iana.ts";
import { KeySourceError } from "../../src/protocol/errors.ts";
import { clientConfig, serverConfig } from "../../src/channel/config.ts";
import { clientEngine, serverEngine } from "../../src/channel/engine.ts";
import type { Effect } from "../../src/handshake/machine.ts";
import type { HandshakeMessage } from "../../src/record/framer.ts";
import { credentials, provider } from "../support/credentials.ts";
import { Pair, saes, withQkd, type PairOptions } from "../support/pair.ts";

const noble = nobleProvider();
const SUITES = Object.keys(CipherSuite) as CipherSuiteName[];
const GROUPS = Object.keys(NamedGroup) as NamedGroupName[];
/** Any leg may be missing, so that each group can be had alone. */
const anything = {
  policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;

describe.each([
  ["node with node", provider, provider, SUITES],
  ["noble with noble", noble, noble, SUITES],
  ["node with noble", provider, noble, SUITES.slice(0, 1)],
  ["noble with node", noble, provider, SUITES.slice(0, 1)],
] as const)("%s: every group with every suite", (_, ofClient, ofServer, suites) => {
  for (const group of GROUPS) {
    test.each(suites)(`${group} and %s`, (suite) => {
      const only = { ...anything, groups: [group], suites: [suite] };
      const pair = new Pair({
        client: { ...only, provider: ofClient },
        server: { ...only, provider: ofServer, tickets: false },
      }).run();
      expect(pair.error("client") ?? pair.error("server")).toBeUndefined();
      for (const side of ["client", "server"] as const) {
        expect(pair[side].established).toMatchObject({ group: { name: group }, suite: { name: suite } });
      }
      const data = provider.random(40_000).slice();
      pair.client.send(data);
      pair.server.send(data);
      pair.settle();
      expect(toHex(pair.received("client"))).toBe(toHex(data));
      expect(toHex(pair.received("server"))).toBe(toHex(data));
    });
  }
});

describe("every kind of certificate signs on both ends", () => {
  const KINDS: readonly KeyKind[] = [
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "ed25519",
    "rsa",
    "rsa-pss",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
  ];
  test.each(KINDS)("%s", (kind) => {
    const own = credentials(kind);
    const pair = new Pair({
      credentials: own,
      clientCredentials: own,
      server: { clientAuth: "require" },
    }).run();
    expect(pair.error("client") ?? pair.error("server")).toBeUndefined();
    expect(pair.client.established?.peer).toMatchObject({
      by: "certificate",
      scheme: own.identity.schemes[0],
    });
    expect(pair.server.established?.peer).toMatchObject({
      by: "certificate",
      scheme: own.identity.schemes[0],
    });
  });
});

describe("the policy presets, on both ends", () => {
  const PRESETS = ["hybrid", "prefer-hybrid", "pqc", "qkd"] as const;
  type Preset = (typeof PRESETS)[number];
  const usesQkd = (preset: Preset): boolean => preset !== "pqc";
  const requiresQkd = (preset: Preset): boolean => preset === "hybrid" || preset === "qkd";

  for (const ofClient of PRESETS) {
    test.each(PRESETS)(`client ${ofClient}, server %s`, (ofServer) => {
      const pair = new Pair({
        client: { policy: ofClient, ...(usesQkd(ofClient) ? withQkd.client : {}) },
        server: { policy: ofServer, ...(usesQkd(ofServer) ? withQkd.server : {}) },
      }).run();
      const mixed = usesQkd(ofClient) && usesQkd(ofServer);
      if (!mixed && (requiresQkd(ofClient) || requiresQkd(ofServer))) {
        expect(pair.connected).toBe(false);
        const refused = (["client", "server"] as const).filter(
          (side) => (pair.error(side) as { code?: string })?.code === "ERR_POLICY_QKD_REQUIRED",
        );
        expect(refused).toEqual([requiresQkd(ofServer) ? "server" : "client"]);
        expect(pair.error(refused[0]!)).toMatchObject({ missing: "qkd" });
        expect([...pair.received("client"), ...pair.received("server")]).toEqual([]);
        return;
      }
      expect(pair.connected).toBe(true);
      for (const [side, preset] of [
        ["client", ofClient],
        ["server", ofServer],
      ] as const) {
        const { qkd, degraded, group } = pair[side].established!;
        expect(qkd !== undefined).toBe(mixed);
        expect(group?.mlkem).toBe(true);
        expect(degraded.map(({ missing }) => missing)).toEqual(!mixed && usesQkd(preset) ? ["qkd"] : []);
      }
    });
  }

  test("a server that silently declines the PSK does not pass a client that requires QKD (RFC 9973)", () => {
    const pair = new Pair({ client: withQkd.client }).run();
    expect(pair.error("client")).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      alert: "insufficient_security",
    });
    expect(pair.error("server")).toMatchObject({
      code: "ERR_TLS_PEER_ALERT",
      alert: "insufficient_security",
    });
    expect(() => pair.client.send(utf8("x"))).toThrow();
  });

  test("the preset qkd takes a classical group beside the key, and says so", () => {
    const pair = new Pair({
      client: { ...withQkd.client, policy: "qkd", groups: ["x25519"] },
      server: { ...withQkd.server, policy: "qkd" },
    }).run();
    expect(pair.client.established?.group?.name).toBe("x25519");
    expect(pair.client.established?.degraded).toMatchObject([{ missing: "mlkem" }]);
    expect(pair.server.established?.degraded).toMatchObject([{ missing: "mlkem" }]);
  });
});

/** Runs a pair in which one question stays open until the test answers it. */
function held(ask: string, options: PairOptions = {}) {
  const pair = new Pair({ ...options, server: { tickets: false, ...options.server } });
  let open: { side: "client" | "server"; question: unknown } | undefined;
  const take = pair.take.bind(pair);
  pair.take = (side, events) => {
    const kept = events.filter((event) => {
      const hit = event.event === "question" && event.question.ask === ask;
      if (hit) open = { side, question: event.question };
      return !hit;
    });
    take(side, kept);
  };
  pair.run();
  if (open === undefined) throw new Error(`${ask} was never asked`);
  const { side, question } = open;
  const silent = [...pair.events.client, ...pair.events.server].every(
    ({ event }) => event !== "error" && event !== "data",
  );
  expect(silent).toBe(true);
  return {
    pair,
    side,
    question: question as Record<string, any>,
    answer(value: unknown) {
      take(side, pair[side].answer(value));
      pair.settle();
      return pair;
    },
    refuse(error: Error) {
      take(side, pair[side].refuse(error));
      pair.settle();
      return pair;
    },
  };
}

const external = () => {
  const { identity } = credentials();
  return { identity, credential: { ...identity, key: "external" as const } };
};

describe("questions that are answered late or refused", () => {
  test("sign, at the server: the flight goes on with the signature from elsewhere", () => {
    const { identity, credential } = external();
    const asked = held("sign", { server: { credentials: [credential] } });
    expect(asked.side).toBe("server");
    const { algorithm, message } = asked.question as { algorithm: "ecdsa-sha256"; message: Uint8Array };
    expect(algorithm).toBe("ecdsa-sha256");
    expect(asked.answer(identity.key.sign(algorithm, message)).connected).toBe(true);
  });

  test("sign, at the client", () => {
    const { identity, credential } = external();
    const asked = held("sign", { client: { credentials: [credential] }, server: { clientAuth: "require" } });
    expect(asked.side).toBe("client");
    const { algorithm, message } = asked.question as { algorithm: "ecdsa-sha256"; message: Uint8Array };
    expect(asked.answer(identity.key.sign(algorithm, message)).connected).toBe(true);
  });

  test("sign, wrongly: the peer finds out", () => {
    const asked = held("sign", { server: { credentials: [external().credential] } });
    expect(asked.answer(new Uint8Array(70)).error("client")).toMatchObject({ alert: "decrypt_error" });
  });

  test("sign, refused: the connection ends with the host's own error", () => {
    const asked = held("sign", { server: { credentials: [external().credential] } });
    const pair = asked.refuse(new Error("HSM locked"));
    expect(pair.error("server")?.message).toBe("HSM locked");
    expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert: "internal_error" });
  });

  test("verify_peer: no data before the verdict, and a refusal ends it", () => {
    const asked = held("verify_peer");
    expect(asked.question).toMatchObject({ purpose: "server", name: "localhost" });
    expect(() => asked.pair.client.send(utf8("x"))).toThrow();
    expect(asked.answer({ authorized: true }).connected).toBe(true);
    const refused = held("verify_peer").refuse(new Error("not this one"));
    expect(refused.error("client")?.message).toBe("not this one");
    expect(refused.connected).toBe(false);
  });

  test("verify_peer of a client", () => {
    const options = { server: { clientAuth: "require" }, clientCredentials: credentials() } as const;
    const onServer = new Pair({
      ...options,
      wire: {
        onQuestion: (side, { ask }) =>
          side === "server" && ask === "verify_peer" ? new Error("no") : undefined,
      },
    }).run();
    expect(onServer.error("server")?.message).toBe("no");
    expect(onServer.error("client")).toMatchObject({ alert: "internal_error" });
  });

  test("choose_identity: another certificate by name; undefined for the default one", () => {
    const other = credentials("secp384r1").identity;
    const asked = held("choose_identity", { server: { asksForIdentity: true } });
    expect(asked.question).toMatchObject({ serverName: "localhost" });
    const pair = asked.answer(other);
    expect(pair.client.established?.peer.scheme).toBe("ecdsa_secp384r1_sha384");
    expect(pair.server.established?.local.chain).toEqual(other.chain);
    const standard = held("choose_identity", { server: { asksForIdentity: true } }).answer(undefined);
    expect(standard.client.established?.peer.scheme).toBe("ecdsa_secp256r1_sha256");
  });

  test("choose_identity is not asked where the client names no server", () => {
    const pair = new Pair({ client: { sendServerName: false }, server: { asksForIdentity: true } }).run();
    expect(pair.connected).toBe(true);
    expect(pair.events.server.some(({ event }) => event === "question")).toBe(false);
  });

  test("find_ocsp_response: late, none, refused; also where a QKD key stands beside the certificate", () => {
    const ocspResponse = Uint8Array.of(1, 2, 3);
    const credential = { ...credentials().identity, ocspResponse };
    const wanted: PairOptions = {
      client: { requestOCSP: true },
      server: { asksForOcsp: true, credentials: [credential] },
    };
    const asked = held("find_ocsp_response", wanted);
    expect(asked.question["credential"]).toBe(credential);
    const newer = Uint8Array.of(4, 5);
    expect(asked.answer(newer).client.established?.peer.ocspResponse).toEqual(newer);
    const none = held("find_ocsp_response", wanted).answer(undefined);
    expect(none.connected).toBe(true);
    expect(none.client.established?.peer).not.toHaveProperty("ocspResponse");
    const refused = held("find_ocsp_response", wanted).refuse(new Error("responder down"));
    expect(refused.error("client")).toMatchObject({ alert: "internal_error" });
    const keyed = held("find_ocsp_response", {
      client: { ...withQkd.client, ...wanted.client },
      server: { ...withQkd.server, ...wanted.server },
    }).answer(newer);
    expect(keyed.client.established).toMatchObject({
      peer: { by: "certificate", ocspResponse: newer },
      qkd: { simulated: true },
    });
  });

  test("find_ocsp_response is not asked for a client that wants none", () => {
    const pair = new Pair({ server: { asksForOcsp: true } }).run();
    expect(pair.connected).toBe(true);
    expect(pair.events.server.some(({ event }) => event === "question")).toBe(false);
  });

  describe("choose_client_identity", () => {
    const other = credentials("secp384r1");
    const options: PairOptions = {
      client: { asksForIdentity: true },
      clientCredentials: credentials(),
      server: { clientAuth: "request", certificateAuthorities: [other.ca.subject.der] },
    };
    const shown = (pair: Pair) => pair.server.established?.peer;

    test("is asked when the server has proven itself, with what the server can verify", () => {
      const { pair, question } = held("choose_client_identity", options);
      expect(question).toMatchObject({
        certificateType: "X509",
        signatureSchemes: expect.arrayContaining(["ecdsa_secp256r1_sha256", "mldsa65"]) as string[],
        authorities: [other.ca.subject.der],
      });
      const asked = pair.events.client.flatMap((each) =>
        each.event === "question" ? [each.question.ask] : [],
      );
      // Those that were answered before.
      expect(asked).toEqual(["verify_peer"]);
    });

    test("late: another certificate, one of several, none, or that of the options", () => {
      const answered = (value: unknown) => shown(held("choose_client_identity", options).answer(value));
      expect(answered(other.identity)).toMatchObject({ scheme: "ecdsa_secp384r1_sha384" });
      expect(answered([other.identity, credentials().identity])?.chain).toEqual(other.identity.chain);
      expect(answered([])).toMatchObject({ by: "none", chain: [] });
      expect(answered(undefined)).toMatchObject({ scheme: "ecdsa_secp256r1_sha256" });
    });

    test("none, of a client that insists, ends the handshake", () => {
      const insists = { ...options, client: { ...options.client, insistsOnCertificate: true } };
      const pair = held("choose_client_identity", insists).answer([]);
      expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_NO_COMMON_PARAMETERS" });
      expect(pair.error("server")).toMatchObject({ alert: "handshake_failure" });
    });

    test("refused, it ends the handshake before anything of ours was shown", () => {
      const pair = held("choose_client_identity", options).refuse(new Error("the card was pulled out"));
      expect(pair.error("client")?.message).toBe("the card was pulled out");
      expect(pair.error("server")).toMatchObject({ alert: "internal_error" });
      expect(shown(pair)).toBeUndefined();
    });

    test("is not asked where no certificate is wanted, nor by a client that does not ask its host", () => {
      for (const more of [{ server: {} }, { client: {} }]) {
        const pair = new Pair({ ...options, ...more }).run();
        expect(pair.connected).toBe(true);
        const asked = pair.events.client.flatMap((each) =>
          each.event === "question" ? [each.question.ask] : [],
        );
        expect(asked).toEqual(["verify_peer"]);
      }
    });
  });

  test("find_psk: late, unknown, refused", () => {
    const key = new Uint8Array(32).fill(3);
    const options: PairOptions = {
      client: { psks: [{ identity: "visitor", key }], authentication: "psk" },
      server: { credentials: [], asksForPsk: true },
    };
    const asked = held("find_psk", options);
    const identity = asked.question["identity"] as Uint8Array;
    expect(identity).toEqual(utf8("visitor"));
    const pair = asked.answer({ identity: identity.slice(), key, hash: "sha256" });
    expect(pair.connected).toBe(true);
    expect(pair.server.established?.peer).toMatchObject({ by: "psk", pskIdentity: utf8("visitor") });
    const unknown = held("find_psk", options).answer(undefined);
    expect(unknown.error("server")).toMatchObject({ alert: "handshake_failure" });
    const refused = held("find_psk", options).refuse(new Error("database down"));
    expect(refused.error("client")).toMatchObject({ alert: "internal_error" });
  });

  test("redeem_qkd_key: late; and draw_qkd_key: the hello waits for it", () => {
    const redeem = held("redeem_qkd_key", withQkd);
    const { initiator, keyId } = redeem.question as { initiator: string; keyId: string };
    expect(redeem.answer(redeem.pair.keys.b.redeemNow(initiator, keyId)).connected).toBe(true);
    const draw = held("draw_qkd_key", withQkd);
    expect(draw.question).toMatchObject({ peer: saes.b });
    expect(concat(draw.pair.client.takeOutput())).toHaveLength(0);
    expect(draw.answer(draw.pair.keys.a.drawNow(saes.b)).connected).toBe(true);
  });

  test("a drawn key of less than 16 bytes is the policy's to judge", () => {
    const short = {
      id: "9c0e6a3c-8b0e-4a6e-8a4e-0d6d1f7a2b11",
      key: new Uint8Array(15),
      simulated: true,
      kind: "x",
    };
    expect(held("draw_qkd_key", withQkd).answer(short).error("client")).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      cause: { code: "ERR_QKD_KEY_SIZE" },
    });
  });

  test("a redeemed key of less than 16 bytes is too", () => {
    const asked = held("redeem_qkd_key", withQkd);
    const id = asked.question["keyId"] as string;
    const pair = asked.answer({ id, key: new Uint8Array(15), simulated: true, kind: "x" });
    expect(pair.error("server")).toMatchObject({
      code: "ERR_POLICY_QKD_REQUIRED",
      cause: { code: "ERR_QKD_KEY_SIZE" },
    });
  });

  test("a fatal failure of the source ends it under any policy", () => {
    const prefer = { policy: "prefer-hybrid" } as const;
    const asked = held("redeem_qkd_key", {
      client: { ...withQkd.client, ...prefer },
      server: { ...withQkd.server, ...prefer },
    });
    const pair = asked.refuse(new KeySourceError("ERR_QKD_UNTRUSTED", "not our KME"));
    expect(pair.error("server")).toMatchObject({ code: "ERR_QKD_UNTRUSTED" });
    expect(pair.connected).toBe(false);
  });
});

describe("§6 of the design: an engine that ends wipes what its state holds", () => {
  const options = { provider, now: Date.now, keyLog: true };
  const message = (bytes: Uint8Array): HandshakeMessage => ({
    type: bytes[0]!,
    bytes,
    body: bytes.subarray(4),
  });
  const sent = (effects: readonly Effect[]): HandshakeMessage =>
    message(effects.find((effect) => effect.do === "send")!.message);
  /** The secrets that the effects show, as the engine itself holds them. */
  const shown = (effects: readonly Effect[], label: RegExp): Uint8Array[] =>
    effects.flatMap((effect) =>
      effect.do === "log_secret" && label.test(effect.label) ? [effect.secret] : [],
    );
  const wiped = (secrets: readonly Uint8Array[]): boolean[] =>
    secrets.map((secret) => secret.every((byte) => byte === 0));

  test("in the middle of a handshake", () => {
    const near = clientEngine(clientConfig({ ...options, serverName: "localhost" }).settings);
    const far = serverEngine(serverConfig({ ...options, credentials: [credentials().identity] }).settings);
    const answered = far.step("client_hello", sent(near.step("start", true)));
    const ofServer = shown(answered, /TRAFFIC_SECRET_0|EXPORTER/);
    const ofClient = shown(near.step("server_hello", sent(answered)), /HANDSHAKE/);
    expect([...wiped(ofServer), ...wiped(ofClient)]).toEqual([false, false, false, false, false]);
    near.wipe();
    far.wipe();
    expect([...wiped(ofServer), ...wiped(ofClient)]).toEqual([true, true, true, true, true]);
  });

  test("before and after one", () => {
    const untouched = clientEngine(clientConfig(options).settings);
    untouched.wipe();
    const { client, server } = new Pair().run();
    const secrets = [client, server].flatMap(
      ({ established }) => Object.values(established!.secrets) as Uint8Array[],
    );
    expect(wiped(secrets)).not.toContain(true);
    client.wipe();
    server.wipe();
    expect(wiped(secrets)).not.toContain(false);
  });
});
