import { describe, expect, test } from "vitest";
import { KeySourceError, ProtocolError, TrustError, UsageError } from "../../src/protocol/errors.ts";
import type { Standing } from "../../src/handshake/policy.ts";
import { inProcessPair } from "../../src/qkd/pair.ts";
import { Pair, saes, withQkd, type PairOptions, type Wire } from "../support/pair.ts";

const qkdPolicy = (qkd: Standing) => ({ policy: { mlkem: "required", qkd } as const });

/** What each side's KME does; the other side's works. */
const CASES = ["offered", "missing", "unknown id", "wrong key", "reused id", "KME down"] as const;
type Case = (typeof CASES)[number];

const down = (): Error => new KeySourceError("ERR_QKD_UNREACHABLE", "the KME does not answer");
const unknown = (): Error =>
  new KeySourceError("ERR_QKD_UNKNOWN_KEY", "one or more keys specified are not found on KME");
const used = (): Error => new KeySourceError("ERR_QKD_KEY_USED", "the key was used before");

/** Makes the server's side of the key fail as the case says. */
function serverFault(which: Case): Wire["onQuestion"] {
  return (side, question) => {
    if (side !== "server" || question.ask !== "redeem_qkd_key") return undefined;
    if (which === "unknown id") return unknown();
    if (which === "reused id") return used();
    if (which === "KME down") return down();
    if (which === "wrong key") {
      return { id: question.keyId, key: new Uint8Array(32).fill(9), simulated: true, kind: "in-process" };
    }
    return undefined;
  };
}

function outcome(pair: Pair): string {
  if (pair.connected) {
    const { qkd, degraded } = pair.client.established!;
    const other = pair.server.established!;
    expect(other.qkd?.keyId).toBe(qkd?.keyId);
    if (qkd !== undefined) return "QKD";
    return degraded.length > 0 || other.degraded.length > 0 ? "degraded" : "plain";
  }
  const failed = (["client", "server"] as const).map((side) => pair.error(side));
  expect(
    failed.every((error) => error !== undefined),
    "one side believes in the connection",
  ).toBe(true);
  const [own] = failed.filter((error) => error instanceof TrustError || error instanceof ProtocolError);
  return `refused: ${(own as TrustError).code}`;
}

const run = (options: PairOptions): string => outcome(new Pair(options).run());

describe("§3 of the design: the server's standing × what became of the key", () => {
  const TABLE: Record<Standing, Record<Case, string>> = {
    required: {
      offered: "QKD",
      missing: "refused: ERR_POLICY_QKD_REQUIRED",
      "unknown id": "refused: ERR_POLICY_QKD_REQUIRED",
      "wrong key": "refused: ERR_TLS_DECRYPT",
      "reused id": "refused: ERR_POLICY_QKD_REQUIRED",
      "KME down": "refused: ERR_POLICY_QKD_REQUIRED",
    },
    preferred: {
      offered: "QKD",
      missing: "degraded",
      "unknown id": "degraded",
      "wrong key": "refused: ERR_TLS_DECRYPT",
      "reused id": "degraded",
      "KME down": "degraded",
    },
    off: {
      offered: "degraded",
      missing: "plain",
      "unknown id": "degraded",
      "wrong key": "degraded",
      "reused id": "degraded",
      "KME down": "degraded",
    },
  };
  for (const standing of ["required", "preferred", "off"] as const) {
    test.each(CASES)(`server ${standing}, key %s`, (which) => {
      const client = which === "missing" ? {} : { ...withQkd.client, ...qkdPolicy("preferred") };
      const question = serverFault(which);
      const result = run({
        client,
        server: { ...withQkd.server, ...qkdPolicy(standing) },
        wire: question === undefined ? {} : { onQuestion: question },
      });
      expect(result).toBe(TABLE[standing][which]);
    });
  }
});

