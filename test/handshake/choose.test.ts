import { describe, expect, test } from "vitest";
import {
  changing,
  engines,
  rewriting,
  type Edit,
  type EnginesOptions,
  type Outcome,
} from "../support/engines.ts";
import type { ServerOptions } from "../../src/channel/options.ts";
import { concat, utf8 } from "../../src/protocol/bytes.ts";
import { TLS12 } from "../../src/protocol/iana.ts";
import { ClientHello, type ClientExtensions } from "../../src/wire/hello.ts";
import { provider } from "../support/credentials.ts";
import { Pair, withQkd } from "../support/pair.ts";

const psk = { identity: "one", key: new Uint8Array(32).fill(1) };
const withPsk: EnginesOptions = { client: { psks: [psk] }, server: { psks: [psk] } };

/** Changes the extensions of ClientHello; only of the first one, or only of the second. */
function hello(change: (extensions: ClientExtensions) => object, which = 1): Edit {
  let seen = 0;
  return changing("client_hello", ClientHello, (value) =>
    ++seen === which ? { ...value, extensions: { ...value.extensions, ...change(value.extensions) } } : value,
  );
}

const without = (...names: string[]): Edit =>
  hello(() => Object.fromEntries(names.map((name) => [name, undefined])));

/** An uncompressed point in the form that TLS 1.3 has no place for. */
function compressed(share: Uint8Array): Uint8Array {
  const [, ...x] = share.subarray(0, (share.length + 1) / 2);
  return Uint8Array.of(2 | ((share.at(-1) ?? 0) & 1), ...x);
}

function refused(edit: Edit, options: EnginesOptions = {}): Outcome["failed"] {
  const { failed } = engines({ ...options, edit });
  expect(failed?.side).toBe("server");
  return failed;
}

