import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, utf8 } from "../../src/protocol/bytes.ts";
import { ExtensionType } from "../../src/protocol/iana.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import {
  bindersBytes,
  ClientHello,
  decodeOlderServerHello,
  decodeServerHello,
  HELLO_RETRY_RANDOM,
  HelloRetryRequest,
  OfferedPsks,
  ServerHello,
  warnsOfDowngrade,
} from "../../src/wire/hello.ts";
import { provider } from "../support/credentials.ts";
import {
  code16,
  decodeError,
  extension,
  field,
  filled,
  holdsCodecRules,
  number,
  refusal,
  someBytes,
  someCodes,
  withoutPresent,
  type Bounded,
} from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const yes = fc.constant(true as const);
const someOpaque = fc.array(someBytes(1, 12), { minLength: 1, maxLength: 4 });
const keyShare = fc.record({ group: code16, key_exchange: someBytes(1, 40) });

const offeredPsks = fc.record({
  identities: fc.array(
    fc.record({ identity: someBytes(1, 40), obfuscated_ticket_age: fc.integer({ min: 0, max: 0xffffffff }) }),
    { minLength: 1, maxLength: 3 },
  ),
  binders: fc.array(someBytes(32, 60), { minLength: 1, maxLength: 3 }),
});

const clientHellos = fc.record({
  legacy_version: code16,
  random: someBytes(32, 32),
  legacy_session_id: someBytes(0, 32),
  cipher_suites: someCodes(),
  legacy_compression_methods: someBytes(1, 3),
  extensions: fc.record(
    {
      status_request: fc.record({
        status_type: fc.nat(255),
        responder_id_list: fc.array(someBytes(1, 4), { maxLength: 2 }),
        request_extensions: someBytes(0, 4),
      }),
      server_name: fc.array(fc.record({ name_type: fc.nat(255), host_name: someBytes(1, 20) }), {
        minLength: 1,
        maxLength: 2,
      }),
      supported_groups: someCodes(),
      signature_algorithms: someCodes(),
      application_layer_protocol_negotiation: someOpaque,
      client_certificate_type: fc.array(fc.nat(255), { minLength: 1, maxLength: 3 }),
      server_certificate_type: fc.array(fc.nat(255), { minLength: 1, maxLength: 3 }),
      compress_certificate: someCodes(),
      signed_certificate_timestamp: yes,
      delegated_credential: someCodes(),
      record_size_limit: code16,
      tls_cert_with_extern_psk: yes,
      early_data: yes,
      supported_versions: someCodes(),
      cookie: someBytes(1, 40),
      psk_key_exchange_modes: fc.array(fc.nat(255), { minLength: 1, maxLength: 3 }),
      certificate_authorities: someOpaque,
      signature_algorithms_cert: someCodes(),
      key_share: fc.array(keyShare, { maxLength: 3 }),
      pre_shared_key: offeredPsks,
    },
    { requiredKeys: [] },
  ),
});

const plainHello: ClientHello = {
  legacy_version: 0x0303,
  random: filled(32),
  legacy_session_id: filled(0),
  cipher_suites: [0x1302],
  legacy_compression_methods: filled(1, 0),
  extensions: {},
};
const suites = (count: number): number[] => Array.from({ length: count }, () => 0x5a5a);

/** A ClientHello written by hand, field by field. */
const helloBytes = ({
  sessionId = field(1),
  cipherSuites = field(2, number(2, 0x1302)),
  compression = field(1, number(1, 0)),
  extensions = field(2),
} = {}): Uint8Array =>
  concat([number(2, 0x0303), filled(32), sessionId, cipherSuites, compression, extensions]);

const withExtension = (type: number, ...body: Uint8Array[]): Uint8Array =>
  helloBytes({ extensions: field(2, extension(type, ...body)) });

/** A field of an extension of ClientHello. */
const inExtension = (
  name: keyof typeof ExtensionType & keyof ClientHello["extensions"],
  prefix: 1 | 2,
  bounds: Pick<Bounded<ClientHello>, "min" | "max" | "step">,
  sized: (bytes: number) => unknown,
): Bounded<ClientHello> => ({
  field: name,
  ...bounds,
  sized: (n) => ({ ...plainHello, extensions: { [name]: sized(n) } }),
  wire: (n) => withExtension(ExtensionType[name], field(prefix, filled(n))),
});
const codes = (n: number) => suites(n / 2);
const octets = (n: number) => [...filled(n)];

