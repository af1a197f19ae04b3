import { describe, expect, test } from "vitest";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { reservedValue } from "../../src/handshake/grease.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { ExtensionType } from "../../src/protocol/iana.ts";
import { decode } from "../../src/wire/codec.ts";
import {
  Certificate,
  CertificateRequest,
  CertificateVerify,
  EncryptedExtensions,
  NewSessionTicket,
} from "../../src/wire/handshake.ts";
import { ClientHello, HelloRetryRequest, ServerHello } from "../../src/wire/hello.ts";
import { extension, filled } from "../support/codec-rules.ts";
import { credentials, provider } from "../support/credentials.ts";
import { changing, engines, type Edit, type EnginesOptions } from "../support/engines.ts";
import { Pair } from "../support/pair.ts";

/** RFC 8701 §2. */
const VALUES = Array.from({ length: 16 }, (_, nth) => 0x0a0a + nth * 0x1010);
const MODES = [0x0b, 0x2a, 0x49, 0x68, 0x87, 0xa6, 0xc5, 0xe4];
const PROTOCOLS = VALUES.map((value) => [value >> 8, value & 0xff].join());

const client = { grease: true, alpn: ["h2", "x"] };

/** Every ClientHello of a handshake, in bytes. */
function hellosOf(options: EnginesOptions): Uint8Array[] {
  const hellos: Uint8Array[] = [];
  const { failed } = engines({
    ...options,
    edit: (name, body) => void (name === "client_hello" && hellos.push(body)),
  });
  expect(failed).toBeUndefined();
  return hellos;
}
const helloOf = (options: EnginesOptions): ClientHello => decode(ClientHello, hellosOf(options)[0]!);
const server = { alpn: ["x"] };

describe("RFC 8701 §3.1: what a client sends", () => {
  const { extensions, cipher_suites } = helloOf({ client, server });

  test("a reserved value heads cipher_suites, groups, versions and signature schemes, before those in earnest", () => {
    const plain = helloOf({ client: { ...client, grease: false }, server });
    const lists = [
      [cipher_suites, plain.cipher_suites],
      [extensions.supported_groups, plain.extensions.supported_groups],
      [extensions.supported_versions, plain.extensions.supported_versions],
      [extensions.signature_algorithms, plain.extensions.signature_algorithms],
    ];
    for (const [greased, without] of lists) {
      expect(VALUES).toContain(greased?.[0]);
      expect(greased?.slice(1)).toEqual(without);
    }
  });

  test("a key share for the reserved group, not empty, and in the place of that group (RFC 9846 §4.3.8)", () => {
    const [reserved, real] = extensions.key_share!;
    expect(reserved).toEqual({ group: extensions.supported_groups?.[0], key_exchange: filled(1, 0) });
    expect(real?.group).toBe(extensions.supported_groups?.[1]);
  });

  test("a reserved mode of exchange and a reserved protocol, where either is offered at all", () => {
    expect(MODES).toContain(extensions.psk_key_exchange_modes?.[0]);
    expect(extensions.psk_key_exchange_modes?.slice(1)).toEqual([1]);
    const [reserved, ...named] = extensions.application_layer_protocol_negotiation!;
    expect(PROTOCOLS).toContain(reserved?.join());
    expect(named).toHaveLength(2);
    const bare = helloOf({ client: { grease: true, resumption: false } }).extensions;
    expect(bare.psk_key_exchange_modes).toBeUndefined();
    expect(bare.application_layer_protocol_negotiation).toBeUndefined();
  });

  test("two reserved extensions of different types: an empty one first, one of a byte last", () => {
    for (let n = 0; n < 40; n++) {
      const [hello] = hellosOf({ client });
      const { present = [] } = decode(ClientHello, hello!).extensions;
      const [first, last] = [present[0]!, present.at(-1)!];
      expect(VALUES).toContain(first);
      expect(VALUES).toContain(last);
      expect(first).not.toBe(last);
      const text = Buffer.from(hello!);
      expect(text.includes(Buffer.from(extension(first)))).toBe(true);
      expect(text.subarray(-5)).toEqual(Buffer.from(extension(last, filled(1, 0))));
    }
  });

  test("pre_shared_key stays last behind them (RFC 9846 §4.3.11)", () => {
    const psks = [{ identity: "one", key: filled(32, 7) }];
    const { present } = helloOf({ client: { grease: true, psks }, server: { psks } }).extensions;
    expect(VALUES).toContain(present?.at(-2));
    expect(present?.at(-1)).toBe(ExtensionType.pre_shared_key);
  });

  test("§5: which values is random, and nothing is sent unless it is asked for", () => {
    const seen = new Set(Array.from({ length: 64 }, () => helloOf({ client }).cipher_suites[0]));
    expect(seen.size).toBeGreaterThan(4);
    const { present = [] } = helloOf({}).extensions;
    expect(present.some((type) => VALUES.includes(type))).toBe(false);
  });

  test("the second ClientHello has the same ones, but for the share that was asked for (RFC 9846 §4.2.2)", () => {
    const [first, second] = hellosOf({ client, server: { ...server, groups: ["SecP384r1MLKEM1024"] } }).map(
      (body) => decode(ClientHello, body),
    );
    const { key_share: one, present: types, ...before } = first!.extensions;
    const { key_share: other, present: typesThen, cookie, ...then } = second!.extensions;
    expect(then).toEqual({ ...before, cookie: undefined, key_share: undefined, present: undefined });
    expect(second!.cipher_suites).toEqual(first!.cipher_suites);
    expect(typesThen?.filter((type) => type !== ExtensionType.cookie)).toEqual(types);
    expect(one).toHaveLength(2);
    expect(other?.map(({ group }) => group)).toEqual([0x11ed]);
    expect(cookie).toBeDefined();
  });

  test("a HelloRetryRequest that only brings a cookie leaves the reserved share in place", () => {
    const [first, second] = hellosOf({ client, server: { ...server, demandsCookie: true } }).map((body) =>
      decode(ClientHello, body),
    );
    expect(second!.extensions.key_share).toEqual(first!.extensions.key_share);
  });
});

