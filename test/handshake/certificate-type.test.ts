import { describe, expect, test } from "vitest";
import {
  answeredType,
  checkOfferedTypes,
  commonType,
  typesOf,
  typesToOffer,
} from "../../src/handshake/certificate-type.ts";
import type { Question } from "../../src/handshake/question.ts";
import { loadRawIdentity } from "../../src/pki/identity.ts";
import { Certificate, EncryptedExtensions } from "../../src/wire/handshake.ts";
import { ClientHello } from "../../src/wire/hello.ts";
import { credentials, provider } from "../support/credentials.ts";
import { changing, engines, type EnginesOptions } from "../support/engines.ts";

const certificate = credentials().identity;
const raw = loadRawIdentity(provider, credentials("ed25519").keyPem);
const RAW = ["RawPublicKey"] as const;
const EITHER = ["RawPublicKey", "X509"] as const;

function run(options: EnginesOptions) {
  const questions: Question[] = [];
  const { client, server, failed } = engines({
    ...options,
    onQuestion: (question) => {
      questions.push(question);
      return undefined;
    },
  });
  const of = (effects: typeof client) => effects.find((effect) => effect.do === "connected")?.established;
  return { client: of(client), server: of(server), questions, failed };
}

describe("RFC 7250 §4.1: the lists in a ClientHello", () => {
  test("X.509 alone goes without saying, and so does nothing at all", () => {
    expect(typesToOffer([])).toBeUndefined();
    expect(typesToOffer(["X509"])).toBeUndefined();
    expect(typesToOffer(RAW)).toEqual([2]);
    expect(typesToOffer(["X509", "RawPublicKey"])).toEqual([0, 2]);
  });

  test("a list that says so all the same is illegal_parameter", () => {
    expect(() => checkOfferedTypes([0], "server_certificate_type")).toThrow(
      expect.objectContaining({ alert: "illegal_parameter" }),
    );
    for (const list of [undefined, [2], [0, 2], [7]]) checkOfferedTypes(list, "server_certificate_type");
    for (const extension of ["client_certificate_type", "server_certificate_type"] as const) {
      const edit = changing("client_hello", ClientHello, (hello) => ({
        ...hello,
        extensions: { ...hello.extensions, [extension]: [0] },
      }));
      expect(engines({ edit }).failed).toMatchObject({
        side: "server",
        error: { code: "ERR_TLS_ILLEGAL_PARAMETER" },
      });
    }
  });

  test("types that we do not know are passed over", () => {
    expect(typesOf([7, 2, 1, 0])).toEqual(["RawPublicKey", "X509"]);
    expect(typesOf(undefined)).toEqual(["X509"]);
  });
});

describe("RFC 7250 §4.2: what the server chooses", () => {
  test("of the client's types the first in its own order; without one unsupported_certificate", () => {
    expect(commonType(EITHER, [0, 2])).toBe("RawPublicKey");
    expect(commonType(["X509", "RawPublicKey"], [2, 0])).toBe("X509");
    expect(commonType(EITHER, undefined)).toBe("X509");
    for (const list of [undefined, [0, 7], [7]]) {
      expect(() => commonType(RAW, list)).toThrow(
        expect.objectContaining({ code: "ERR_CERT_UNSUPPORTED", alert: "unsupported_certificate" }),
      );
    }
  });

  test("an answer is one of the types that were offered, and its absence is X.509", () => {
    expect(answeredType(2, EITHER)).toBe("RawPublicKey");
    expect(answeredType(undefined, EITHER)).toBe("X509");
    expect(answeredType(undefined, RAW)).toBeUndefined();
    expect(answeredType(0, RAW)).toBeUndefined();
    expect(answeredType(7, EITHER)).toBeUndefined();
  });
});