holdsCodecRules("RFC 9846 §4.2.2: ClientHello", {
  codec: ClientHello,
  values: clientHellos,
  // A client older than extensions ends before them.
  validAt: (encoded, { extensions }) => [
    encoded.length - encode(ClientHello, { ...plainHello, extensions }).length + helloBytes().length - 2,
  ],
  bounds: [
    {
      field: "legacy_session_id",
      min: 0,
      max: 32,
      sized: (n) => ({ ...plainHello, legacy_session_id: filled(n) }),
      wire: (n) => helloBytes({ sessionId: field(1, filled(n)) }),
    },
    {
      field: "cipher_suites",
      min: 2,
      max: 0xfffe,
      step: 2,
      sized: (n) => ({ ...plainHello, cipher_suites: codes(n) }),
      wire: (n) => helloBytes({ cipherSuites: field(2, filled(n)) }),
    },
    {
      field: "legacy_compression_methods",
      min: 1,
      max: 255,
      sized: (n) => ({ ...plainHello, legacy_compression_methods: filled(n) }),
      wire: (n) => helloBytes({ compression: field(1, filled(n)) }),
    },
    inExtension("supported_versions", 1, { min: 2, max: 254, step: 2 }, codes),
    inExtension("psk_key_exchange_modes", 1, { min: 1, max: 255 }, octets),
    inExtension("client_certificate_type", 1, { min: 1, max: 255 }, octets),
    inExtension("server_certificate_type", 1, { min: 1, max: 255 }, octets),
    inExtension("supported_groups", 2, { min: 2, step: 2 }, codes),
    inExtension("signature_algorithms", 2, { min: 2, step: 2 }, codes),
    inExtension("signature_algorithms_cert", 2, { min: 2, step: 2 }, codes),
    inExtension("cookie", 2, { min: 1 }, filled),
    {
      field: "a name of application_layer_protocol_negotiation",
      min: 1,
      max: 255,
      sized: (n) => ({ ...plainHello, extensions: { application_layer_protocol_negotiation: [filled(n)] } }),
      wire: (n) =>
        withExtension(ExtensionType.application_layer_protocol_negotiation, field(2, field(1, filled(n)))),
    },
    {
      field: "host_name",
      min: 1,
      sized: (n) => ({
        ...plainHello,
        extensions: { server_name: [{ name_type: 0, host_name: filled(n) }] },
      }),
      wire: (n) => withExtension(ExtensionType.server_name, field(2, number(1, 0), field(2, filled(n)))),
    },
    {
      field: "a name of certificate_authorities",
      min: 1,
      sized: (n) => ({ ...plainHello, extensions: { certificate_authorities: [filled(n)] } }),
      wire: (n) => withExtension(ExtensionType.certificate_authorities, field(2, field(2, filled(n)))),
    },
    {
      field: "key_exchange",
      min: 1,
      sized: (n) => ({ ...plainHello, extensions: { key_share: [{ group: 29, key_exchange: filled(n) }] } }),
      wire: (n) => withExtension(ExtensionType.key_share, field(2, number(2, 29), field(2, filled(n)))),
    },
  ],
});

const onePsk = { identities: [{ identity: filled(1), obfuscated_ticket_age: 0 }], binders: [filled(32)] };
const identityBytes = (n: number) => concat([field(2, filled(n)), number(4, 0)]);
holdsCodecRules("RFC 9846 §4.3.11: OfferedPsks", {
  codec: OfferedPsks,
  values: offeredPsks,
  bounds: [
    {
      field: "identity",
      min: 1,
      max: 0xffff - 6,
      sized: (n) => ({ ...onePsk, identities: [{ identity: filled(n), obfuscated_ticket_age: 0 }] }),
      wire: (n) => concat([field(2, identityBytes(n)), field(2, field(1, filled(32)))]),
    },
    {
      field: "a binder",
      min: 32,
      max: 255,
      sized: (n) => ({ ...onePsk, binders: [filled(32), filled(n)] }),
      wire: (n) => concat([field(2, identityBytes(1)), field(2, field(1, filled(32)), field(1, filled(n)))]),
    },
  ],
});

