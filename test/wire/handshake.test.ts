import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/protocol/bytes.ts";
import { ExtensionType, HandshakeType } from "../../src/protocol/iana.ts";
import { decode, encode, rest } from "../../src/wire/codec.ts";
import {
  Certificate,
  CertificateCompressionAlgorithms,
  CertificateRequest,
  CertificateVerify,
  CompressedCertificate,
  EncryptedExtensions,
  encodeHandshake,
  Finished,
  KeyUpdate,
  NewSessionTicket,
} from "../../src/wire/handshake.ts";
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

const yes = fc.constant(true as const);
const someOpaque = fc.array(someBytes(1, 12), { minLength: 1, maxLength: 4 });
const code32 = fc.integer({ min: 0, max: 0xffffffff });

holdsCodecRules("RFC 9846 §4.4.1: EncryptedExtensions", {
  codec: EncryptedExtensions,
  values: fc.record({
    extensions: fc.record(
      {
        server_name: yes,
        supported_groups: someCodes(),
        application_layer_protocol_negotiation: someOpaque,
        client_certificate_type: fc.nat(255),
        server_certificate_type: fc.nat(255),
        record_size_limit: code16,
        early_data: yes,
      },
      { requiredKeys: [] },
    ),
  }),
});

holdsCodecRules("RFC 9846 §4.4.2: CertificateRequest", {
  codec: CertificateRequest,
  values: fc.record({
    certificate_request_context: someBytes(0, 20),
    extensions: fc.record(
      {
        signature_algorithms: someCodes(),
        certificate_authorities: someOpaque,
        oid_filters: someBytes(0, 20),
        signature_algorithms_cert: someCodes(),
        status_request: someBytes(0, 20),
        compress_certificate: someCodes(),
        signed_certificate_timestamp: fc.constant(true as const),
        delegated_credential: someCodes(),
      },
      { requiredKeys: [] },
    ),
  }),
  bounds: [
    {
      field: "certificate_request_context",
      min: 0,
      max: 255,
      sized: (n) => ({ certificate_request_context: filled(n), extensions: {} }),
      wire: (n) => concat([field(1, filled(n)), field(2)]),
    },
  ],
});

const entry = (n: number) => ({ cert_data: filled(n), extensions: {} });
holdsCodecRules("RFC 9846 §4.5.1: Certificate", {
  codec: Certificate,
  values: fc.record({
    certificate_request_context: someBytes(0, 20),
    certificate_list: fc.array(
      fc.record({
        cert_data: someBytes(1, 60),
        extensions: fc.record(
          {
            status_request: fc.record({ status_type: fc.nat(255), response: someBytes(1, 12) }),
            signed_certificate_timestamp: someOpaque,
            delegated_credential: fc.record({
              cred: fc.record({
                valid_time: fc.nat(0xffffffff),
                dc_cert_verify_algorithm: code16,
                ASN1_subjectPublicKeyInfo: someBytes(1, 12),
              }),
              algorithm: code16,
              signature: someBytes(1, 12),
            }),
          },
          { requiredKeys: [] },
        ),
      }),
      { maxLength: 4 },
    ),
  }),
  bounds: [
    {
      field: "certificate_request_context",
      min: 0,
      max: 255,
      sized: (n) => ({ certificate_request_context: filled(n), certificate_list: [] }),
      wire: (n) => concat([field(1, filled(n)), field(3)]),
    },
    {
      field: "cert_data",
      min: 1,
      // As long as the list around it, less two prefixes.
      max: 0xffffff - 5,
      sized: (n) => ({ certificate_request_context: filled(0), certificate_list: [entry(n)] }),
      wire: (n) => concat([field(1), field(3, field(3, filled(n)), field(2))]),
    },
  ],
});

