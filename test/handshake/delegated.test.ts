import { describe, expect, test } from "vitest";
import { chooseCredential, readCertificate } from "../../src/handshake/authenticate.ts";
import { clientConfig } from "../../src/channel/config.ts";
import { TicketKeys } from "../../src/channel/tickets.ts";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import type { Credential, Question } from "../../src/handshake/question.ts";
import { issueDelegatedCredential, loadDelegatedIdentity } from "../../src/pki/delegated-credential.ts";
import { DELEGATION_USAGE } from "../../src/pki/extensions.ts";
import { EMPTY } from "../../src/protocol/bytes.ts";
import { ExtensionType, SignatureScheme } from "../../src/protocol/iana.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import { DelegatedCredential } from "../../src/wire/delegated.ts";
import { ClientHello } from "../../src/wire/hello.ts";
import { Certificate, CertificateVerify } from "../../src/wire/handshake.ts";
import { credentials, provider } from "../support/credentials.ts";
import { changing, engines, type Edit, type EnginesOptions } from "../support/engines.ts";
import type { Side } from "../support/pair.ts";
import { authority, issue, server } from "../pki/bed.ts";

const DAY_MS = 86_400_000;
const now = Date.now();
const owner = issue(authority(), {
  ...server,
  notBeforeMs: now - DAY_MS,
  notAfterMs: now + 30 * DAY_MS,
  extensions: [{ oid: DELEGATION_USAGE, critical: false, value: Uint8Array.of(5, 0) }],
});

/** A credential of ours with an Ed25519 key for a day, to be shown in this role. */
function delegated(signer: Side, notAfterMs = now + DAY_MS) {
  const { spki, pkcs8 } = generateKeyPair("ed25519");
  const delegatedCredential = issueDelegatedCredential({
    signer,
    leaf: owner.certificate,
    signingKey: owner.key,
    spki,
    notAfterMs,
    algorithm: "ecdsa_secp256r1_sha256",
    scheme: "ed25519",
  });
  return loadDelegatedIdentity(provider, { cert: owner.certificate.der, key: pkcs8, delegatedCredential });
}

const plain = credentials().identity;
const accepts = { acceptDelegatedCredentials: true } as const;
const ofServer = delegated("server");
const ofClient = delegated("client");
/** For each role the options of a handshake in which that side shows a delegated credential before a plain one. */
const shows = {
  server: { client: accepts, server: { credentials: [ofServer, plain] } },
  client: {
    client: { credentials: [ofClient, plain] },
    server: { clientAuth: "require", ...accepts },
  },
} as const satisfies Record<Side, EnginesOptions>;
const sides = [
  ["server", "client", ofServer],
  ["client", "server", ofClient],
] as const;

/** A handshake, with what each side was asked and knows in the end. */
function run(options: EnginesOptions) {
  const questions: Question[] = [];
  const onQuestion = (question: Question): unknown => void questions.push(question);
  const outcome = engines({ ...options, onQuestion });
  const of = (side: Side) => outcome[side].find((effect) => effect.do === "connected")?.established;
  const sessions = outcome.client.filter((effect) => effect.do === "session").length;
  return { failed: outcome.failed, questions, client: of("client"), server: of("server"), sessions };
}

const certificate = (change: (value: Certificate) => object): Edit =>
  changing("certificate", Certificate, (value) => ({ ...value, ...change(value) }));
const from =
  (side: Side, edit: Edit): Edit =>
  (name, body, sender) =>
    sender === side ? edit(name, body, sender) : undefined;
const offeredIn = (hello: Uint8Array): readonly number[] =>
  decode(ClientHello, hello).extensions.delegated_credential ?? [];
const beside = (bytes: Uint8Array, bend = (it: DelegatedCredential) => it) => ({
  delegated_credential: bend(decode(DelegatedCredential, bytes)),
});