describe("the client's standing × what became of the key", () => {
  const TABLE: Record<Standing, Record<Case, string>> = {
    required: {
      offered: "QKD",
      missing: "refused: ERR_POLICY_QKD_REQUIRED",
      "unknown id": "refused: ERR_POLICY_QKD_REQUIRED",
      "wrong key": "refused: ERR_TLS_DECRYPT",
      "reused id": "refused: ERR_POLICY_QKD_REQUIRED",
      "KME down": "refused: ERR_POLICY_QKD_REQUIRED",
    },
    preferred: {
      offered: "QKD",
      missing: "degraded",
      "unknown id": "degraded",
      "wrong key": "refused: ERR_TLS_DECRYPT",
      "reused id": "degraded",
      "KME down": "degraded",
    },
    off: {
      offered: "degraded",
      missing: "plain",
      "unknown id": "degraded",
      "wrong key": "degraded",
      "reused id": "degraded",
      "KME down": "degraded",
    },
  };
  for (const standing of ["required", "preferred", "off"] as const) {
    test.each(CASES)(`client ${standing}, key %s`, (which) => {
      // "missing" is a server that takes no part in QKD: it declines the PSK in silence.
      const server = which === "missing" ? {} : { ...withQkd.server, ...qkdPolicy("preferred") };
      const fault = serverFault(which);
      const result = run({
        client: { ...withQkd.client, ...qkdPolicy(standing) },
        server,
        wire: { onQuestion: (side, question) => fault?.(side, question) },
      });
      expect(result).toBe(TABLE[standing][which]);
    });
  }

  test("its own KME down: required refuses before ClientHello, preferred goes on and says why", () => {
    const wire: Wire = {
      onQuestion: (_, question) => (question.ask === "draw_qkd_key" ? down() : undefined),
    };
    const strict = new Pair({ ...withQkd, wire });
    strict.run();
    expect(strict.error("client")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED", missing: "qkd" });
    expect(strict.events.server.some(({ event }) => event === "question")).toBe(false);
    const lenient = new Pair({
      client: { ...withQkd.client, ...qkdPolicy("preferred") },
      server: { ...withQkd.server, ...qkdPolicy("preferred") },
      wire,
    }).run();
    expect(lenient.client.established?.degraded).toEqual([
      { missing: "qkd", reason: "the KME does not answer", code: "ERR_QKD_UNREACHABLE" },
    ]);
  });

  test.each([
    ["ERR_QKD_UNKNOWN_KEY", "unknown_psk_identity"],
    ["ERR_QKD_KEY_USED", "unknown_psk_identity"],
    ["ERR_QKD_REFUSED", "unknown_psk_identity"],
    ["ERR_QKD_UNREACHABLE", "internal_error"],
    ["ERR_QKD_BUSY", "internal_error"],
  ] as const)(
    "§6.2: %s tells the client %s: what it announced is its fault, the rest is ours",
    (code, alert) => {
      const pair = new Pair({
        ...withQkd,
        wire: {
          onQuestion: (_, { ask }) =>
            ask === "redeem_qkd_key" ? new KeySourceError(code, "no key for this") : undefined,
        },
      }).run();
      expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED", alert });
      expect(pair.error("client")).toMatchObject({ code: "ERR_TLS_PEER_ALERT", alert });
    },
  );

  test.each(["client", "server"] as const)("a KME that the %s does not trust never degrades", (at) => {
    const ask = at === "client" ? "draw_qkd_key" : "redeem_qkd_key";
    const error = new KeySourceError("ERR_QKD_UNTRUSTED", "the KME's certificate is not trusted");
    const pair = new Pair({
      client: { ...withQkd.client, ...qkdPolicy("preferred") },
      server: { ...withQkd.server, ...qkdPolicy("preferred") },
      wire: { onQuestion: (_, question) => (question.ask === ask ? error : undefined) },
    }).run();
    expect(pair.connected).toBe(false);
    expect(pair.error(at)).toBe(error);
  });
});

describe("what must never pass", () => {
  test("a simulated key in production mode, on either end", () => {
    const onClient = new Pair({
      client: { ...withQkd.client, production: true },
      server: withQkd.server,
    }).run();
    expect(onClient.error("client")).toMatchObject({ code: "ERR_POLICY_SIMULATED_KEY" });
    const onServer = new Pair({
      client: withQkd.client,
      server: { ...withQkd.server, production: true },
    }).run();
    expect(onServer.error("server")).toMatchObject({ code: "ERR_POLICY_SIMULATED_KEY" });
    expect(onServer.error("client")).toMatchObject({
      code: "ERR_TLS_PEER_ALERT",
      alert: "insufficient_security",
    });
  });

  test("a client without ML-KEM, where the server requires it", () => {
    const classical = { policy: { mlkem: "off", qkd: "off" }, dangerous: { allowClassical: true } } as const;
    const pair = new Pair({ client: classical }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_MLKEM_REQUIRED", missing: "mlkem" });
    expect(pair.error("client")).toMatchObject({ alert: "insufficient_security" });
  });

  test("a policy that could rest on classical cryptography alone, unless it says dangerous", () => {
    expect(() => new Pair({ client: { policy: { mlkem: "preferred", qkd: "off" } } })).toThrow(UsageError);
  });

  test("a key announced for another SAE", () => {
    const pair = new Pair({
      client: { qkd: { sae: saes.a, peer: "sae-x" } },
      server: withQkd.server,
      wire: {
        onQuestion: (_, question) =>
          question.ask === "draw_qkd_key"
            ? inProcessPair({ a: saes.a, b: "sae-x" }).a.drawNow("sae-x")
            : undefined,
      },
    }).run();
    expect(pair.error("server")).toMatchObject({ code: "ERR_POLICY_QKD_REQUIRED" });
  });

  test("a QKD key alone, where certificates authenticate", () => {
    const pair = new Pair({
      client: withQkd.client,
      server: { qkd: { sae: saes.b, authenticates: true }, credentials: [] },
    }).run();
    expect(pair.connected).toBe(false);
  });

  test("the delivered key outlives the schedule on neither end", () => {
    const keys: Uint8Array[] = [];
    const link = inProcessPair({ a: saes.a, b: saes.b });
    const pair = new Pair({
      ...withQkd,
      wire: {
        onQuestion: (_, question) => {
          if (question.ask !== "draw_qkd_key" && question.ask !== "redeem_qkd_key") return undefined;
          const key =
            question.ask === "draw_qkd_key"
              ? link.a.drawNow(question.peer)
              : link.b.redeemNow(question.initiator, question.keyId);
          keys.push(key.key);
          return key;
        },
      },
    }).run();
    expect(pair.connected).toBe(true);
    expect(keys.map((key) => key.every((byte) => byte === 0))).toEqual([true, true]);
  });
});
