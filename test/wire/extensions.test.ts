import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/protocol/bytes.ts";
import { ExtensionType, type ExtensionName } from "../../src/protocol/iana.ts";
import { decode, empty, encode, opaque, u16, vector, type Codec } from "../../src/wire/codec.ts";
import { extensions } from "../../src/wire/extensions.ts";
import {
  Certificate,
  CertificateRequest,
  EncryptedExtensions,
  NewSessionTicket,
} from "../../src/wire/handshake.ts";
import { ClientHello, HelloRetryRequest, ServerHello } from "../../src/wire/hello.ts";
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
} from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const illegal = { name: "ProtocolError", code: "ERR_TLS_ILLEGAL_PARAMETER", alert: "illegal_parameter" };

const bodies = {
  supported_groups: vector(2, u16, 2),
  cookie: opaque(2, 1),
  early_data: empty,
  pre_shared_key: u16,
};
const block = extensions(bodies, { last: "pre_shared_key" });
const values = fc.record(
  {
    pre_shared_key: code16,
    supported_groups: someCodes(),
    cookie: someBytes(1, 40),
    early_data: fc.constant(true as const),
  },
  { requiredKeys: [] },
);

holdsCodecRules("RFC 9846 §4.3: a block of extensions", { codec: block, values });

/** Types that no registry line of ours holds, GREASE among them. RFC 8701. */
const unknownType = fc.oneof(
  fc.constantFrom(0x0a0a, 0x1a1a, 0xfafa),
  code16.filter((code) => !Object.values<number>(ExtensionType).includes(code)),
);

describe("the rules of a block", () => {
  test("an extension twice is illegal_parameter, whether known or not", () => {
    for (const type of [ExtensionType.cookie, 0x0a0a]) {
      const body = type === ExtensionType.cookie ? field(2, filled(1)) : filled(1);
      const one = extension(type, body);
      expect(refusal(block, field(2, one))).toBeUndefined();
      expect(refusal(block, field(2, one, one))).toMatchObject(illegal);
      const between = extension(ExtensionType.early_data);
      expect(refusal(block, field(2, one, between, one))).toMatchObject(illegal);
    }
  });

  test("unknown extensions are skipped and reported, wherever they stand", () => {
    fc.assert(
      fc.property(
        values,
        fc.uniqueArray(fc.tuple(unknownType, someBytes(0, 20), fc.nat()), {
          selector: ([type]) => type,
          maxLength: 4,
        }),
        (value, unknown) => {
          const { pre_shared_key: psk, ...others } = value;
          const known = Object.entries(others).map(([name, body]) => ({
            type: ExtensionType[name as ExtensionName] as number,
            bytes: encode(block, { [name]: body }).subarray(2),
          }));
          for (const [type, body, place] of unknown) {
            known.splice(place % (known.length + 1), 0, { type, bytes: extension(type, body) });
          }
          if (psk !== undefined) {
            const type = ExtensionType.pre_shared_key;
            known.push({ type, bytes: extension(type, number(2, psk)) });
          }
          const decoded = decode(block, field(2, ...known.map(({ bytes }) => bytes)));
          expect(decoded).toEqual({ ...value, present: known.map(({ type }) => type) });
        },
      ),
      fuzz(100),
    );
  });

  test("extensions are written in the order of their declaration", () => {
    const psk = extension(ExtensionType.pre_shared_key, number(2, 7));
    const cookie = extension(ExtensionType.cookie, field(2, filled(1)));
    expect(encode(block, { pre_shared_key: 7, cookie: filled(1) })).toEqual(field(2, cookie, psk));
  });

  describe("a value may say what is written and where", () => {
    const psk = extension(ExtensionType.pre_shared_key, number(2, 7));
    const cookie = extension(ExtensionType.cookie, field(2, filled(1)));
    const early = extension(ExtensionType.early_data);
    const reserved = extension(0x3a3a, filled(2));
    const value = { pre_shared_key: 7, cookie: filled(1), early_data: true } as const;
    const unnamed = [{ type: 0x3a3a, body: filled(2) }];
    const { cookie: cookieType, early_data: earlyType, pre_shared_key: pskType } = ExtensionType;

    test("extensions without a name go before the others", () => {
      expect(encode(block, { ...value, unnamed })).toEqual(field(2, reserved, cookie, early, psk));
      expect(() => encode(block, { unnamed: [{ type: 0x3a3a, body: filled(0xfffd) }] })).toThrow(RangeError);
    });

    test("an order of types is kept, those that it leaves out follow, and what is to be last stays last", () => {
      const order = [pskType, earlyType, 0x3a3a, cookieType];
      expect(encode(block, { ...value, unnamed, order })).toEqual(field(2, early, reserved, cookie, psk));
      expect(encode(block, { ...value, order: [earlyType] })).toEqual(field(2, early, cookie, psk));
      expect(encode(extensions(bodies), { ...value, order })).toEqual(field(2, psk, early, cookie));
    });

    test("what it lists and the value lacks is not written", () => {
      expect(encode(block, { early_data: true, order: [0x3a3a, cookieType, earlyType] })).toEqual(
        field(2, early),
      );
    });
  });

  test("nothing comes behind the extension that is to be last; without such a rule any order is right", () => {
    const psk = extension(ExtensionType.pre_shared_key, number(2, 7));
    const cookie = extension(ExtensionType.cookie, field(2, filled(1)));
    expect(refusal(block, field(2, cookie, psk))).toBeUndefined();
    expect(refusal(block, field(2, cookie))).toBeUndefined();
    for (const after of [cookie, extension(0x0a0a)]) {
      expect(refusal(block, field(2, psk, after))).toMatchObject(illegal);
      expect(refusal(extensions(bodies), field(2, psk, after))).toBeUndefined();
    }
  });

  test("a body that is too short, too long or leaves bytes over is a decode_error", () => {
    const type = ExtensionType.supported_groups;
    const whole = field(2, number(2, 0x11ec));
    expect(refusal(block, field(2, extension(type, whole)))).toBeUndefined();
    expect(refusal(block, field(2, extension(type, whole.subarray(0, 3))))).toMatchObject(decodeError);
    expect(refusal(block, field(2, extension(type, whole, filled(1))))).toMatchObject(decodeError);
    expect(refusal(block, field(2, extension(ExtensionType.early_data, filled(1))))).toMatchObject(
      decodeError,
    );
    expect(refusal(block, field(2, number(2, type), number(2, 9), whole))).toMatchObject(decodeError);
  });

  test("an empty block is a value unless the message asks for more", () => {
    expect(decode(block, field(2))).toEqual({ present: [] });
    const needy = extensions({ cookie: opaque(2, 1) }, { min: 8 });
    expect(refusal(needy, field(2))).toMatchObject(decodeError);
    expect(() => encode(needy, {})).toThrow(RangeError);
    expect(() => encode(needy, { cookie: filled(2) })).not.toThrow();
  });

  test("what does not fit into 2^16-1 bytes is the caller's mistake", () => {
    expect(() => encode(block, { cookie: filled(0xffff) })).toThrow(RangeError);
    expect(() => encode(block, { cookie: filled(0xfff9), early_data: true })).toThrow(RangeError);
    expect(() => encode(block, { cookie: filled(0xfff9) })).not.toThrow();
  });

  test("`present` of a value is for reading only", () => {
    expect(encode(block, { present: [1, 2, 3], early_data: true })).toEqual(
      field(2, extension(ExtensionType.early_data)),
    );
  });
});