const serverHellos = fc.record({
  legacy_version: code16,
  random: someBytes(32, 32),
  legacy_session_id_echo: someBytes(0, 32),
  cipher_suite: code16,
  legacy_compression_method: fc.nat(255),
  extensions: fc.record(
    {
      tls_cert_with_extern_psk: yes,
      supported_versions: code16,
      key_share: keyShare,
      pre_shared_key: code16,
    },
    { requiredKeys: [] },
  ),
});
const plainServerHello = {
  legacy_version: 0x0303,
  random: filled(32),
  legacy_session_id_echo: filled(0),
  cipher_suite: 0x1302,
  legacy_compression_method: 0,
  extensions: {},
};
const serverHelloBytes = (sessionId: Uint8Array, extensions = field(2)) =>
  concat([number(2, 0x0303), filled(32), sessionId, number(2, 0x1302), number(1, 0), extensions]);
const echoBounds = {
  field: "legacy_session_id_echo",
  min: 0,
  max: 32,
  sized: (n: number) => ({ ...plainServerHello, legacy_session_id_echo: filled(n) }),
  wire: (n: number) => serverHelloBytes(field(1, filled(n))),
};

holdsCodecRules("RFC 9846 §4.2.3: ServerHello", {
  codec: ServerHello,
  values: serverHellos,
  bounds: [
    echoBounds,
    {
      field: "key_exchange",
      min: 1,
      sized: (n) => ({
        ...plainServerHello,
        extensions: { key_share: { group: 29, key_exchange: filled(n) } },
      }),
      wire: (n) =>
        serverHelloBytes(
          field(1),
          field(2, extension(ExtensionType.key_share, number(2, 29), field(2, filled(n)))),
        ),
    },
  ],
});

holdsCodecRules("RFC 9846 §4.2.4: HelloRetryRequest", {
  codec: HelloRetryRequest,
  values: fc.record({
    legacy_version: code16,
    random: fc.constant(HELLO_RETRY_RANDOM),
    legacy_session_id_echo: someBytes(0, 32),
    cipher_suite: code16,
    legacy_compression_method: fc.nat(255),
    extensions: fc.record(
      { supported_versions: code16, cookie: someBytes(1, 40), key_share: code16 },
      { requiredKeys: [] },
    ),
  }),
  bounds: [
    echoBounds,
    {
      field: "cookie",
      min: 1,
      sized: (n) => ({ ...plainServerHello, extensions: { cookie: filled(n) } }),
      wire: (n) => serverHelloBytes(field(1), field(2, extension(ExtensionType.cookie, field(2, filled(n))))),
    },
  ],
});

describe("ClientHello", () => {
  test("random has 32 bytes and no other number", () => {
    for (const length of [0, 31, 33]) {
      expect(() => encode(ClientHello, { ...plainHello, random: filled(length) })).toThrow(RangeError);
    }
  });

  test("without an extension block it is read as one without extensions", () => {
    const old = helloBytes({ extensions: filled(0) });
    expect(withoutPresent(decode(ClientHello, old))).toEqual(plainHello);
  });

  test.each([
    ["server_name", 2],
    ["supported_groups", 2],
    ["signature_algorithms", 2],
    ["signature_algorithms_cert", 2],
    ["application_layer_protocol_negotiation", 2],
    ["certificate_authorities", 2],
    ["client_certificate_type", 1],
    ["server_certificate_type", 1],
    ["supported_versions", 1],
    ["psk_key_exchange_modes", 1],
  ] as const)("an empty list of %s is a decode_error, and is not written", (name, prefix) => {
    expect(refusal(ClientHello, withExtension(ExtensionType[name], field(prefix)))).toMatchObject(
      decodeError,
    );
    expect(() => encode(ClientHello, { ...plainHello, extensions: { [name]: [] } })).toThrow(RangeError);
  });

  test("§4.3.8: a list of key shares may be empty, to ask for a HelloRetryRequest", () => {
    const decoded = decode(ClientHello, withExtension(ExtensionType.key_share, field(2)));
    expect(decoded.extensions.key_share).toEqual([]);
  });

  test("§4.3.11: empty lists of identities or binders are a decode_error", () => {
    const type = ExtensionType.pre_shared_key;
    const binders = field(2, field(1, filled(32)));
    expect(refusal(ClientHello, withExtension(type, field(2, identityBytes(1)), binders))).toBeUndefined();
    expect(refusal(ClientHello, withExtension(type, field(2), binders))).toMatchObject(decodeError);
    expect(refusal(ClientHello, withExtension(type, field(2, identityBytes(1)), field(2)))).toMatchObject(
      decodeError,
    );
  });

  test("§4.3.11.2: bindersBytes is what stands behind the identities, and last in the message", () => {
    fc.assert(
      fc.property(clientHellos, offeredPsks, (hello, psks) => {
        const extensions = { ...hello.extensions, pre_shared_key: psks };
        const encoded = encode(ClientHello, { ...hello, extensions });
        const binders = field(2, ...psks.binders.map((binder) => field(1, binder)));
        expect(bindersBytes(psks)).toBe(binders.length);
        expect(encoded.subarray(-binders.length)).toEqual(binders);
      }),
      fuzz(40),
    );
  });
});

