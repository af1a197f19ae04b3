import { describe, expect, test } from "vitest";
import { clientConfig } from "../../src/channel/config.ts";
import { certificateBody } from "../../src/handshake/certificate-compression.ts";
import type { Credential } from "../../src/handshake/question.ts";
import type { CertificateCompressor } from "../../src/handshake/settings.ts";
import { concat } from "../../src/protocol/bytes.ts";
import { HandshakeType } from "../../src/protocol/iana.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { CertificateRequest, CompressedCertificate } from "../../src/wire/handshake.ts";
import { ClientHello } from "../../src/wire/hello.ts";
import { filled } from "../support/codec-rules.ts";
import { credentials, provider } from "../support/credentials.ts";
import { changing, engines, rewriting, type Edit, type EnginesOptions } from "../support/engines.ts";
import type { Side } from "../support/pair.ts";

const KEY = Uint8Array.of(0x5a);

/** Leaves out the first four bytes of a Certificate, which are the same in all, and puts a byte of its own before the rest. */
const toy = (algorithm: number): Required<CertificateCompressor> & { readonly calls: number[] } => {
  const calls: number[] = [];
  return {
    algorithm,
    calls,
    compress(message) {
      calls.push(message.length);
      return concat([KEY, message.subarray(2)]);
    },
    decompress(compressed) {
      if (compressed[0] !== KEY[0]) throw new Error("not what compress makes");
      return concat([new Uint8Array(2), compressed.subarray(1)]);
    },
  };
};

/** A credential that no other test has sent. */
const fresh = (): Credential => ({ ...credentials().identity });
const both = (...certificateCompression: CertificateCompressor[]): EnginesOptions => ({
  client: { certificateCompression, credentials: [fresh()] },
  server: { certificateCompression, credentials: [fresh()], clientAuth: "require" },
});

const flowOf = (options: EnginesOptions): readonly string[] => {
  const { flow, failed } = engines(options);
  expect(failed).toBeUndefined();
  return flow.filter((name) => name.includes("certificate") && !/verify|request/.test(name));
};
const COMPRESSED = ["server compressed_certificate", "client compressed_certificate"];
const PLAIN = ["server certificate", "client certificate"];

describe("RFC 8879 §3: who may compress", () => {
  test("both, where both can do both: the chain that arrives is the one that was sent", () => {
    const options = both(toy(9));
    expect(flowOf(options)).toEqual(COMPRESSED);
    const { client, server } = engines(options);
    const peerOf = (effects: typeof client) =>
      effects.find((effect) => effect.do === "connected")?.established.peer;
    expect(peerOf(client)?.chain).toEqual(credentials().identity.chain);
    expect(peerOf(server)?.chain).toEqual(credentials().identity.chain);
  });

  test("nobody, unless told to", () => {
    expect(flowOf(both())).toEqual(PLAIN);
    expect(flowOf({ ...both(toy(9)), client: both().client! })).toEqual(PLAIN);
    expect(flowOf({ ...both(toy(9)), server: both().server! })).toEqual(PLAIN);
  });

  test("nobody, without an algorithm in common", () => {
    const { client } = both(toy(9));
    const { server } = both(toy(10));
    expect(flowOf({ client: client!, server: server! })).toEqual(PLAIN);
  });

  test("whoever can compress, to whoever can decompress", () => {
    const { algorithm, compress, decompress } = toy(9);
    const reader = { algorithm, decompress };
    const writer = { algorithm, compress };
    const { client } = both(reader);
    const { server } = both(writer);
    expect(flowOf({ client: client!, server: server! })).toEqual([COMPRESSED[0], PLAIN[1]]);
    const turned = { client: both(writer).client!, server: both(reader).server! };
    expect(flowOf(turned)).toEqual([PLAIN[0], COMPRESSED[1]]);
  });

  test("by the sender's order, whatever that of the offer", () => {
    const used: number[] = [];
    const { client } = both(toy(9), toy(10));
    const { server } = both(toy(10), toy(9));
    const edit = (name: string, body: Uint8Array): undefined => {
      if (name === "compressed_certificate") used.push(decode(CompressedCertificate, body).algorithm);
    };
    expect(flowOf({ client: client!, server: server!, edit })).toEqual(COMPRESSED);
    expect(used).toEqual([10, 9]);
  });

  test("the client's offer is in ClientHello, the server's in CertificateRequest, and both name what they can undo", () => {
    const said: unknown[] = [];
    const edit = (name: string, body: Uint8Array): undefined => {
      const codec = { client_hello: ClientHello, certificate_request: CertificateRequest }[name];
      if (codec !== undefined) said.push(decode<ClientHello | CertificateRequest>(codec, body).extensions);
    };
    const { algorithm, compress } = toy(11);
    engines({ ...both(toy(9), { algorithm, compress }, toy(10)), edit });
    expect(said).toMatchObject([{ compress_certificate: [9, 10] }, { compress_certificate: [9, 10] }]);
  });

  test("a client that no certificate can convince offers nothing", () => {
    const psks = [{ identity: "one", key: new Uint8Array(32).fill(1) }];
    let hello: ClientHello | undefined;
    const { failed } = engines({
      client: { psks, authentication: "psk", certificateCompression: [toy(9)] },
      server: { psks },
      edit: (name, body) => void (name === "client_hello" && (hello = decode(ClientHello, body))),
    });
    expect(failed).toBeUndefined();
    expect(hello?.extensions.compress_certificate).toBeUndefined();
  });
});

