import { duplexPair } from "node:stream";
import { createSecureContext as createTlsContext } from "node:tls";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createSecureContext, inProcessPair } from "../../src/index.ts";
import type { ContextOptions } from "../../src/index.ts";
import { host, type ServerParts } from "../../src/node/host.ts";
import type { Question } from "../../src/handshake/question.ts";
import { redeemer } from "../../src/qkd/redeemer.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { credentials } from "../support/credentials.ts";
import { scriptedSource } from "../support/scripted-source.ts";

const own = credentials();
const [socket] = duplexPair();
const ask = (question: Question, options: ContextOptions = {}, server?: ServerParts): unknown =>
  host(createSecureContext({ ca: own.caPem, ...options }), server).answer(question, socket);

const peer: Question = {
  ask: "verify_peer",
  certificateType: "X509",
  purpose: "server",
  chain: own.identity.chain,
  name: "localhost",
};
const client: Question = {
  ask: "verify_peer",
  certificateType: "X509",
  purpose: "client",
  chain: own.identity.chain,
};

describe("whom it trusts", () => {
  test("a valid chain for the right name, at once", () => {
    expect(ask(peer)).toEqual({ authorized: true });
    expect(ask(client)).toEqual({ authorized: true });
  });

  test("another name is refused, or reported where that is allowed", () => {
    const other: Question = { ...peer, name: "other.test" };
    expect(() => ask(other)).toThrow(expect.objectContaining({ code: "ERR_CERT_NAME_MISMATCH" }));
    expect(ask(other, { rejectUnauthorized: false })).toMatchObject({
      authorized: false,
      error: { code: "ERR_CERT_NAME_MISMATCH" },
    });
    expect(() => ask(other, { rejectUnauthorized: null } as never)).toThrow();
  });

  test("checkServerIdentity is asked about servers only", () => {
    const checkServerIdentity = () => new Error("no");
    expect(() => ask(peer, { checkServerIdentity })).toThrow(
      expect.objectContaining({ code: "ERR_CERT_NAME_MISMATCH" }),
    );
    expect(ask(client, { checkServerIdentity })).toEqual({ authorized: true });
  });

  describe("verifyPeer", () => {
    // oxlint-disable-next-line unicorn/no-thenable -- what a library's own promise looks like
    const thenable = (value: unknown) => ({ then: (resolve: (value: unknown) => void) => resolve(value) });
    const foreign = (expression: string): unknown => runInNewContext(expression);

    test.each([
      ["nothing", () => undefined],
      ["true", () => true],
      ["a promise of nothing", () => Promise.resolve()],
      ["a thenable of nothing", () => thenable(undefined)],
      ["another realm's promise", () => foreign("Promise.resolve()")],
    ])("accepts by %s", async (_, verifyPeer) => {
      expect(await ask(peer, { verifyPeer: verifyPeer as never })).toEqual({ authorized: true });
    });

    test.each([
      ["false", () => false],
      ["a promise of false", () => Promise.resolve(false)],
      ["a thenable of false", () => thenable(false)],
      ["another realm's promise of false", () => foreign("Promise.resolve(false)")],
      ["a rejection", () => Promise.reject(new Error("no"))],
      ["another realm's rejection", () => foreign("Promise.reject(new Error('no'))")],
    ])("refuses by %s", async (_, verifyPeer) => {
      const answered = ask(peer, { verifyPeer: verifyPeer as never });
      // The channel waits for a promise and takes anything else as the answer.
      expect(answered).toBeInstanceOf(Promise);
      await expect(answered).rejects.toMatchObject({ message: expect.stringMatching(/no|refused/) });
    });

    test("is not asked about a peer whose chain is not valid", () => {
      let asked = 0;
      const verifyPeer = () => void asked++;
      expect(() => ask({ ...peer, name: "other.test" }, { verifyPeer })).toThrow();
      expect(asked).toBe(0);
    });
  });
});

describe("what it does not have", () => {
  test("a key source: both questions fail closed", async () => {
    await expect(ask({ ask: "draw_qkd_key", peer: "b" })).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
    const redeem: Question = { ask: "redeem_qkd_key", initiator: "a", keyId: "x" };
    await expect(ask(redeem)).rejects.toMatchObject({ code: "ERR_QKD_CLOSED" });
  });

  test("a signer for an external key is named", () => {
    const credential = { ...own.identity, key: "external" as const };
    const sign: Question = { ask: "sign", algorithm: "ecdsa-sha256", message: utf8("x"), credential };
    expect(() => ask(sign)).toThrow(expect.objectContaining({ option: "credentials" }));
  });

  test("callbacks: no identity, no PSK, no session", async () => {
    const parts: ServerParts = { options: {} };
    expect(ask({ ask: "choose_identity", serverName: "x" }, {}, parts)).toBeUndefined();
    expect(await ask({ ask: "find_psk", identity: utf8("x") }, {}, parts)).toBeUndefined();
    expect(await ask({ ask: "load_ticket", ticket: utf8("x") }, {}, parts)).toBeUndefined();
  });
});

test("an identity that is not text is nobody's, and pskCallback is not asked", async () => {
  let asked = 0;
  const pskCallback = () => void asked++;
  const identity = Uint8Array.of(0xff, 0xfe);
  expect(await ask({ ask: "find_psk", identity }, {}, { options: { pskCallback } })).toBeUndefined();
  expect(asked).toBe(0);
});