describe("a handshake with raw public keys", () => {
  test("proves the server by its key, which the host is asked about", () => {
    const { client, server, questions } = run({
      client: { serverCertificateTypes: RAW },
      server: { credentials: [certificate, raw] },
    });
    const shown = {
      by: "rawPublicKey",
      certificateType: "RawPublicKey",
      chain: raw.chain,
      scheme: "ed25519",
    };
    expect(client?.peer).toMatchObject(shown);
    expect(server?.local).toMatchObject(shown);
    expect(questions).toMatchObject([
      { ask: "verify_peer", purpose: "server", certificateType: "RawPublicKey", chain: raw.chain },
    ]);
  });

  test("proves the client by its key where the server takes one", () => {
    const { client, server, questions } = run({
      client: { credentials: [raw, certificate] },
      server: { clientAuth: "require", clientCertificateTypes: EITHER },
    });
    expect(client?.local).toMatchObject({ by: "rawPublicKey", chain: raw.chain });
    expect(server?.peer).toMatchObject({ by: "rawPublicKey", chain: raw.chain });
    expect(questions.at(-1)).toMatchObject({ purpose: "client", certificateType: "RawPublicKey" });
  });

  test("takes the certificate where the server knows nothing else, and nothing where there is none", () => {
    const server = { clientAuth: "request" } as const;
    const both = run({ client: { credentials: [raw, certificate] }, server });
    expect(both.client?.local).toMatchObject({ by: "certificate", chain: certificate.chain });
    const none = changing("client_hello", ClientHello, (hello) => {
      const { client_certificate_type: _, ...extensions } = hello.extensions;
      return { ...hello, extensions };
    });
    // The transcripts differ from here on; what counts is which certificate the server asks for.
    expect(run({ client: { credentials: [raw] }, server, edit: none }).failed).toMatchObject({
      error: { alert: "decrypt_error" },
    });
  });

  test("ends with unsupported_certificate where the server has no such key, or wants another", () => {
    const unsupported = { code: "ERR_CERT_UNSUPPORTED", alert: "unsupported_certificate" };
    expect(run({ client: { serverCertificateTypes: RAW } }).failed).toMatchObject({
      side: "server",
      error: unsupported,
    });
    const wanted = { clientAuth: "request", clientCertificateTypes: RAW } as const;
    expect(run({ client: { credentials: [certificate] }, server: wanted }).failed).toMatchObject({
      side: "server",
      error: unsupported,
    });
  });

  test("ends with handshake_failure where the client names no types and the server has raw keys alone", () => {
    expect(run({ server: { credentials: [raw] } }).failed).toMatchObject({
      side: "server",
      error: { code: "ERR_TLS_NO_COMMON_PARAMETERS", alert: "handshake_failure" },
    });
  });
});

describe("a server that answers wrongly", () => {
  const answering = (extensions: object) =>
    changing("encrypted_extensions", EncryptedExtensions, (value) => ({
      extensions: { ...value.extensions, ...extensions },
    }));
  const client = { serverCertificateTypes: RAW };
  const server = { credentials: [certificate, raw] };

  test.each([
    [
      "a type that was not offered",
      { client, server, edit: answering({ server_certificate_type: 0 }) },
      "unsupported_certificate",
    ],
    [
      "none where X.509 was not offered",
      { client, server, edit: answering({ server_certificate_type: undefined }) },
      "unsupported_certificate",
    ],
    [
      "a type where none was offered",
      { edit: answering({ server_certificate_type: 2 }) },
      "unsupported_extension",
    ],
    [
      "a type of ours that was not offered",
      { client: { credentials: [raw] }, edit: answering({ client_certificate_type: 0 }) },
      "unsupported_certificate",
    ],
    [
      "a type of ours where none was offered",
      { edit: answering({ client_certificate_type: 2 }) },
      "unsupported_extension",
    ],
  ] as const)("%s", (_, options, alert) => {
    expect(engines(options).failed).toMatchObject({ side: "client", error: { alert } });
  });

  test.each([
    ["§4.5.1: no more than one raw key", (chain: Uint8Array[]) => [...chain, ...chain], "illegal_parameter"],
    ["a certificate in the place of a raw key", () => [certificate.chain[0]!], "decode_error"],
    ["none at all", () => [], "decode_error"],
  ] as const)("shows %s", (_, change, alert) => {
    const edit = changing("certificate", Certificate, (value) => ({
      ...value,
      certificate_list: change(value.certificate_list.map(({ cert_data }) => cert_data)).map((cert_data) => ({
        cert_data,
        extensions: {},
      })),
    }));
    expect(engines({ client, server, edit }).failed).toMatchObject({ side: "client", error: { alert } });
  });
});