const compressed = (n: number) => ({
  algorithm: 1,
  uncompressed_length: 3000,
  compressed_certificate_message: filled(n),
});
holdsCodecRules("RFC 8879 §4: CompressedCertificate", {
  codec: CompressedCertificate,
  values: fc.record({
    algorithm: code16,
    uncompressed_length: fc.nat(0xffffff),
    compressed_certificate_message: someBytes(1, 80),
  }),
  bounds: [
    {
      field: "compressed_certificate_message",
      min: 1,
      max: 0xffffff,
      sized: compressed,
      wire: (n) => concat([number(2, 1), number(3, 3000), field(3, filled(n))]),
    },
  ],
});

holdsCodecRules("RFC 8879 §3: CertificateCompressionAlgorithms", {
  codec: CertificateCompressionAlgorithms,
  values: someCodes(),
  bounds: [
    {
      field: "algorithms",
      min: 2,
      max: 254,
      sized: (n) => Array.from({ length: n / 2 }, () => 1),
      wire: (n) =>
        field(
          1,
          filled(n, 1).map((_, at) => at % 2),
        ),
      step: 2,
    },
  ],
});

holdsCodecRules("RFC 9846 §4.5.2: CertificateVerify", {
  codec: CertificateVerify,
  values: fc.record({ algorithm: code16, signature: someBytes(0, 80) }),
  bounds: [
    {
      field: "signature",
      min: 0,
      max: 0xffff,
      sized: (n) => ({ algorithm: 0x0904, signature: filled(n) }),
      wire: (n) => concat([number(2, 0x0904), field(2, filled(n))]),
    },
  ],
});

holdsCodecRules("RFC 9846 §4.5.3: Finished", {
  codec: Finished,
  values: fc.record({ verify_data: someBytes(1, 48) }),
  // Its length is that of the suite's hash, which only the handshake knows.
  openEnd: true,
});

const ticket = {
  ticket_lifetime: 7200,
  ticket_age_add: 1,
  ticket_nonce: filled(1),
  ticket: filled(2),
  extensions: {},
};
const ticketBytes = (nonce: Uint8Array, label: Uint8Array) =>
  concat([number(4, 7200), number(4, 1), nonce, label, field(2)]);
holdsCodecRules("RFC 9846 §4.7.1: NewSessionTicket", {
  codec: NewSessionTicket,
  values: fc.record({
    ticket_lifetime: code32,
    ticket_age_add: code32,
    ticket_nonce: someBytes(0, 20),
    ticket: someBytes(1, 60),
    extensions: fc.record({ early_data: code32 }, { requiredKeys: [] }),
  }),
  bounds: [
    {
      field: "ticket_nonce",
      min: 0,
      max: 255,
      sized: (n) => ({ ...ticket, ticket_nonce: filled(n) }),
      wire: (n) => ticketBytes(field(1, filled(n)), field(2, filled(2))),
    },
    {
      field: "ticket",
      min: 1,
      max: 0xffff,
      sized: (n) => ({ ...ticket, ticket: filled(n) }),
      wire: (n) => ticketBytes(field(1, filled(1)), field(2, filled(n))),
    },
  ],
});

holdsCodecRules("RFC 9846 §4.7.3: KeyUpdate", {
  codec: KeyUpdate,
  values: fc.record({ request_update: fc.constantFrom(0 as const, 1 as const) }),
});

