import { describe, expect, test } from "vitest";
import { serverConfig } from "../../src/channel/config.ts";
import { answer } from "../../src/handshake/server-flight.ts";
import type { Draft } from "../../src/handshake/server-state.ts";
import { concat, toHex } from "../../src/protocol/bytes.ts";
import { decode } from "../../src/wire/codec.ts";
import { ClientHello, decodeServerHello } from "../../src/wire/hello.ts";
import { credentials, provider } from "../support/credentials.ts";
import { engines } from "../support/engines.ts";
import { Pair } from "../support/pair.ts";
import { recordsOf } from "../support/records.ts";

const key = new Uint8Array(32).fill(1);

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