describe("§4.2.2: what a ClientHello must and must not say", () => {
  const rules: readonly (readonly [string, string, Edit, EnginesOptions?])[] = [
    ["§4.3.1: no supported_versions is protocol_version", "protocol_version", without("supported_versions")],
    [
      "§4.3.1: TLS 1.2 alone is protocol_version",
      "protocol_version",
      hello(() => ({ supported_versions: [TLS12] })),
    ],
    [
      "no extensions at all is protocol_version",
      "protocol_version",
      changing("client_hello", ClientHello, (value) => ({ ...value, extensions: {} })),
    ],
    [
      "compression is illegal_parameter",
      "illegal_parameter",
      changing("client_hello", ClientHello, (value) => ({
        ...value,
        legacy_compression_methods: Uint8Array.of(1, 0),
      })),
    ],
    [
      "§9.2: supported_groups without key_share is missing_extension",
      "missing_extension",
      without("key_share"),
    ],
    [
      "§9.2: key_share without supported_groups is missing_extension",
      "missing_extension",
      without("supported_groups"),
    ],
    [
      "§9.2: neither key_share nor pre_shared_key is missing_extension",
      "missing_extension",
      without("key_share", "supported_groups"),
    ],
    [
      "§9.2: neither signature_algorithms nor pre_shared_key is missing_extension",
      "missing_extension",
      without("signature_algorithms"),
    ],
    [
      "§4.3.8: two shares for one group are illegal_parameter",
      "illegal_parameter",
      hello(({ key_share: shares = [] }) => ({ key_share: [...shares, ...shares] })),
    ],
    [
      "§4.3.8: a share for a group that was not offered is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ supported_groups: [0x001d] })),
    ],
    [
      "§4.3.9: pre_shared_key without psk_key_exchange_modes is missing_extension",
      "missing_extension",
      without("psk_key_exchange_modes"),
      withPsk,
    ],
    [
      "§4.3.11: more identities than binders is illegal_parameter",
      "illegal_parameter",
      hello(({ pre_shared_key: psks }) => ({
        pre_shared_key: { identities: [...psks!.identities, ...psks!.identities], binders: psks!.binders },
      })),
      withPsk,
    ],
    [
      "RFC 9973 §4: tls_cert_with_extern_psk without pre_shared_key is missing_extension",
      "missing_extension",
      without("pre_shared_key"),
      withPsk,
    ],
    [
      "RFC 9973 §4: tls_cert_with_extern_psk without psk_dhe_ke is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ psk_key_exchange_modes: [0] })),
      withPsk,
    ],
    [
      "RFC 9973 §4: tls_cert_with_extern_psk with early_data is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ early_data: true })),
      withPsk,
    ],
    [
      "RFC 8449 §4: record_size_limit below 64 is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ record_size_limit: 63 })),
    ],
    [
      "RFC 6066 §3: two names are illegal_parameter",
      "illegal_parameter",
      hello(({ server_name: names = [] }) => ({ server_name: [...names, ...names] })),
    ],
    [
      "RFC 6066 §3: a name of another type is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ server_name: [{ name_type: 1, host_name: utf8("x") }] })),
    ],
    [
      "RFC 6066 §3: a name that is none is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ server_name: [{ name_type: 0, host_name: utf8("a/b") }] })),
    ],
    [
      "RFC 6066 §3: a name that is not UTF-8 is illegal_parameter",
      "illegal_parameter",
      hello(() => ({ server_name: [{ name_type: 0, host_name: Uint8Array.of(0xff) }] })),
    ],
    [
      "§4.2.1: no suite in common is handshake_failure",
      "handshake_failure",
      changing("client_hello", ClientHello, (value) => ({ ...value, cipher_suites: [0x1304] })),
    ],
    [
      "§4.3.3: no signature scheme in common is handshake_failure",
      "handshake_failure",
      hello(() => ({ signature_algorithms: [0x0807] })),
    ],
    [
      "no group with ML-KEM is insufficient_security",
      "insufficient_security",
      hello(() => ({
        supported_groups: [0x001d],
        key_share: [{ group: 0x001d, key_exchange: new Uint8Array(32) }],
      })),
    ],
    [
      "RFC 7301 §3.2: no protocol in common is no_application_protocol",
      "no_application_protocol",
      hello(() => ({ application_layer_protocol_negotiation: [utf8("z")] })),
      { client: { alpn: ["a"] }, server: { alpn: ["a"] } },
    ],
    [
      "§4.3.11: trailing bytes are decode_error",
      "decode_error",
      rewriting("client_hello", (body) => concat([body, Uint8Array.of(0)])),
    ],
  ]; // prettier-ignore
  for (const [title, alert, edit, options] of rules) {
    test(title, () => {
      expect(refused(edit, options)?.error).toMatchObject({ alert });
    });
  }

  test("§4.3: one extension twice is illegal_parameter", () => {
    const twice = rewriting("client_hello", (body) => {
      const at = 35 + body[34]!;
      const block = at + 2 + ((body[at]! << 8) | body[at + 1]!) + 2;
      const length = (body[block]! << 8) | body[block + 1]!;
      const extra = Uint8Array.of(0x7a, 0x7a, 0, 0, 0x7a, 0x7a, 0, 0);
      const grown = concat([
        body.subarray(0, block),
        Uint8Array.of((length + 8) >> 8, (length + 8) & 0xff),
        extra,
        body.subarray(block + 2),
      ]);
      return grown;
    });
    expect(refused(twice)?.error).toMatchObject({ alert: "illegal_parameter" });
  });

  test.each([
    ["0x0301", 0x0301],
    ["0x0302", 0x0302],
    ["0x0304", 0x0304],
  ] as const)("§4.2.2: legacy_version %s is protocol_version", (_, version) => {
    const edit = changing("client_hello", ClientHello, (value) => ({ ...value, legacy_version: version }));
    expect(refused(edit)?.error).toMatchObject({ alert: "protocol_version" });
  });
});