describe("lists in extensions", () => {
  const inRequest = (type: number, body: Uint8Array) => concat([field(1), field(2, extension(type, body))]);
  const inAnswer = (type: number, body: Uint8Array) => field(2, extension(type, body));

  test.each(["signature_algorithms", "signature_algorithms_cert", "certificate_authorities"] as const)(
    "CertificateRequest: an empty list of %s is a decode_error, and is not written",
    (name) => {
      expect(refusal(CertificateRequest, inRequest(ExtensionType[name], field(2)))).toMatchObject(
        decodeError,
      );
      const value = { certificate_request_context: filled(0), extensions: { [name]: [] } };
      expect(() => encode(CertificateRequest, value)).toThrow(RangeError);
    },
  );

  test("CertificateRequest: a name of certificate_authorities is not empty", () => {
    const names = field(2, field(2, filled(1)), field(2));
    expect(
      refusal(CertificateRequest, inRequest(ExtensionType.certificate_authorities, names)),
    ).toMatchObject(decodeError);
  });

  test("RFC 6962 §3.3: a list of timestamps is not empty, nor is any of them", () => {
    const beside = (body: Uint8Array) => {
      const extensions = field(2, extension(ExtensionType.signed_certificate_timestamp, body));
      return concat([field(1), field(3, field(3, filled(4)), extensions)]);
    };
    const one = field(2, filled(2));
    expect(refusal(Certificate, beside(field(2, one)))).toBeUndefined();
    for (const body of [field(2), field(2, field(2)), field(2, one, field(2)), filled(0), filled(1)]) {
      expect(refusal(Certificate, beside(body))).toMatchObject(decodeError);
    }
  });

  test.each(["supported_groups", "application_layer_protocol_negotiation"] as const)(
    "EncryptedExtensions: an empty list of %s is a decode_error, and is not written",
    (name) => {
      expect(refusal(EncryptedExtensions, inAnswer(ExtensionType[name], field(2)))).toMatchObject(
        decodeError,
      );
      expect(() => encode(EncryptedExtensions, { extensions: { [name]: [] } })).toThrow(RangeError);
    },
  );

  test("EncryptedExtensions: the name of a protocol has 1 to 255 bytes", () => {
    const type = ExtensionType.application_layer_protocol_negotiation;
    const names = field(2, field(1, filled(2)), field(1));
    expect(refusal(EncryptedExtensions, inAnswer(type, names))).toMatchObject(decodeError);
    for (const length of [0, 256]) {
      const value = { extensions: { application_layer_protocol_negotiation: [filled(length)] } };
      expect(() => encode(EncryptedExtensions, value)).toThrow(RangeError);
    }
  });
});

describe("KeyUpdate", () => {
  test("§4.7.3: any request_update but 0 and 1 is illegal_parameter", () => {
    for (let value = 2; value < 256; value++) {
      expect(refusal(KeyUpdate, number(1, value))).toMatchObject({
        code: "ERR_TLS_ILLEGAL_PARAMETER",
        alert: "illegal_parameter",
      });
    }
  });
});

describe("the header of a handshake message", () => {
  test.each(Object.entries(HandshakeType))("§4: %s is type %i and three bytes of length", (name, type) => {
    fc.assert(
      fc.property(someBytes(0, 300), (body) => {
        const message = encodeHandshake(name as keyof typeof HandshakeType, rest, body);
        expect(message).toEqual(concat([number(1, type), field(3, body)]));
      }),
      fuzz(4),
    );
  });

  test("a body of 2^24 bytes has no length and is the caller's mistake", () => {
    const body = filled(2 ** 24);
    expect(() => encodeHandshake("certificate", rest, body)).toThrow(RangeError);
    const longest = encodeHandshake("certificate", rest, body.subarray(1));
    expect(longest.subarray(0, 4)).toEqual(Uint8Array.of(11, 0xff, 0xff, 0xff));
  });

  test("a Certificate that fills the list and has a context besides is one such body", () => {
    const certificate = {
      certificate_request_context: filled(0),
      certificate_list: [entry(2 ** 24 - 1 - 5)],
    };
    expect(encode(Certificate, certificate)).toHaveLength(2 ** 24 + 3);
    expect(() => encodeHandshake("certificate", Certificate, certificate)).toThrow(RangeError);
  });

  test("Finished takes whatever length it has; the handshake knows the right one", () => {
    expect(decode(Finished, filled(0)).verify_data).toHaveLength(0);
    expect(refusal(CertificateVerify, filled(0))).toMatchObject(decodeError);
  });
});
