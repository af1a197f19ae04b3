import { describe, expect, test } from "vitest";
import { ClientHello, type ClientExtensions } from "../../src/wire/hello.ts";
import { changing, engines, type Edit, type EnginesOptions } from "../support/engines.ts";
import { saes } from "../support/pair.ts";

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