describe("RFC 8701 §3.1: a reserved value that the server takes up is refused as anything that was not offered", () => {
  const value = reservedValue({ random: (length) => filled(length, 9) });
  const hello = (change: (value: ServerHello) => ServerHello): Edit =>
    changing("server_hello", ServerHello, change);
  const illegal = "illegal_parameter";
  const unnamed = [{ type: value, body: filled(0) }];

  test.each<[string, string, Edit, EnginesOptions["server"]?]>([
    [
      "the version",
      illegal,
      hello((v) => ({ ...v, extensions: { ...v.extensions, supported_versions: value } })),
    ],
    ["the cipher suite", illegal, hello((v) => ({ ...v, cipher_suite: value }))],
    [
      "the group",
      illegal,
      hello((v) => ({
        ...v,
        extensions: { ...v.extensions, key_share: { group: value, key_exchange: filled(1) } },
      })),
    ],
    [
      "an extension in ServerHello",
      "unsupported_extension",
      hello((v) => ({ ...v, extensions: { ...v.extensions, unnamed } })),
    ],
    [
      "the group, in HelloRetryRequest",
      illegal,
      changing("server_hello", HelloRetryRequest, (v) => ({
        ...v,
        extensions: { ...v.extensions, key_share: value },
      })),
      { groups: ["SecP384r1MLKEM1024"] },
    ],
    [
      "an extension in HelloRetryRequest",
      "unsupported_extension",
      changing("server_hello", HelloRetryRequest, (v) => ({
        ...v,
        extensions: { ...v.extensions, unnamed },
      })),
      { groups: ["SecP384r1MLKEM1024"] },
    ],
    [
      "an extension in EncryptedExtensions",
      "unsupported_extension",
      changing("encrypted_extensions", EncryptedExtensions, (v) => ({
        extensions: { ...v.extensions, unnamed },
      })),
    ],
    [
      "the protocol",
      illegal,
      changing("encrypted_extensions", EncryptedExtensions, (v) => ({
        extensions: {
          ...v.extensions,
          application_layer_protocol_negotiation: [Uint8Array.of(value >> 8, value & 0xff)],
        },
      })),
    ],
    [
      "an extension beside a certificate",
      "unsupported_extension",
      changing("certificate", Certificate, (v) => ({
        ...v,
        certificate_list: v.certificate_list.map((entry) => ({ ...entry, extensions: { unnamed } })),
      })),
    ],
    [
      "the algorithm of CertificateVerify",
      illegal,
      changing("certificate_verify", CertificateVerify, (v) => ({ ...v, algorithm: value })),
    ],
  ])("%s: %s", (_, alert, edit, more = {}) => {
    const { failed } = engines({ client, server: { ...server, ...more }, edit });
    expect(failed).toMatchObject({ side: "client", error: { alert } });
    expect(failed?.error).toBeInstanceOf(ProtocolError);
  });
});

describe("RFC 8701 §4.1: what a server sends", () => {
  test("CertificateRequest has a reserved scheme before the others, and a reserved extension", () => {
    const requests: CertificateRequest[] = [];
    for (const grease of [true, false]) {
      const { failed } = engines({
        client: { credentials: [credentials().identity] },
        server: { clientAuth: "require", grease },
        edit: (name, body) =>
          void (name === "certificate_request" && requests.push(decode(CertificateRequest, body))),
      });
      expect(failed).toBeUndefined();
    }
    const [greased, plain] = requests.map(({ extensions }) => extensions);
    expect(VALUES).toContain(greased?.signature_algorithms?.[0]);
    expect(greased?.signature_algorithms?.slice(1)).toEqual(plain?.signature_algorithms);
    expect(greased?.present?.filter((type) => VALUES.includes(type))).toHaveLength(1);
    expect(plain?.present?.some((type) => VALUES.includes(type))).toBe(false);
  });

  test("NewSessionTicket has a reserved extension", () => {
    const given: (readonly number[] | undefined)[] = [];
    const sealer = new TicketKeys({ provider, now: Date.now });
    for (const grease of [true, false]) {
      const { failed } = engines({
        server: { grease, tickets: { count: 1, sealer } },
        edit: (name, body) =>
          void (
            name === "new_session_ticket" && given.push(decode(NewSessionTicket, body).extensions.present)
          ),
      });
      expect(failed).toBeUndefined();
    }
    expect(given).toEqual([[expect.toBeOneOf(VALUES)], []]);
  });
});

test("both ends with reserved values agree as ever, with a retry and a resumption too", () => {
  const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
  const server = { grease: true, tickets };
  const retried = new Pair({ client, server: { ...server, groups: ["SecP384r1MLKEM1024"] } }).run();
  expect(retried.client.established).toMatchObject({ retried: true, resumed: false });
  const resumed = new Pair({ client: { ...client, session: retried.session! }, server }).run();
  expect(resumed.server.established).toMatchObject({ retried: false, resumed: true });
});
