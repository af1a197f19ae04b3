import { describe, expect, test } from "vitest";
import { clientConfig } from "../../src/channel/config.ts";
import { readCertificate } from "../../src/handshake/authenticate.ts";
import type { Question } from "../../src/handshake/question.ts";
import { stapledFor } from "../../src/handshake/staple.ts";
import { EMPTY } from "../../src/protocol/bytes.ts";
import { ExtensionType } from "../../src/protocol/iana.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { Certificate } from "../../src/wire/handshake.ts";
import { ClientHello } from "../../src/wire/hello.ts";
import { credentials, provider } from "../support/credentials.ts";
import { certificate, from, mutual, stapled } from "../support/certificate-edits.ts";
import { engines, type EnginesOptions } from "../support/engines.ts";
import type { Side } from "../support/pair.ts";

const ca = credentials().ca.der;

/** What one side asks its host about the other, and what it then knows of it. */
function asked(options: EnginesOptions, side: Side = "client") {
  const questions: Question[] = [];
  const outcome = engines({
    ...options,
    onQuestion: (question) => {
      questions.push(question);
      return undefined;
    },
  });
  const connected = outcome[side].find((effect) => effect.do === "connected");
  return { failed: outcome.failed?.error, questions, peer: connected?.established.peer };
}

describe("RFC 6066 §8: an OCSP answer beside the server's certificate", () => {
  const ocspResponse = Uint8Array.of(1, 2, 3);
  const server = { credentials: [{ ...credentials().identity, ocspResponse }] };

  test("is shown to a client that asks for it, and stands in the question and the evidence", () => {
    const { failed, questions, peer } = asked({ client: { requestOCSP: true }, server });
    expect(failed).toBeUndefined();
    expect(questions).toMatchObject([{ ask: "verify_peer", ocspResponse }]);
    expect(peer?.ocspResponse).toEqual(ocspResponse);
  });

  test("is not shown to a client that does not, and need not come to one that does", () => {
    for (const options of [{ server }, { client: { requestOCSP: true } }]) {
      const { failed, questions, peer } = asked(options);
      expect(failed).toBeUndefined();
      expect(questions).toHaveLength(1);
      expect(questions[0]).not.toHaveProperty("ocspResponse");
      expect(peer).not.toHaveProperty("ocspResponse");
    }
  });

  test.each([
    ["of another type is illegal_parameter", "illegal_parameter", { status_request: stapled(2) }],
    ["beside an intermediate is passed over", undefined, { status_request: stapled(1) }],
  ] as const)("one %s", (_, alert, extensions) => {
    const { failed, peer } = asked({
      client: { requestOCSP: true },
      edit: certificate(({ certificate_list: chain }) => ({
        certificate_list:
          alert === undefined ? [...chain, { cert_data: ca, extensions }] : [{ ...chain[0], extensions }],
      })),
    });
    if (alert === undefined) {
      // Signed is another chain than the one that came.
      expect(failed).toMatchObject({ alert: "decrypt_error" });
      expect(peer).toBeUndefined();
    } else expect(failed).toMatchObject({ alert });
  });

  test("a client may not show one, since no server asked", () => {
    const edit = from(
      "client",
      certificate(({ certificate_list: [leaf] }) => ({
        certificate_list: [{ ...leaf, extensions: { status_request: stapled(1) } }],
      })),
    );
    expect(engines({ ...mutual, edit }).failed).toMatchObject({
      side: "server",
      error: { alert: "unsupported_extension" },
    });
  });
});

test("§4.5.1.1: a server asks with an empty status_request, a client with the type of the answer", () => {
  const ocspResponse = Uint8Array.of(1, 2, 3);
  const own = { ...credentials().identity, ocspResponse };
  expect(stapledFor(own, { status_request: EMPTY })).toEqual({ ocspResponse });
  expect(stapledFor(own, { status_request: { status_type: 1 } })).toEqual({ ocspResponse });
  expect(stapledFor(own, { status_request: { status_type: 2 } })).toEqual({});
  expect(stapledFor(own, { signed_certificate_timestamp: true })).toEqual({});
});

describe("RFC 6962 §3.3.1: signed certificate timestamps beside a certificate", () => {
  const signedCertificateTimestampList = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)];
  const own = { credentials: [{ ...credentials().identity, signedCertificateTimestampList }] };
  const wanted = { requestSCT: true } as const;
  const beside = (...timestamps: Uint8Array[]) => ({ signed_certificate_timestamp: timestamps });

  test("are shown to a client that asks for them, and stand in the question and the evidence", () => {
    const { failed, questions, peer } = asked({ client: wanted, server: own });
    expect(failed).toBeUndefined();
    expect(questions).toMatchObject([{ ask: "verify_peer", signedCertificateTimestampList }]);
    expect(peer?.signedCertificateTimestampList).toEqual(signedCertificateTimestampList);
  });

  test("are shown to a server that asks its clients", () => {
    const server = { clientAuth: "require", ...wanted } as const;
    const { failed, questions, peer } = asked({ client: own, server }, "server");
    expect(failed).toBeUndefined();
    expect(questions).toContainEqual(
      expect.objectContaining({ purpose: "client", signedCertificateTimestampList }),
    );
    expect(peer?.signedCertificateTimestampList).toEqual(signedCertificateTimestampList);
  });

  test("are not shown to a peer that does not ask, and need not come to one that does", () => {
    for (const options of [{ server: own }, { client: wanted }]) {
      const { failed, questions, peer } = asked(options);
      expect(failed).toBeUndefined();
      expect(questions[0]).not.toHaveProperty("signedCertificateTimestampList");
      expect(peer).not.toHaveProperty("signedCertificateTimestampList");
    }
    const silent = asked({ client: own, server: { clientAuth: "require" } }, "server");
    expect(silent.failed).toBeUndefined();
    expect(silent.peer).not.toHaveProperty("signedCertificateTimestampList");
  });

  test("§4.5.1: those that nobody asked for are unsupported_extension, of a server and of a client", () => {
    const edit = certificate(({ certificate_list: [leaf] }) => ({
      certificate_list: [{ ...leaf, extensions: beside(Uint8Array.of(1)) }],
    }));
    for (const [side, options] of [
      ["client", { client: { requestOCSP: true }, edit: from("server", edit) }],
      ["server", { ...mutual, edit: from("client", edit) }],
    ] as const) {
      expect(engines(options).failed).toMatchObject({ side, error: { alert: "unsupported_extension" } });
    }
  });

  test("those beside an intermediate are passed over", () => {
    const read = readCertificate(
      encode(Certificate, {
        certificate_request_context: EMPTY,
        certificate_list: [
          { cert_data: credentials().identity.leaf.der, extensions: beside(Uint8Array.of(1)) },
          { cert_data: ca, extensions: beside(Uint8Array.of(2)) },
        ],
      }),
      "X509",
      clientConfig({ provider, now: Date.now }).settings,
      new Set([ExtensionType.signed_certificate_timestamp]),
    );
    expect(read.signedCertificateTimestampList).toEqual([Uint8Array.of(1)]);
  });

  test("a client with a pre-shared key alone asks for none", () => {
    const psks = [{ identity: "one", key: new Uint8Array(32).fill(1) }];
    const { client } = engines({ client: { psks, authentication: "psk", ...wanted }, server: { psks } });
    const hello = client.find((effect) => effect.do === "send");
    const { extensions } = decode(ClientHello, (hello?.message ?? EMPTY).subarray(4));
    expect(extensions.signed_certificate_timestamp).toBeUndefined();
  });
});