describe("the two messages of type server_hello", () => {
  test("§4.2.3: the random of HelloRetryRequest is SHA-256 of its name", () => {
    expect(HELLO_RETRY_RANDOM).toEqual(provider.hash("sha256").digest(utf8("HelloRetryRequest")));
    expect(HELLO_RETRY_RANDOM).toEqual(
      fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"),
    );
  });

  test("the random tells them apart", () => {
    fc.assert(
      fc.property(serverHellos, (hello) => {
        const decoded = decodeServerHello(encode(ServerHello, hello));
        expect(decoded.retry).toBe(false);
        expect(withoutPresent(decoded.hello)).toEqual(hello);
      }),
      fuzz(40),
    );
    const retry = {
      ...plainServerHello,
      random: HELLO_RETRY_RANDOM,
      extensions: { supported_versions: 0x0304, key_share: 0x11ec },
    };
    const decoded = decodeServerHello(encode(HelloRetryRequest, retry));
    expect(decoded.retry).toBe(true);
    expect(withoutPresent(decoded.hello)).toEqual(retry);
  });

  test("a share where HelloRetryRequest names a group is a decode_error, and the other way about", () => {
    const share = { group: 29, key_exchange: filled(32) };
    const asHello = encode(ServerHello, {
      ...plainServerHello,
      random: HELLO_RETRY_RANDOM,
      extensions: { key_share: share },
    });
    expect(() => decodeServerHello(asHello)).toThrow(expect.objectContaining(decodeError));
    const asRetry = encode(HelloRetryRequest, { ...plainServerHello, extensions: { key_share: 29 } });
    expect(() => decodeServerHello(asRetry)).toThrow(expect.objectContaining(decodeError));
  });

  test("every truncation of either is a decode_error", () => {
    for (const random of [filled(32), HELLO_RETRY_RANDOM]) {
      const encoded = encode(ServerHello, {
        ...plainServerHello,
        random,
        extensions: { supported_versions: 0x0304 },
      });
      for (let length = 0; length < encoded.length; length++) {
        expect(() => decodeServerHello(encoded.subarray(0, length))).toThrow(
          expect.objectContaining(decodeError),
        );
      }
    }
  });
});

describe("a ServerHello of an older version", () => {
  const older = (...extensions: readonly Uint8Array[]): Uint8Array =>
    concat([
      number(2, 0x0303),
      filled(32),
      field(1, filled(4)),
      number(2, 0xc02f),
      number(1, 0),
      ...extensions,
    ]);
  const block = (...each: readonly Uint8Array[]): Uint8Array => field(2, concat(each));

  test("§4.3.1: is any without supported_versions, whatever else it has", () => {
    for (const message of [older(), older(block()), older(block(extension(51), extension(51)))]) {
      expect(decodeOlderServerHello(message)).toMatchObject({ legacy_version: 0x0303, cipher_suite: 0xc02f });
    }
    const newer = older(block(extension(16), extension(43, number(2, 0x0304))));
    expect(decodeOlderServerHello(newer)).toBeUndefined();
  });

  test("every truncation is a decode_error, but for the one without extensions", () => {
    const encoded = older(block(extension(16, filled(5)), extension(11, filled(2))));
    const bare = older().length;
    for (let length = 0; length < encoded.length; length++) {
      if (length === bare) continue;
      expect(() => decodeOlderServerHello(encoded.subarray(0, length)), `cut to ${length}`).toThrow(
        expect.objectContaining(decodeError),
      );
    }
  });

  test("§4.2.3: warns of a downgrade by the last eight bytes of its random, and by no others", () => {
    const ending = fromHex("444f574e475244")!;
    for (const last of [0, 1]) {
      expect(warnsOfDowngrade(concat([filled(24), ending, Uint8Array.of(last)]))).toBe(true);
      expect(warnsOfDowngrade(concat([ending, Uint8Array.of(last), filled(24)]))).toBe(false);
    }
    expect(warnsOfDowngrade(concat([filled(24), ending, Uint8Array.of(2)]))).toBe(false);
    expect(warnsOfDowngrade(HELLO_RETRY_RANDOM)).toBe(false);
  });
});