describe("GREASE (RFC 8701): what the server does not know it passes over", () => {
  const GREASE = [0x0a0a, 0x1a1a, 0xfafa];
  const share = { group: 0x0a0a, key_exchange: Uint8Array.of(0) };
  const rules: readonly (readonly [string, Edit])[] = [
    [
      "suites",
      changing("client_hello", ClientHello, (value) => ({
        ...value,
        cipher_suites: [...GREASE, ...value.cipher_suites],
      })),
    ],
    [
      "versions",
      hello(({ supported_versions: versions = [] }) => ({ supported_versions: [...GREASE, ...versions] })),
    ],
    [
      "groups and shares",
      hello(({ supported_groups: groups = [], key_share: shares = [] }) => ({
        supported_groups: [...GREASE, ...groups],
        key_share: [share, ...shares],
      })),
    ],
    [
      "schemes",
      hello(({ signature_algorithms: schemes = [] }) => ({ signature_algorithms: [...GREASE, ...schemes] })),
    ],
    ["modes", hello(() => ({ psk_key_exchange_modes: [0x0b, 0x2a, 1] }))],
    [
      "protocols",
      hello(() => ({ application_layer_protocol_negotiation: [Uint8Array.of(0x0a, 0x0a), utf8("a")] })),
    ],
    [
      "extensions",
      rewriting("client_hello", (body) => {
        const at = 35 + body[34]!;
        const block = at + 2 + ((body[at]! << 8) | body[at + 1]!) + 2;
        const length = ((body[block]! << 8) | body[block + 1]!) + 9;
        return concat([
          body.subarray(0, block),
          Uint8Array.of(length >> 8, length & 0xff),
          Uint8Array.of(0x6a, 0x6a, 0, 5, 1, 2, 3, 4, 5),
          body.subarray(block + 2),
        ]);
      }),
    ],
  ]; // prettier-ignore
  test.each(rules)("%s", (_, edit) => {
    const { flow, failed } = engines({ edit, client: { alpn: ["a"] }, server: { alpn: ["a"] } });
    expect(flow).toContain("server finished");
    // The client hears of another transcript than its own, and only that stops it.
    expect(failed).toMatchObject({ side: "client", error: { alert: "decrypt_error" } });
  });
});