/** Every message with a block, as bytes around one. */
const hello = concat([number(2, 0x0303), filled(32), field(1)]);
const MESSAGES: Record<string, { codec: Codec<unknown>; around: (block: Uint8Array) => Uint8Array }> = {
  CH: {
    codec: ClientHello,
    around: (block) => concat([hello, field(2, number(2, 0x1302)), field(1, number(1, 0)), block]),
  },
  SH: { codec: ServerHello, around: (block) => concat([hello, number(3, 0x130200), block]) },
  HRR: { codec: HelloRetryRequest, around: (block) => concat([hello, number(3, 0x130200), block]) },
  EE: { codec: EncryptedExtensions, around: (block) => block },
  CR: { codec: CertificateRequest, around: (block) => concat([field(1), block]) },
  CT: { codec: Certificate, around: (block) => concat([field(1), field(3, field(3, filled(9)), block)]) },
  NST: {
    codec: NewSessionTicket,
    around: (block) => concat([number(4, 7200), number(4, 1), field(1), field(2, filled(1)), block]),
  },
};

const codes = field(2, number(2, 0x0403));
const share = concat([number(2, 0x001d), field(2, filled(32))]);
const nothing = new Uint8Array(0);
/** The table of RFC 9846 §4.3 and of RFC 6962, 8449, 7250, 8879, 9345, 9973: where each extension may stand, with a body that is right there. */
const TABLE: Record<ExtensionName, Record<string, Uint8Array>> = {
  server_name: { CH: field(2, number(1, 0), field(2, filled(3))), EE: nothing },
  status_request: {
    CH: concat([number(1, 1), field(2), field(2)]),
    CR: filled(5),
    CT: concat([number(1, 1), field(3, filled(4))]),
  },
  supported_groups: { CH: codes, EE: codes },
  signature_algorithms: { CH: codes, CR: codes },
  application_layer_protocol_negotiation: {
    CH: field(2, field(1, filled(2))),
    EE: field(2, field(1, filled(2))),
  },
  signed_certificate_timestamp: { CH: nothing, CR: nothing, CT: field(2, field(2, filled(4))) },
  client_certificate_type: { CH: field(1, number(1, 2)), EE: number(1, 2) },
  server_certificate_type: { CH: field(1, number(1, 2)), EE: number(1, 2) },
  compress_certificate: { CH: field(1, number(2, 1)), CR: field(1, number(2, 1)) },
  record_size_limit: { CH: number(2, 0x4001), EE: number(2, 0x4001) },
  tls_cert_with_extern_psk: { CH: nothing, SH: nothing },
  delegated_credential: {
    CH: codes,
    CR: codes,
    CT: concat([
      number(4, 86_400),
      number(2, 0x0403),
      field(3, filled(9)),
      number(2, 0x0403),
      field(2, filled(8)),
    ]),
  },
  pre_shared_key: {
    CH: concat([field(2, field(2, filled(1)), number(4, 0)), field(2, field(1, filled(32)))]),
    SH: number(2, 0),
  },
  early_data: { CH: nothing, EE: nothing, NST: number(4, 0) },
  supported_versions: { CH: field(1, number(2, 0x0304)), SH: number(2, 0x0304), HRR: number(2, 0x0304) },
  cookie: { CH: field(2, filled(1)), HRR: field(2, filled(1)) },
  psk_key_exchange_modes: { CH: field(1, number(1, 1)) },
  certificate_authorities: { CH: field(2, field(2, filled(4))), CR: field(2, field(2, filled(4))) },
  oid_filters: { CR: field(2) },
  post_handshake_auth: { CH: nothing },
  signature_algorithms_cert: { CH: codes, CR: codes },
  key_share: { CH: field(2, share), SH: share, HRR: number(2, 0x001d) },
};
/** Named and not spoken: to us these are as unknown as any other. */
const IGNORED: readonly ExtensionName[] = ["oid_filters", "post_handshake_auth"];