describe("RFC 8879 §4: what is sent", () => {
  test("says the length before compression", () => {
    let sent: CompressedCertificate | undefined;
    const compressor = toy(9);
    const edit = (name: string, body: Uint8Array): undefined => {
      if (name === "compressed_certificate") sent ??= decode(CompressedCertificate, body);
    };
    engines({ ...both(compressor), edit });
    expect(sent).toMatchObject({ algorithm: 9, uncompressed_length: compressor.calls[0] });
  });

  test("a compressor that finds it not worth it leaves the message as it is", () => {
    const { algorithm, decompress } = toy(9);
    expect(flowOf(both({ algorithm, decompress, compress: () => undefined }))).toEqual(PLAIN);
  });

  test("a chain is compressed once, however many handshakes show it; one with an OCSP answer is another", () => {
    const compressor = toy(9);
    const credential = { ...fresh(), ocspResponse: Uint8Array.of(1, 2, 3) };
    const server = { credentials: [credential], certificateCompression: [compressor] };
    const shake = (requestOCSP: boolean) =>
      flowOf({ client: { certificateCompression: [compressor], requestOCSP }, server });
    for (const requestOCSP of [false, true, false, true]) {
      expect(shake(requestOCSP)).toEqual([COMPRESSED[0]]);
    }
    expect(compressor.calls).toHaveLength(2);
    const renewed = { ...server, credentials: [{ ...credential, ocspResponse: Uint8Array.of(4) }] };
    flowOf({ client: { certificateCompression: [compressor], requestOCSP: true }, server: renewed });
    expect(compressor.calls).toHaveLength(3);
  });

  test("a client without a certificate says so uncompressed", () => {
    const { server } = both(toy(9));
    const { flow } = engines({ client: {}, server: { ...server, clientAuth: "request" } });
    expect(flow).toContain("client certificate");
  });
});

const from =
  (side: Side, edit: Edit): Edit =>
  (name, body, sender) =>
    sender === side ? edit(name, body, sender) : undefined;
const compressed = (change: (value: CompressedCertificate) => Partial<CompressedCertificate>): Edit =>
  changing("compressed_certificate", CompressedCertificate, (value) => ({ ...value, ...change(value) }));

const REFUSED: readonly (readonly [string, string, Edit])[] = [
  [
    "§4: an algorithm that was not offered is illegal_parameter",
    "illegal_parameter",
    compressed(() => ({ algorithm: 10 })),
  ],
  [
    "§4: what cannot be decompressed is bad_certificate",
    "bad_certificate",
    compressed(() => ({ compressed_certificate_message: Uint8Array.of(1, 2, 3) })),
  ],
  [
    "§4: fewer bytes than announced are bad_certificate",
    "bad_certificate",
    compressed(({ uncompressed_length }) => ({ uncompressed_length: uncompressed_length + 1 })),
  ],
  [
    "§5: more bytes than announced are bad_certificate",
    "bad_certificate",
    compressed(({ uncompressed_length }) => ({ uncompressed_length: uncompressed_length - 1 })),
  ],
  [
    "§4: a length of nothing is bad_certificate",
    "bad_certificate",
    compressed(() => ({ uncompressed_length: 0 })),
  ],
  [
    "§5: what comes out is read as any Certificate: decode_error",
    "decode_error",
    compressed(() => ({
      uncompressed_length: 5,
      compressed_certificate_message: Uint8Array.of(0x5a, 1, 2, 3),
    })),
  ],
  [
    "RFC 9846 §4.1: the transcript holds it as it was sent, so another of the same content is decrypt_error",
    "decrypt_error",
    // Another algorithm's name on the same bytes, which both ends' compressors understand.
    compressed(() => ({ algorithm: 11 })),
  ],
];