describe.each(sides)("RFC 9345 §4.1: a delegated credential of the %s", (signer, verifier, own) => {
  const { delegatedCredential } = own;

  test("signs in place of its certificate, and stands in the question and the evidence of both", () => {
    const { failed, questions, ...ends } = run(shows[signer]);
    expect(failed).toBeUndefined();
    const proof = { by: "certificate", scheme: "ed25519", delegatedCredential };
    expect(ends[verifier]?.peer).toMatchObject(proof);
    expect(ends[signer]?.local).toMatchObject(proof);
    expect(questions).toContainEqual(
      expect.objectContaining({ ask: "verify_peer", purpose: signer, delegatedCredential }),
    );
  });

  test("is not shown to a peer that does not take them, nor once it has ended", () => {
    const refusing: EnginesOptions =
      signer === "server"
        ? { server: shows.server.server }
        : { client: shows.client.client, server: { clientAuth: "require" } };
    const over = delegated(signer, now - 1000);
    const late = { ...shows[signer], [signer]: { ...shows[signer][signer], credentials: [over, plain] } };
    for (const options of [refusing, late]) {
      const ends = run(options);
      expect(ends.failed).toBeUndefined();
      expect(ends[verifier]?.peer).toMatchObject({ by: "certificate", scheme: "ecdsa_secp256r1_sha256" });
      expect(ends[verifier]?.peer).not.toHaveProperty("delegatedCredential");
    }
  });

  test("leaves no session behind, so that each connection checks one anew", () => {
    const tickets = { sealer: new TicketKeys({ provider, now: Date.now }) };
    const sessions = (credentials: readonly Credential[]): number => {
      const options: EnginesOptions = {
        ...shows[signer],
        [signer]: { ...shows[signer][signer], credentials },
      };
      return run({ ...options, server: { ...options.server, tickets } }).sessions;
    };
    expect(sessions([own, plain])).toBe(0);
    expect(sessions([plain])).toBe(2);
  });

  test("that nobody asked for is unexpected_message", () => {
    const edit = certificate(({ certificate_list: [leaf] }) => ({
      certificate_list: [{ ...leaf, extensions: beside(delegatedCredential) }],
    }));
    const mutual = { client: { credentials: [plain] }, server: { clientAuth: "require" } } as const;
    const { failed } = run({ ...mutual, edit: from(signer, edit) });
    expect(failed).toMatchObject({ side: verifier, error: { alert: "unexpected_message" } });
  });

  test.each<[string, (it: DelegatedCredential) => DelegatedCredential]>([
    [
      "with another end",
      ({ cred, ...rest }) => ({ ...rest, cred: { ...cred, valid_time: cred.valid_time + 60 } }),
    ],
    [
      "with a bent signature",
      (it) => ({ ...it, signature: it.signature.map((byte, at) => byte ^ +(at === 9)) }),
    ],
  ])("%s is illegal_parameter", (_, bend) => {
    const edit = certificate(({ certificate_list: [leaf] }) => ({
      certificate_list: [{ ...leaf, extensions: beside(delegatedCredential, bend) }],
    }));
    const { failed } = run({ ...shows[signer], edit: from(signer, edit) });
    expect(failed).toMatchObject({ side: verifier, error: { alert: "illegal_parameter" } });
  });

  test("§4.1.3: CertificateVerify by another scheme than it names is illegal_parameter", () => {
    const edit = changing("certificate_verify", CertificateVerify, (value) => ({
      ...value,
      algorithm: SignatureScheme.ecdsa_secp256r1_sha256,
    }));
    const { failed } = run({ ...shows[signer], edit: from(signer, edit) });
    expect(failed).toMatchObject({ side: verifier, error: { alert: "illegal_parameter" } });
  });
});

describe("§4.1.1: which of ours a peer takes", () => {
  const offered = [SignatureScheme.ecdsa_secp256r1_sha256];
  const taken = [SignatureScheme.ed25519];
  const chosen = (
    signature_algorithms: readonly number[],
    delegated_credential?: readonly number[],
    candidates: readonly Credential[] = [ofServer],
  ) =>
    chooseCredential(candidates, ["X509"], { signature_algorithms, delegated_credential }, now)?.credential;

  test("one whose certificate signed by a scheme of signature_algorithms, and whose key signs by one of delegated_credential", () => {
    expect(chosen(offered, taken)).toBe(ofServer);
    expect(chosen(taken, offered)).toBeUndefined();
    expect(chosen(offered, offered)).toBeUndefined();
    expect(chosen(taken, taken)).toBeUndefined();
    expect(chosen(offered)).toBeUndefined();
  });

  test("the first that fits, also behind others", () => {
    expect(chosen(offered, offered, [ofServer, plain])).toBe(plain);
    expect(chosen(offered, taken, [plain, ofServer])).toBe(plain);
  });
});

test("§4: what is offered leaves out RSA keys that do not say that they are for PSS, and PKCS #1", () => {
  const seen: (readonly number[])[] = [];
  const edit: Edit = (name, body) => {
    if (name === "client_hello") seen.push(offeredIn(body));
    return undefined;
  };
  run({ client: accepts, edit });
  run({ edit });
  const [offer = [], none = []] = seen;
  expect(none).toEqual([]);
  expect(offer).toContain(SignatureScheme.ed25519);
  expect(offer).toContain(SignatureScheme.rsa_pss_pss_sha256);
  for (const name of ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"] as const)
    expect(offer).not.toContain(SignatureScheme[name]);
});

test("§4.1.1: one beside an intermediate is passed over", () => {
  const chain = [owner.certificate.der, credentials().ca.der];
  const read = (at: number) =>
    readCertificate(
      encode(Certificate, {
        certificate_request_context: EMPTY,
        certificate_list: chain.map((cert_data, index) => ({
          cert_data,
          extensions: index === at ? beside(ofServer.delegatedCredential) : {},
        })),
      }),
      "X509",
      clientConfig({ provider, now: Date.now }).settings,
      new Set([ExtensionType.delegated_credential]),
    ).delegatedCredential;
  expect(read(0)).toEqual(ofServer.delegatedCredential);
  expect(read(1)).toBeUndefined();
});