test("a key that was used is not used again, whoever redeemed it", async () => {
  const { a, b } = inProcessPair({ a: "sae-a", b: "sae-b" });
  const guard = redeemer(b, { allow: () => true });
  const made = host(createSecureContext({}), { redeemer: guard, options: {} });
  const { id } = await a.draw("sae-b");
  const question: Question = { ask: "redeem_qkd_key", initiator: "sae-a", keyId: id };
  expect(await made.answer(question, socket)).toMatchObject({ id });
  made.keyUsed("sae-a", id);
  expect(() => made.keyUsed("sae-a", id)).toThrow(expect.objectContaining({ code: "ERR_QKD_KEY_USED" }));
  await expect(made.answer(question, socket)).rejects.toMatchObject({ code: "ERR_QKD_KEY_USED" });
  guard.close();
});

test("RFC 9257: a pskCallback that answers with text or too few bytes is refused, for text would make a key of zeros", async () => {
  for (const key of [
    "0123456789abcdef0123456789abcdef",
    Array.from({ length: 16 }, () => 1),
    new Uint8Array(15),
  ]) {
    const answered = ask(
      { ask: "find_psk", identity: utf8("x") },
      {},
      { options: { pskCallback: () => key as never } },
    );
    await expect(answered).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "pskCallback" });
  }
});

test("§4.3.11: a ticketStore that knows no ticket, or fails, costs a resumption and not the connection", async () => {
  const load = (get: () => unknown) =>
    ask(
      { ask: "load_ticket", ticket: new Uint8Array(32) },
      {},
      { options: { ticketStore: { get: get as never, set: () => undefined } } },
    );
  expect(await load(() => undefined)).toBeUndefined();
  expect(await load(() => null)).toBeUndefined();
  expect(await load(async () => null)).toBeUndefined();
  expect(await load(() => Promise.reject(new Error("away")))).toBeUndefined();
  expect(
    await load(() => {
      throw new Error("away");
    }),
  ).toBeUndefined();
  expect(await load(async () => utf8("state"))).toEqual(utf8("state"));
});

test("an SNICallback that gives another library's context is refused, and not taken for none", async () => {
  const choose = (context: unknown) =>
    ask(
      { ask: "choose_identity", serverName: "a.test" },
      {},
      {
        options: {
          SNICallback: (_: string, done: (error: null, context?: never) => void) =>
            done(null, context as never),
        },
      },
    );
  await expect(choose(createTlsContext())).rejects.toMatchObject({ option: "SNICallback" });
  expect(await choose(undefined)).toBeUndefined();
  expect(await choose(null)).toBeUndefined();
});

test("an SNICallback that fails before it calls back, at once or later, refuses; what it says afterwards counts no more", async () => {
  const choose = (SNICallback: NonNullable<ServerParts["options"]["SNICallback"]>) =>
    ask({ ask: "choose_identity", serverName: "a.test" }, {}, { options: { SNICallback } });
  const failed = new Error("no such table");
  await expect(choose(() => Promise.reject(failed) as never)).rejects.toBe(failed);
  await expect(
    choose(() => {
      throw failed;
    }),
  ).rejects.toBe(failed);
  const context = createSecureContext({ cert: own.certPem, key: own.keyPem });
  const chosen = choose((_, done) => {
    done(null, context);
    done(failed);
    throw failed;
  });
  await expect(chosen).resolves.toBe(context.credentials);
});

describe("certificateCallback", () => {
  const question: Question = {
    ask: "choose_client_identity",
    certificateType: "X509",
    signatureSchemes: ["ed25519"],
    authorities: [Uint8Array.of(1)],
  };
  const choose = (certificateCallback: unknown): Promise<unknown> =>
    host(createSecureContext(), undefined, { certificateCallback } as never).answer(
      question,
      socket,
    ) as Promise<unknown>;
  const context = createSecureContext({ cert: own.certPem, key: own.keyPem });

  test("is told what the server wants, and may choose at once or later, or leave it", async () => {
    const told: unknown[] = [];
    expect(
      await choose((request: unknown) => {
        told.push(request);
        return context;
      }),
    ).toBe(context.credentials);
    expect(told).toEqual([
      { certificateType: "X509", signatureSchemes: ["ed25519"], authorities: [Uint8Array.of(1)] },
    ]);
    expect(await choose(async () => context)).toBe(context.credentials);
    expect(await choose(() => createSecureContext())).toEqual([]);
    for (const nothing of [undefined, null]) expect(await choose(() => nothing)).toBeUndefined();
  });

  test("that throws, or gives another library's context, is refused", async () => {
    const failed = new Error("no card");
    await expect(choose(() => Promise.reject(failed))).rejects.toBe(failed);
    await expect(
      choose(() => {
        throw failed;
      }),
    ).rejects.toBe(failed);
    for (const other of [createTlsContext(), {}, true]) {
      await expect(choose(() => other)).rejects.toMatchObject({ option: "certificateCallback" });
    }
  });
});

test("each connection's own timeoutMs holds, whoever used the source before", async () => {
  const source = scriptedSource();
  await ask(
    { ask: "draw_qkd_key", peer: "sae-b" },
    { qkd: { source, peer: "sae-b", timeoutMs: 2 ** 31 - 1 } },
  );
  source.script = () => new Promise(() => undefined);
  const hasty = ask({ ask: "draw_qkd_key", peer: "sae-b" }, { qkd: { source, peer: "sae-b", timeoutMs: 5 } });
  await expect(hasty).rejects.toMatchObject({ code: "ERR_QKD_TIMEOUT" });
});
