import { describe, expect, test } from "vitest";
import {
  changing,
  engines,
  rewriting,
  type Edit,
  type EnginesOptions,
  type Outcome,
} from "../support/engines.ts";
import { concat, fromHex, utf8 } from "../../src/protocol/bytes.ts";
import { KeySourceError } from "../../src/protocol/errors.ts";
import { CertificateRequest, EncryptedExtensions } from "../../src/wire/handshake.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { ClientHello, HelloRetryRequest, ServerHello } from "../../src/wire/hello.ts";
import { extension, field, number } from "../support/codec-rules.ts";
import { withQkd } from "../support/pair.ts";

const psk = { identity: "one", key: new Uint8Array(32).fill(1) };
const withPsk: EnginesOptions = {
  client: { psks: [psk], authentication: "psk" },
  server: { psks: [psk], suites: ["TLS_AES_128_GCM_SHA256"] },
};
const classical = {
  policy: { mlkem: "preferred", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;
const retry: EnginesOptions = { server: { groups: ["SecP384r1MLKEM1024"] } };

const serverHello = (change: (value: ServerHello) => object): Edit =>
  changing("server_hello", ServerHello, (value) => ({ ...value, ...change(value) }));
const extended = (more: object): Edit =>
  serverHello(({ extensions }) => ({ extensions: { ...extensions, ...more } }));
const retried = (change: (value: HelloRetryRequest) => object): Edit => {
  let seen = 0;
  return rewriting("server_hello", (body) => {
    if (++seen > 1) return body;
    const value = decode(HelloRetryRequest, body);
    return encode(HelloRetryRequest, { ...value, ...change(value) });
  });
};
const asking = (more: object): Edit =>
  retried(({ extensions }) => ({ extensions: { ...extensions, ...more } }));

function refused(edit: Edit, options: EnginesOptions = {}): NonNullable<Outcome["failed"]> {
  const { failed } = engines({ ...options, edit });
  expect(failed?.side).toBe("client");
  return failed!;
}

describe("§4.3.1: a ServerHello of an older version is told before the rest is read", () => {
  /** As a server of TLS 1.2 answers: a session id of its own, its suite, and what it does with its extensions. */
  const older = (extensions: Uint8Array, random = new Uint8Array(32).fill(7), version = 0x0303): Edit =>
    rewriting("server_hello", () =>
      concat([
        number(2, version),
        random,
        field(1, new Uint8Array(32).fill(1)),
        number(2, 0xc02f),
        extensions,
      ]),
    );
  const block = (...each: readonly Uint8Array[]): Uint8Array =>
    concat([number(1, 0), field(2, concat(each))]);
  const wrong = { code: "ERR_TLS_VERSION", alert: "protocol_version" };
  const server_name = extension(0, new Uint8Array());
  const alpn = extension(16, field(2, field(1, utf8("h2"))));

  test.each([
    ["no extensions", number(1, 0)],
    ["an empty block", block()],
    ["an extension that would be elsewhere in TLS 1.3", block(server_name, extension(0xff01, number(1, 0)))],
    ["an extension whose body has another form", block(alpn, extension(51, number(1, 9)))],
    ["an extension twice", block(alpn, alpn)],
    ["compression", concat([number(1, 1), field(2, new Uint8Array())])],
  ])("with %s it is protocol_version", (_, extensions) => {
    expect(refused(older(extensions)).error).toMatchObject(wrong);
  });

  test.each([
    ["TLS 1.2 by a server of TLS 1.3", 0x0303, "444f574e47524401"],
    ["TLS 1.1 by a server of TLS 1.2", 0x0302, "444f574e47524400"],
    ["TLS 1.0 by a server of TLS 1.3", 0x0301, "444f574e47524401"],
  ])("§4.2.3: a random that warns of a downgrade to %s is illegal_parameter", (_, version, ending) => {
    const random = new Uint8Array(32).fill(7);
    random.set(fromHex(ending)!, 24);
    expect(refused(older(block(), random, version)).error).toMatchObject({ alert: "illegal_parameter" });
    random[31]! ^= 2;
    expect(refused(older(block(), random, version)).error).toMatchObject(wrong);
  });

  test("§4.2.3: with TLS 1.3 the end of the random says nothing", () => {
    const ending = fromHex("444f574e47524401")!;
    const { error } = refused(
      serverHello(({ random }) => ({ random: concat([random.subarray(0, 24), ending]) })),
    );
    // The transcript differs, which is found later.
    expect(error).toMatchObject({ code: "ERR_TLS_DECRYPT", alert: "decrypt_error" });
  });

  test("one that is cut short is decode_error", () => {
    for (const cut of [0, 33, 34, 60, 69, 70, 71, 73]) {
      const { error } = refused(rewriting("server_hello", (body) => body.subarray(0, cut)));
      expect(error, `${cut} bytes`).toMatchObject({
        alert: cut === 70 ? "protocol_version" : "decode_error",
      });
    }
  });
});

describe("§4.2.3: what a ServerHello must and must not say", () => {
  const rules: readonly (readonly [string, string, Edit, EnginesOptions?])[] = [
    [
      "§4.3.1: no supported_versions is protocol_version",
      "protocol_version",
      extended({ supported_versions: undefined }),
    ],
    [
      "§4.3.1: a version that was not offered is illegal_parameter",
      "illegal_parameter",
      extended({ supported_versions: 0x0303 }),
    ],
    [
      "another legacy_version is protocol_version",
      "protocol_version",
      serverHello(() => ({ legacy_version: 0x0304 })),
    ],
    [
      "another session id is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ legacy_session_id_echo: new Uint8Array(32) })),
    ],
    [
      "a session id where there was none is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ legacy_session_id_echo: new Uint8Array(32) })),
      { client: { middleboxCompatibility: false } },
    ],
    [
      "compression is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ legacy_compression_method: 1 })),
    ],
    [
      "a suite that was not offered is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ cipher_suite: 0x1304 })),
    ],
    [
      "a GREASE suite is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ cipher_suite: 0x0a0a })),
    ],
    [
      "neither key_share nor pre_shared_key is missing_extension",
      "missing_extension",
      extended({ key_share: undefined }),
    ],
    [
      "§4.3.8: a share of a group that had none is illegal_parameter",
      "illegal_parameter",
      extended({ key_share: { group: 0x11ed, key_exchange: new Uint8Array(1665) } }),
    ],
    [
      "§4.3.8: a share of an unknown group is illegal_parameter",
      "illegal_parameter",
      extended({ key_share: { group: 0x0a0a, key_exchange: new Uint8Array(9) } }),
    ],
    [
      "§4.3.11: a PSK where none was offered is unsupported_extension",
      "unsupported_extension",
      extended({ pre_shared_key: 0 }),
    ],
    [
      "§4.3.11: an identity that was not offered is illegal_parameter",
      "illegal_parameter",
      extended({ pre_shared_key: 7 }),
      withPsk,
    ],
    [
      "§4.3.11: a PSK of another hash than the suite's is illegal_parameter",
      "illegal_parameter",
      serverHello(() => ({ cipher_suite: 0x1302 })),
      withPsk,
    ],
    [
      "§4.3.9: psk_ke that was not offered is illegal_parameter",
      "illegal_parameter",
      extended({ key_share: undefined }),
      withPsk,
    ],
    [
      "RFC 9973 §4: tls_cert_with_extern_psk that was not offered is unsupported_extension",
      "unsupported_extension",
      extended({ tls_cert_with_extern_psk: true }),
      withPsk,
    ],
    [
      "RFC 9973 §5.1: tls_cert_with_extern_psk without key_share is illegal_parameter, psk_ke or not",
      "illegal_parameter",
      extended({ key_share: undefined }),
      {
        client: { psks: [psk], pskKe: true, ...classical },
        server: { psks: [psk], suites: ["TLS_AES_128_GCM_SHA256"] },
      },
    ],
    [
      "RFC 9973 §4: tls_cert_with_extern_psk without a PSK is illegal_parameter",
      "illegal_parameter",
      extended({ tls_cert_with_extern_psk: true }),
      { client: { psks: [psk] } },
    ],
    [
      "RFC 9973: a PSK without the certificate that was asked for is certificate_required",
      "certificate_required",
      extended({ tls_cert_with_extern_psk: undefined }),
      { client: { psks: [psk] }, server: { psks: [psk], suites: ["TLS_AES_128_GCM_SHA256"] } },
    ],
    [
      "§4.2.3: an extension that was not offered is unsupported_extension",
      "unsupported_extension",
      rewriting("server_hello", (body) => {
        const at = 35 + body[34]! + 3;
        const length = ((body[at]! << 8) | body[at + 1]!) + 4;
        return concat([
          body.subarray(0, at),
          Uint8Array.of(length >> 8, length & 0xff, 0x2a, 0x2a, 0, 0),
          body.subarray(at + 2),
        ]);
      }),
    ],
    [
      "a trailing byte is decode_error",
      "decode_error",
      rewriting("server_hello", (body) => concat([body, Uint8Array.of(0)])),
    ],
    ["a cut one is decode_error", "decode_error", rewriting("server_hello", (body) => body.subarray(0, 40))],
  ]; // prettier-ignore
  for (const [title, alert, edit, options] of rules) {
    test(title, () => {
      expect(refused(edit, options).error).toMatchObject({ alert });
    });
  }
});

describe("RFC 10024: a server's share that fails its check is illegal_parameter", () => {
  const rules: readonly (readonly [string, string, (share: Uint8Array) => Uint8Array])[] = [
    ["X25519MLKEM768: a byte short", "X25519MLKEM768", (share) => share.slice(1)],
    ["X25519MLKEM768: a byte long", "X25519MLKEM768", (share) => concat([share, Uint8Array.of(0)])],
    ["X25519MLKEM768: all-zero X25519", "X25519MLKEM768", (share) => share.fill(0, 1088)],
    ["SecP256r1MLKEM768: a point off the curve", "SecP256r1MLKEM768", (share) => share.fill(7, 1, 65)],
    ["SecP384r1MLKEM1024: a point off the curve", "SecP384r1MLKEM1024", (share) => share.fill(7, 1, 97)],
    ["SecP384r1MLKEM1024: a compressed point", "SecP384r1MLKEM1024", (share) => ((share[0] = 3), share)],
    ["MLKEM768: a byte short", "MLKEM768", (share) => share.slice(1)],
    ["x25519: all zero", "x25519", (share) => share.fill(0)],
    ["secp256r1: off the curve", "secp256r1", (share) => share.fill(9, 1)],
    ["secp384r1: too short", "secp384r1", (share) => share.slice(2)],
    ["secp521r1: off the curve", "secp521r1", (share) => share.fill(1, 1)],
    ["secp521r1: too short", "secp521r1", (share) => share.slice(1)],
  ]; // prettier-ignore
  test.each(rules)("%s", (_, group, bend) => {
    const only = {
      groups: [group],
      policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
      dangerous: { allowClassical: true },
    } as never;
    const edit = serverHello(({ extensions }) => ({
      extensions: {
        ...extensions,
        key_share: {
          ...extensions.key_share,
          key_exchange: bend(extensions.key_share!.key_exchange.slice()),
        },
      },
    }));
    expect(refused(edit, { client: only, server: only }).error).toMatchObject({ alert: "illegal_parameter" });
  });

  test("FIPS 203 §6.3: a bent ciphertext decapsulates to another secret, and Finished or the records tell", () => {
    const edit = serverHello(({ extensions }) => {
      const key_exchange = extensions.key_share!.key_exchange.slice();
      key_exchange[5]! ^= 1;
      return { extensions: { ...extensions, key_share: { ...extensions.key_share, key_exchange } } };
    });
    expect(refused(edit).error).toMatchObject({ alert: "decrypt_error" });
  });
});

describe("§4.2.4: what a HelloRetryRequest must and must not say", () => {
  const rules: readonly (readonly [string, string, Edit])[] = [
    [
      "that would change nothing is illegal_parameter",
      "illegal_parameter",
      asking({ key_share: undefined, cookie: undefined }),
    ],
    [
      "for a group that was not offered is illegal_parameter",
      "illegal_parameter",
      asking({ key_share: 0x0017 }),
    ],
    [
      "for a group that already had a share is illegal_parameter",
      "illegal_parameter",
      asking({ key_share: 0x11ec }),
    ],
    [
      "of another legacy_version is protocol_version",
      "protocol_version",
      retried(() => ({ legacy_version: 0x0302 })),
    ],
    ["of another version is illegal_parameter", "illegal_parameter", asking({ supported_versions: 0x0303 })],
    ["without a version is protocol_version", "protocol_version", asking({ supported_versions: undefined })],
    [
      "with a suite that was not offered is illegal_parameter",
      "illegal_parameter",
      retried(() => ({ cipher_suite: 0x1304 })),
    ],
    [
      "with compression is illegal_parameter",
      "illegal_parameter",
      retried(() => ({ legacy_compression_method: 1 })),
    ],
    [
      "with another session id is illegal_parameter",
      "illegal_parameter",
      retried(() => ({ legacy_session_id_echo: new Uint8Array(1) })),
    ],
  ]; // prettier-ignore
  test.each(rules)("one %s", (_, alert, edit) => {
    expect(refused(edit, retry).error).toMatchObject({ alert });
  });

  test("§4.3: with an extension that was not offered is unsupported_extension", () => {
    let seen = 0;
    const edit = rewriting("server_hello", (body) => {
      if (seen++ > 0) return body;
      const at = 35 + body[34]! + 3;
      const length = ((body[at]! << 8) | body[at + 1]!) + 4;
      return concat([
        body.subarray(0, at),
        Uint8Array.of(length >> 8, length & 0xff, 0x2a, 0x2a, 0, 0),
        body.subarray(at + 2),
      ]);
    });
    expect(refused(edit, retry).error).toMatchObject({ alert: "unsupported_extension" });
  });

  test("§4.3.8: afterwards a share of the group that was offered first is illegal_parameter", () => {
    const bent = serverHello(({ extensions }) => ({
      extensions: { ...extensions, key_share: { group: 0x11ec, key_exchange: new Uint8Array(1120) } },
    }));
    let seen = 0;
    const edit: Edit = (name, body, from) =>
      name === "server_hello" && ++seen === 2 ? bent(name, body, from) : undefined;
    expect(refused(edit, retry).error).toMatchObject({ alert: "illegal_parameter" });
  });

  test("a second one is unexpected_message", () => {
    let first: Uint8Array | undefined;
    const edit = rewriting("server_hello", (body) => (first ??= body.slice()));
    expect(refused(edit, retry).error).toMatchObject({ alert: "unexpected_message" });
  });

  test("§4.2.4: another suite afterwards is illegal_parameter", () => {
    const bent = serverHello(() => ({ cipher_suite: 0x1303 }));
    let seen = 0;
    const guarded: Edit = (name, body, from) =>
      name === "server_hello" && ++seen === 2 ? bent(name, body, from) : undefined;
    expect(refused(guarded, retry).error).toMatchObject({ alert: "illegal_parameter" });
  });

  test("§4.2.4: another version afterwards is illegal_parameter", () => {
    const bent = extended({ supported_versions: 0x0305 });
    let seen = 0;
    const edit: Edit = (name, body, from) =>
      name === "server_hello" && ++seen === 2 ? bent(name, body, from) : undefined;
    expect(refused(edit, retry).error).toMatchObject({ alert: "illegal_parameter" });
  });

  test("a client whose only PSK does not fit its suite ends the handshake itself", () => {
    const options: EnginesOptions = {
      client: { psks: [psk], authentication: "psk" },
      server: { psks: [psk], groups: ["SecP384r1MLKEM1024"] },
    };
    const edit = retried(() => ({ cipher_suite: 0x1302 }));
    expect(refused(edit, options).error).toMatchObject({ alert: "handshake_failure" });
  });
});

describe("§4.4.1 and §4.4.2: the encrypted part", () => {
  const ee = (more: object): Edit =>
    changing("encrypted_extensions", EncryptedExtensions, ({ extensions }) => ({
      extensions: { ...extensions, ...more },
    }));
  const rules: readonly (readonly [string, string, Edit, EnginesOptions?])[] = [
    [
      "§4.4.1: an extension that was not offered is unsupported_extension",
      "unsupported_extension",
      ee({ record_size_limit: 100 }),
    ],
    [
      "RFC 7301: a protocol that was not offered is illegal_parameter",
      "illegal_parameter",
      ee({ application_layer_protocol_negotiation: [utf8("z")] }),
      { client: { alpn: ["a"] } },
    ],
    [
      "RFC 7301: two protocols are illegal_parameter",
      "illegal_parameter",
      ee({ application_layer_protocol_negotiation: [utf8("a"), utf8("b")] }),
      { client: { alpn: ["a", "b"] } },
    ],
    [
      "RFC 7301: a protocol that was not offered at all is unsupported_extension",
      "unsupported_extension",
      ee({ application_layer_protocol_negotiation: [utf8("a")] }),
    ],
    [
      "RFC 8449: record_size_limit below 64 is illegal_parameter",
      "illegal_parameter",
      ee({ record_size_limit: 63 }),
      { client: { recordSizeLimit: 100 } },
    ],
    [
      "§4.3.10: early_data that was not offered is unsupported_extension",
      "unsupported_extension",
      ee({ early_data: true }),
    ],
    [
      "§4.4.2: a context in CertificateRequest is illegal_parameter",
      "illegal_parameter",
      changing("certificate_request", CertificateRequest, (value) => ({
        ...value,
        certificate_request_context: Uint8Array.of(1),
      })),
      { server: { clientAuth: "request" } },
    ],
    [
      "§4.4.2: CertificateRequest without signature_algorithms is missing_extension",
      "missing_extension",
      changing("certificate_request", CertificateRequest, (value) => ({ ...value, extensions: {} })),
      { server: { clientAuth: "request" } },
    ],
  ]; // prettier-ignore
  for (const [title, alert, edit, options] of rules) {
    test(title, () => {
      expect(refused(edit, options).error).toMatchObject({ alert });
    });
  }
});

describe("the QKD key before ClientHello", () => {
  test("one HelloRetryRequest later the same key is offered again, and drawn only once", () => {
    let draws = 0;
    const { failed, client } = engines({
      client: withQkd.client,
      server: { ...withQkd.server, groups: ["SecP384r1MLKEM1024"] },
      onQuestion: ({ ask }) => void (ask === "draw_qkd_key" && draws++),
    });
    expect(failed).toBeUndefined();
    expect(draws).toBe(1);
    expect(client.some((effect) => effect.do === "connected" && effect.established.qkd !== undefined)).toBe(
      true,
    );
  });

  test("a source that fails is named when QKD is required", () => {
    const { failed, flow } = engines({
      ...withQkd,
      onQuestion: ({ ask }) =>
        ask === "draw_qkd_key" ? new KeySourceError("ERR_QKD_EMPTY", "none left") : undefined,
    });
    expect(failed).toMatchObject({
      side: "client",
      error: { code: "ERR_POLICY_QKD_REQUIRED", missing: "qkd" },
    });
    expect(flow).toEqual([]);
  });
});

test("§4.3.3: a client whose keys alone authenticate takes no server with a certificate in their place", () => {
  let asked = false;
  const { failed } = engines({
    client: { psks: [psk], authentication: "psk" },
    edit: changing("client_hello", ClientHello, (hello) => ({
      ...hello,
      extensions: { ...hello.extensions, signature_algorithms: [0x0403] },
    })),
    onQuestion: () => void (asked = true),
  });
  expect(failed).toMatchObject({
    side: "client",
    error: { code: "ERR_PSK_REFUSED", alert: "handshake_failure" },
  });
  expect(asked).toBe(false);
});
