import { describe, expect, test } from "vitest";
import { serverConfig } from "../../src/channel/config.ts";
import { answer } from "../../src/handshake/server-flight.ts";
import type { Draft } from "../../src/handshake/server-state.ts";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { decode } from "../../src/wire/codec.ts";
import { ClientHello, decodeServerHello, type ClientExtensions } from "../../src/wire/hello.ts";
import { credentials, provider } from "../support/credentials.ts";
import { changing, engines, type Edit, type EnginesOptions } from "../support/engines.ts";
import { Pair, saes } from "../support/pair.ts";
import { recordsOf } from "../support/records.ts";

const key = new Uint8Array(32).fill(1);
const hello = (change: (extensions: ClientExtensions) => object): Edit =>
  changing("client_hello", ClientHello, (value) => ({
    ...value,
    extensions: { ...value.extensions, ...change(value.extensions) },
  }));

/** Two ends without a group in common, which psk_ke alone can join. */
const apart = {
  policy: { mlkem: "preferred", qkd: "off" },
  dangerous: { allowClassical: true },
  pskKe: true,
} as const;
const withoutGroup = (more: EnginesOptions = {}): EnginesOptions => ({
  ...more,
  client: { ...apart, groups: ["X25519MLKEM768"], ...more.client },
  server: { ...apart, groups: ["SecP384r1MLKEM1024"], ...more.server },
});

describe("§2.2: a handshake has a key exchange or a PSK", () => {
  test.each([
    ["no PSK", {}],
    [
      "a PSK that the server does not know",
      { client: { psks: [{ identity: "one", key }], authentication: "psk" } },
    ],
    [
      "a PSK that the server does not know beside certificates",
      { client: { psks: [{ identity: "one", key }] } },
    ],
  ] as const)("%s and no group in common is handshake_failure", (_, options) => {
    const { failed } = engines(withoutGroup(options));
    expect(failed).toMatchObject({ side: "server", error: { alert: "handshake_failure" } });
  }); // prettier-ignore

  test("§4.3.9: a PSK that both know needs no group where both allow psk_ke", () => {
    const psks = [{ identity: "one", key }];
    const { failed, server } = engines(
      withoutGroup({ client: { psks, authentication: "psk" }, server: { psks } }),
    );
    expect(failed).toBeUndefined();
    expect(server.find((effect) => effect.do === "connected")?.established.group).toBeUndefined();
  });

  test("RFC 9973 §5.1: a PSK beside certificates is never taken without an exchange of keys", () => {
    const psks = [{ identity: "one", key }];
    const { failed } = engines(withoutGroup({ client: { psks }, server: { psks } }));
    expect(failed).toMatchObject({ side: "server", error: { alert: "handshake_failure" } });
  });
});

describe("§4.3.3: a server with a certificate", () => {
  test("finds no signature_algorithms, as no PSK is known either: missing_extension", () => {
    const { failed } = engines({
      client: { psks: [{ identity: "one", key }] },
      edit: hello(() => ({ signature_algorithms: undefined })),
    });
    expect(failed).toMatchObject({ side: "server", error: { alert: "missing_extension" } });
  });

  test("finds none that fits: handshake_failure", () => {
    const { failed } = engines({ edit: hello(() => ({ signature_algorithms: [0x0807] })) });
    expect(failed).toMatchObject({ side: "server", error: { alert: "handshake_failure" } });
  });
});

test("a client certificate that is required is not replaced by a QKD key alone", () => {
  const { failed } = engines({
    client: { qkd: { sae: saes.a, peer: saes.b, authenticates: true } },
    server: { qkd: { sae: saes.b, authenticates: true }, clientAuth: "require" },
  });
  expect(failed).toMatchObject({ side: "server", error: { code: "ERR_POLICY_QKD_REQUIRED" } });
});

describe("what a ServerHello says", () => {
  /** The ServerHello or HelloRetryRequest that each of some servers gives the same ClientHello. */
  const answers = (count: number) => {
    const client = new Pair();
    client.take("client", client.client.start());
    const hello = concat(client.client.takeOutput());
    const given = Array.from({ length: count }, () => {
      const pair = new Pair();
      pair.take("server", pair.server.receive(hello.slice()));
      const [record] = recordsOf(concat(pair.server.takeOutput()));
      const decoded = decodeServerHello(record!.fragment.subarray(4));
      if (decoded.retry) throw new Error("a HelloRetryRequest");
      return decoded.hello;
    });
    return { given, client: decode(ClientHello, recordsOf(hello)[0]!.fragment.subarray(4)) };
  };

  test("§4.2.3: legacy_version is 0x0303 and legacy_compression_method 0", () => {
    const { given } = answers(1);
    expect(given).toMatchObject([{ legacy_version: 0x0303, legacy_compression_method: 0 }]);
  });

  test("§4.2.3: the server's random is fresh for each ServerHello and none of the client's", () => {
    const { given, client } = answers(2);
    expect(new Set([...given, client].map(({ random }) => toHex(random))).size).toBe(3);
  });

  test("§4.3.8: the same share twice is served twice, each time by another one", () => {
    const shares = answers(2).given.map(({ extensions }) => extensions.key_share!);
    expect(shares.map(({ group }) => group)).toEqual([0x11ec, 0x11ec]);
    expect(new Set(shares.map(({ key_exchange }) => toHex(key_exchange))).size).toBe(2);
    expect(new Set(shares.map(({ key_exchange }) => toHex(key_exchange.subarray(1088)))).size).toBe(2);
  });

  test("§4.2.4: ServerHello keeps the suite and the version of the HelloRetryRequest", () => {
    const said: unknown[] = [];
    const { failed } = engines({
      server: { groups: ["SecP384r1MLKEM1024"], suites: ["TLS_CHACHA20_POLY1305_SHA256"] },
      edit: (name, body) => void (name === "server_hello" && said.push(decodeServerHello(body))),
    });
    expect(failed).toBeUndefined();
    const hello = { cipher_suite: 0x1303, extensions: { supported_versions: 0x0304 } };
    expect(said).toMatchObject([
      { retry: true, hello },
      { retry: false, hello },
    ]);
  });
});

test("a pre-shared key is overwritten when nothing comes of the answer", () => {
  const { settings } = serverConfig({ provider, now: Date.now, credentials: [credentials().identity] });
  // Policy wants ML-KEM, and there is no group: of the draft no more is looked at.
  const draft = { received: { hello: { extensions: {} } }, excuses: {} } as unknown as Draft;
  const ready = { identity: key, secret: key.slice(), hash: "sha256", binder: "ext binder" } as const;
  expect(() => answer(draft, { index: 0, ready }, settings)).toThrow(
    expect.objectContaining({ code: "ERR_POLICY_MLKEM_REQUIRED" }),
  );
  expect(ready.secret).toEqual(new Uint8Array(32));
});