describe("§4.2.4: a HelloRetryRequest", () => {
  const asks: EnginesOptions = { server: { groups: ["SecP384r1MLKEM1024"] } };
  const second = (change: (extensions: ClientExtensions) => object): Edit => hello(change, 2);
  const changed = (change: (value: ClientHello) => ClientHello): Edit => {
    let seen = 0;
    return changing("client_hello", ClientHello, (value) => (++seen === 2 ? change(value) : value));
  };

  test("is sent once for a share, and never when the first share will do", () => {
    expect(engines(asks).flow.slice(0, 4)).toEqual([
      "client client_hello",
      "server server_hello",
      "client client_hello",
      "server server_hello",
    ]);
    expect(engines().flow.filter((name) => name.endsWith("_hello"))).toHaveLength(2);
  });

  test("is sent for a cookie alone where every client must show one", () => {
    const { flow, client } = engines({ server: { demandsCookie: true } });
    expect(flow.filter((name) => name.endsWith("_hello"))).toHaveLength(4);
    const { established } = client.find((effect) => effect.do === "connected") as {
      established: { retried: boolean; group: { name: string } };
    };
    expect(established).toMatchObject({ retried: true, group: { name: "X25519MLKEM768" } });
  });

  test("with a cookie comes before any look-up of a QKD key, so that an address that is not there costs none", () => {
    const asked: string[] = [];
    const { flow, failed } = engines({
      client: withQkd.client,
      server: { ...withQkd.server, demandsCookie: true },
      edit: (name, _, side) => void asked.push(`${side} ${name}`),
      onQuestion: ({ ask }) => void asked.push(ask),
    });
    expect(failed).toBeUndefined();
    expect(asked.slice(0, 5)).toEqual([
      "draw_qkd_key",
      "client client_hello",
      "server server_hello",
      "client client_hello",
      "redeem_qkd_key",
    ]);
    expect(flow.at(-1)).toBe("client finished");
  });

  test("is sent for ML-KEM although a classical share is there", () => {
    const pair = new Pair({
      client: { groups: ["x25519", "X25519MLKEM768"], dangerous: { allowClassical: true } },
      server: { dangerous: { allowClassical: true } },
    }).run();
    expect(pair.client.established).toMatchObject({ retried: true, group: { name: "X25519MLKEM768" } });
  });

  test("serves a client that sent no share at all", () => {
    const pair = new Pair({ client: { keyShares: 0 } }).run();
    expect(pair.client.established).toMatchObject({ retried: true, group: { name: "X25519MLKEM768" } });
  });

  const rules: readonly (readonly [string, string, Edit])[] = [
    [
      "§4.3.2: without its cookie is missing_extension",
      "missing_extension",
      second(() => ({ cookie: undefined })),
    ],
    [
      "§4.3.2: with another cookie is illegal_parameter",
      "illegal_parameter",
      second(() => ({ cookie: new Uint8Array(32) })),
    ],
    [
      "with another random is illegal_parameter",
      "illegal_parameter",
      changed((value) => ({ ...value, random: new Uint8Array(32) })),
    ],
    [
      "with another session id is illegal_parameter",
      "illegal_parameter",
      changed((value) => ({ ...value, legacy_session_id: new Uint8Array(32) })),
    ],
    [
      "with other suites is illegal_parameter",
      "illegal_parameter",
      changed((value) => ({ ...value, cipher_suites: [0x1302] })),
    ],
    [
      "with other groups is illegal_parameter",
      "illegal_parameter",
      second(() => ({ supported_groups: [0x11ed] })),
    ],
    [
      "with another server name is illegal_parameter",
      "illegal_parameter",
      second(() => ({ server_name: [{ name_type: 0, host_name: utf8("other.test") }] })),
    ],
    ["with early_data is illegal_parameter", "illegal_parameter", second(() => ({ early_data: true }))],
    ["with no share is illegal_parameter", "illegal_parameter", second(() => ({ key_share: [] }))],
    [
      "with a second share beside it is illegal_parameter",
      "illegal_parameter",
      second(({ key_share: shares = [] }) => ({
        key_share: [...shares, { group: 0x11ec, key_exchange: new Uint8Array(1216) }],
      })),
    ],
    [
      "with a share of another group is illegal_parameter",
      "illegal_parameter",
      second(() => ({ key_share: [{ group: 0x11ec, key_exchange: new Uint8Array(1216) }] })),
    ],
  ]; // prettier-ignore
  test.each(rules)("§4.2.2: a second ClientHello %s", (_, alert, edit) => {
    expect(refused(edit, asks)?.error).toMatchObject({ alert });
  });

  test.each([
    ["a raw PSK with the default suites", {}],
    ["an imported one", { importContext: utf8("context") }],
  ])("keeps %s usable: its hash chooses the suite", (_, more) => {
    const psks = [{ ...psk, ...more }];
    for (const authentication of ["psk", "certificate"] as const) {
      const pair = new Pair({
        client: { psks, authentication },
        server: { psks, groups: ["SecP384r1MLKEM1024"] },
      }).run();
      expect(pair.error("client") ?? pair.error("server")).toBeUndefined();
      expect(pair.client.established?.retried).toBe(true);
      expect(pair.server.established?.externalPsk).toBeDefined();
    }
  });

  test("keeps a PSK of the host's usable as well", () => {
    const pair = new Pair({
      client: { psks: [psk], authentication: "psk" },
      server: { credentials: [], asksForPsk: true, groups: ["SecP384r1MLKEM1024"] },
      wire: {
        onQuestion: (_, question) =>
          question.ask === "find_psk"
            ? { identity: question.identity.slice(), key: psk.key, hash: "sha256" }
            : undefined,
      },
    }).run();
    expect(pair.error("client") ?? pair.error("server")).toBeUndefined();
    expect(pair.server.established?.suite.hash).toBe("sha256");
  });
});

describe("whose order counts", () => {
  const client = { suites: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] } as const;
  test.each([
    [true, "TLS_AES_256_GCM_SHA384"],
    [false, "TLS_AES_128_GCM_SHA256"],
  ])("honorOwnOrder %s: %s", (honorOwnOrder, suite) => {
    expect(new Pair({ client, server: { honorOwnOrder } }).run().client.established?.suite.name).toBe(suite);
  });

  test("of protocols it is the server's; a server without any says nothing", () => {
    const chosen = (alpn: string[]) =>
      new Pair({ client: { alpn: ["a", "b"] }, server: { alpn } }).run().client.established;
    expect(chosen(["b", "a"])?.alpn).toBe("b");
    expect(chosen([])?.alpn).toBeUndefined();
  });
});