describe.each(["client", "server"] as const)("a compressed certificate of the %s", (side) => {
  test.each(REFUSED)("RFC 8879 %s", (_, alert, edit) => {
    const { failed } = engines({ ...both(toy(9), toy(11)), edit: from(side, edit) });
    expect(failed).toMatchObject({ side: side === "client" ? "server" : "client", error: { alert } });
  });

  test("RFC 8879 §5: one above the bound on a handshake message is bad_certificate, and is not decompressed", () => {
    const asked: number[] = [];
    const { algorithm, compress } = toy(9);
    const decompress = (_: Uint8Array, lengthBytes: number): Uint8Array => {
      asked.push(lengthBytes);
      return new Uint8Array(lengthBytes);
    };
    const receiver = side === "client" ? "server" : "client";
    const limits = { handshakeMessageBytes: 3000 };
    const { [side]: sends, [receiver]: reads } = both();
    const { failed } = engines({
      [side]: { ...sends, limits, certificateCompression: [{ algorithm, compress }] },
      [receiver]: { ...reads, limits, certificateCompression: [{ algorithm, decompress }] },
      edit: compressed(() => ({ uncompressed_length: 3001 })),
    });
    expect(failed).toMatchObject({
      side: receiver,
      error: { code: "ERR_TLS_LIMIT", alert: "bad_certificate" },
    });
    expect(asked).toEqual([]);
  });
});

describe("RFC 8879 §4: a compressed certificate that was not asked for is unexpected_message", () => {
  const body = encode(CompressedCertificate, {
    algorithm: 9,
    uncompressed_length: 4,
    compressed_certificate_message: filled(4),
  });
  const { algorithm, compress } = toy(9);

  test.each([
    ["without any algorithm", []],
    ["with one that only compresses", [{ algorithm, compress }]],
  ])("%s", (_, certificateCompression) => {
    const { settings } = clientConfig({ provider, now: Date.now, certificateCompression });
    const message = { type: HandshakeType.compressed_certificate, bytes: body, body };
    expect(() => certificateBody(message, settings)).toThrow(
      expect.objectContaining({ code: "ERR_TLS_UNEXPECTED_MESSAGE", alert: "unexpected_message" }),
    );
  });

  test("by a server whose client says otherwise than it does", () => {
    const { server } = both(toy(9));
    const asking = (hello: ClientHello): ClientHello => ({
      ...hello,
      extensions: { ...hello.extensions, compress_certificate: [9] },
    });
    const { failed, flow } = engines({
      server: server!,
      edit: changing("client_hello", ClientHello, asking),
    });
    expect(flow).toContain("server compressed_certificate");
    expect(failed).toMatchObject({ side: "client", error: { alert: "unexpected_message" } });
  });
});

describe("an offer that names an algorithm twice is illegal_parameter, whether or not it is of use", () => {
  const twice = <T extends { readonly extensions: object }>(value: T): T => ({
    ...value,
    extensions: { ...value.extensions, compress_certificate: [9, 10, 9] },
  });
  test.each([
    ["ClientHello", "server", changing("client_hello", ClientHello, twice)],
    ["CertificateRequest", "client", changing("certificate_request", CertificateRequest, twice)],
  ] as const)("%s", (_, side, edit) => {
    for (const options of [both(), both(toy(9))]) {
      expect(engines({ ...options, edit }).failed).toMatchObject({
        side,
        error: { alert: "illegal_parameter" },
      });
    }
  });
});

test("a compressed certificate that is empty or runs over is a decode_error", () => {
  for (const change of [() => new Uint8Array(0), (body: Uint8Array) => concat([body, KEY])]) {
    const { failed } = engines({ ...both(toy(9)), edit: rewriting("compressed_certificate", change) });
    expect(failed).toMatchObject({ side: "client", error: { alert: "decode_error" } });
  }
});