/** What is in it reaches to its end, whatever that is. */
const OPEN = new Set(["CR status_request"]);

describe("§4.3: an extension that is known and in the wrong message is illegal_parameter", () => {
  for (const [message, { codec, around }] of Object.entries(MESSAGES)) {
    test.each(Object.keys(TABLE) as ExtensionName[])(`${message} with %s`, (name) => {
      const type = ExtensionType[name];
      const right = TABLE[name][message];
      const error = refusal(codec, around(field(2, extension(type, right ?? filled(4)))));
      if (right !== undefined || IGNORED.includes(name)) expect(error).toBeUndefined();
      else expect(error).toMatchObject(illegal);
    });

    test(`${message} with an unknown one is fine`, () => {
      expect(refusal(codec, around(field(2, extension(0x3a3a, filled(3)))))).toBeUndefined();
    });

    test(`${message} with a body that ends early or late is a decode_error`, () => {
      for (const [name, places] of Object.entries(TABLE)) {
        const right = places[message];
        if (right === undefined || IGNORED.includes(name as ExtensionName)) continue;
        if (OPEN.has(`${message} ${name}`)) continue;
        const type = ExtensionType[name as ExtensionName];
        const longer = around(field(2, extension(type, right, filled(1))));
        expect(refusal(codec, longer), `${name}, longer`).toMatchObject(decodeError);
        if (right.length === 0) continue;
        const shorter = around(field(2, extension(type, right.subarray(0, -1))));
        expect(refusal(codec, shorter), `${name}, shorter`).toMatchObject(decodeError);
      }
    });
  }
});

test("§4.3.11: pre_shared_key is last in ClientHello and stands anywhere in ServerHello", () => {
  for (const [message, name] of [
    ["CH", "supported_versions"],
    ["SH", "supported_versions"],
  ] as const) {
    const { codec, around } = MESSAGES[message]!;
    const psk = extension(ExtensionType.pre_shared_key, TABLE.pre_shared_key[message]!);
    const other = extension(ExtensionType[name], TABLE[name][message]!);
    expect(refusal(codec, around(field(2, other, psk)))).toBeUndefined();
    const swapped = refusal(codec, around(field(2, psk, other)));
    if (message === "CH") expect(swapped).toMatchObject(illegal);
    else expect(swapped).toBeUndefined();
  }
});