describe("§4.3.7: groups that a server ranks equal", () => {
  type Groups = NonNullable<ServerOptions["groups"]>;
  const chosen = (server: Groups, client: Groups, keyShares: number) => {
    const pair = new Pair({ client: { groups: client, keyShares }, server: { groups: server } }).run();
    const { group, retried } = pair.server.established!;
    return { group: group?.name, retried };
  };
  const [one, two, three] = ["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"] as const;

  test("go by the client's order, and the others by the server's", () => {
    expect(chosen([[one, two], three], [two, one], 2)).toEqual({ group: two, retried: false });
    expect(chosen([[two, one], three], [one, two], 2)).toEqual({ group: one, retried: false });
    expect(chosen([one, two, three], [two, one], 2)).toEqual({ group: one, retried: false });
    expect(chosen([three, [one, two]], [two, one, three], 3)).toEqual({ group: three, retried: false });
    expect(chosen([[one], [two]], [two, one], 2)).toEqual({ group: one, retried: false });
  });

  test("also in the HelloRetryRequest where no share is there", () => {
    expect(chosen([[one, two]], [two, one], 0)).toEqual({ group: two, retried: true });
  });

  test("are to a client groups as any others", () => {
    expect(chosen([two, one], [[one, two]], 1)).toEqual({ group: one, retried: false });
  });
});

describe("RFC 10024: a client's share that fails its check is illegal_parameter", () => {
  const kem = 1184;
  const shares: readonly (readonly [string, number, (share: Uint8Array) => Uint8Array])[] = [
    ["X25519MLKEM768: a byte short", 0x11ec, (share) => share.slice(1)],
    ["X25519MLKEM768: a byte long", 0x11ec, (share) => concat([share, Uint8Array.of(0)])],
    ["X25519MLKEM768: all-zero X25519", 0x11ec, (share) => share.fill(0, kem)],
    [
      "X25519MLKEM768: an encapsulation key with coefficients from q up",
      0x11ec,
      (share) => share.fill(0xff, 0, 384),
    ],
    ["SecP256r1MLKEM768: a point that is not on the curve", 0x11eb, (share) => share.fill(7, 1, 65)],
    ["SecP256r1MLKEM768: a compressed point", 0x11eb, (share) => ((share[0] = 2), share)],
    [
      "SecP256r1MLKEM768: an encapsulation key out of range",
      0x11eb,
      (share) => share.fill(0xff, 65, 65 + 384),
    ],
    ["SecP384r1MLKEM1024: a point that is not on the curve", 0x11ed, (share) => share.fill(7, 1, 97)],
    [
      "SecP384r1MLKEM1024: an encapsulation key out of range",
      0x11ed,
      (share) => share.fill(0xff, 97, 97 + 384),
    ],
    ["MLKEM768: a byte short", 0x0201, (share) => share.slice(1)],
    ["MLKEM1024: an encapsulation key out of range", 0x0202, (share) => share.fill(0xff, 0, 384)],
    ["x25519: all zero", 0x001d, (share) => share.fill(0)],
    ["secp256r1: the point at infinity's encoding", 0x0017, () => Uint8Array.of(0)],
    ["secp384r1: not on the curve", 0x0018, (share) => share.fill(9, 1)],
    ["secp521r1: not on the curve", 0x0019, (share) => share.fill(1, 1)],
    ["secp521r1: a compressed point", 0x0019, (share) => compressed(share)],
    ["secp521r1: a byte long", 0x0019, (share) => concat([share, Uint8Array.of(0)])],
  ]; // prettier-ignore
  const NAMES = {
    0x11ec: "X25519MLKEM768",
    0x11eb: "SecP256r1MLKEM768",
    0x11ed: "SecP384r1MLKEM1024",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x001d: "x25519",
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
  } as const; // prettier-ignore
  test.each(shares)("%s", (_, code, bend) => {
    const only = {
      groups: [NAMES[code as keyof typeof NAMES]],
      policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
      dangerous: { allowClassical: true },
      provider,
    } as const;
    const edit = hello(({ key_share: [share] = [] }) => ({
      key_share: [{ group: share!.group, key_exchange: bend(share!.key_exchange.slice()) }],
    }));
    expect(refused(edit, { client: only, server: only })?.error).toMatchObject({
      alert: "illegal_parameter",
    });
  });
});
