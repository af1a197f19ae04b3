import { describe, expect, test } from "vitest";
import { SignatureScheme } from "../../src/protocol/iana.ts";
import type { Question } from "../../src/handshake/question.ts";
import { TrustError } from "../../src/protocol/errors.ts";
import { chooseCredential } from "../../src/handshake/authenticate.ts";
import { EMPTY } from "../../src/protocol/bytes.ts";
import { CertificateVerify, Finished } from "../../src/wire/handshake.ts";
import { credentials } from "../support/credentials.ts";
import { certificate, from, mutual, stapled } from "../support/certificate-edits.ts";
import { changing, engines, rewriting, type Edit } from "../support/engines.ts";

const verify = (change: (value: CertificateVerify) => object): Edit =>
  changing("certificate_verify", CertificateVerify, (value) => ({ ...value, ...change(value) }));

const ca = credentials().ca.der;
const rules: readonly (readonly [string, string, Edit])[] = [
  [
    "§4.5.1: a context in Certificate is illegal_parameter",
    "illegal_parameter",
    certificate(() => ({ certificate_request_context: Uint8Array.of(1) })),
  ],
  [
    "more certificates than chainLength are bad_certificate",
    "bad_certificate",
    certificate(({ certificate_list: chain }) => ({
      certificate_list: [...chain, ...Array.from({ length: 10 }, () => ({ cert_data: ca, extensions: {} }))],
    })),
  ],
  [
    "§4.5.1: an extension that was not asked for is unsupported_extension",
    "unsupported_extension",
    certificate(({ certificate_list: [leaf] }) => ({
      certificate_list: [{ ...leaf, extensions: { status_request: stapled(1) } }],
    })),
  ],
  [
    "§4.5.1: bytes that are no certificate are bad_certificate",
    "bad_certificate",
    certificate(() => ({ certificate_list: [{ cert_data: Uint8Array.of(1, 2, 3), extensions: {} }] })),
  ],
  [
    "§4.5.2: a scheme that was not offered is illegal_parameter",
    "illegal_parameter",
    verify(() => ({ algorithm: 0x0a0a })),
  ],
  [
    "§4.5.2: PKCS #1 is illegal_parameter, although certificates may have it",
    "illegal_parameter",
    verify(() => ({ algorithm: SignatureScheme.rsa_pkcs1_sha256 })),
  ],
  [
    "§4.5.2: a scheme that does not fit the key is illegal_parameter",
    "illegal_parameter",
    verify(() => ({ algorithm: SignatureScheme.ed25519 })),
  ],
  [
    "§4.5.2: another curve's scheme is illegal_parameter",
    "illegal_parameter",
    verify(() => ({ algorithm: SignatureScheme.ecdsa_secp384r1_sha384 })),
  ],
  [
    "§4.5.2: a bent signature is decrypt_error",
    "decrypt_error",
    verify(({ signature }) => ({ signature: signature.map((byte, at) => (at === 20 ? byte ^ 1 : byte)) })),
  ],
  ["§4.5.2: an empty signature is decrypt_error", "decrypt_error", verify(() => ({ signature: EMPTY }))],
  [
    "§4.5.3: a bent Finished is decrypt_error",
    "decrypt_error",
    changing("finished", Finished, ({ verify_data }) => ({
      verify_data: verify_data.map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
    })),
  ],
  [
    "§4.5.3: a Finished of another length is decode_error",
    "decode_error",
    rewriting("finished", (body) => body.slice(1)),
  ],
]; // prettier-ignore

describe.each(["client", "server"] as const)("what the %s sends to prove itself", (side) => {
  test.each(rules)("%s", (_, alert, edit) => {
    const { failed } = engines({ ...mutual, edit: from(side, edit) });
    expect(failed).toMatchObject({ side: side === "client" ? "server" : "client", error: { alert } });
  });
});

describe("a peer without a certificate", () => {
  const none = certificate(() => ({ certificate_list: [] }));

  test("§4.5.1: a server that sends none is decode_error", () => {
    expect(engines({ edit: from("server", none) }).failed).toMatchObject({
      error: { alert: "decode_error" },
    });
  });

  test("§4.5.1: a client that has none is certificate_required, or goes on where one was only asked for", () => {
    const asked = (clientAuth: "require" | "request") => engines({ server: { clientAuth } });
    expect(asked("require").failed).toMatchObject({
      side: "server",
      error: { code: "ERR_CERT_REQUIRED", alert: "certificate_required" },
    });
    const { failed, server } = asked("request");
    expect(failed).toBeUndefined();
    const connected = server.find((effect) => effect.do === "connected");
    expect(connected).toMatchObject({
      established: { peer: { by: "none" }, verdict: { authorized: false } },
    });
  });

  test("§4.4.2: a client whose key fits no scheme of the server's sends none", () => {
    const { failed } = engines({
      client: { credentials: [credentials("ed25519").identity] },
      server: { clientAuth: "require", signatureSchemes: ["ecdsa_secp256r1_sha256"] },
    });
    expect(failed).toMatchObject({ side: "server", error: { alert: "certificate_required" } });
  });

  test("of several certificates the server shows the first that the client can verify", () => {
    const own = [credentials("ml-dsa-65").identity, credentials().identity];
    const shown = (options: object) => {
      const { server } = engines({ server: { credentials: own }, client: options });
      return server.find((effect) => effect.do === "connected") as
        | { established: { local: { scheme: string; chain: unknown } } }
        | undefined;
    };
    expect(shown({})?.established.local.scheme).toBe("mldsa65");
    const classical = shown({ signatureSchemes: ["ecdsa_secp256r1_sha256"] });
    expect(classical?.established.local).toMatchObject({
      scheme: "ecdsa_secp256r1_sha256",
      chain: own[1]!.chain,
    });
  });
});

describe("a host that says no without a refusal", () => {
  const no = (question: Question): unknown =>
    question.ask === "verify_peer"
      ? { authorized: false, error: new TrustError("ERR_CERT_REVOKED", "certificate_revoked", "gone") }
      : undefined;
  const known = { credentials: [credentials().identity] };

  test("ends the handshake of a client that accepts no unverified server", () => {
    expect(engines({ onQuestion: no }).failed).toMatchObject({
      side: "client",
      error: { code: "ERR_CERT_REVOKED" },
    });
    const { failed, client } = engines({ client: { acceptsUnverified: true }, onQuestion: no });
    expect(failed).toBeUndefined();
    expect(client.find((effect) => effect.do === "connected")?.established.verdict.authorized).toBe(false);
  });

  test("ends the handshake of a server that requires a client's certificate", () => {
    const options = { client: { ...known, acceptsUnverified: true }, onQuestion: no };
    expect(engines({ ...options, server: { clientAuth: "require" } }).failed).toMatchObject({
      side: "server",
      error: { alert: "certificate_revoked" },
    });
    const { failed, server } = engines({ ...options, server: { clientAuth: "request" } });
    expect(failed).toBeUndefined();
    expect(server.find((effect) => effect.do === "connected")?.established.verdict.authorized).toBe(false);
  });

  test("and without a reason is certificate_unknown", () => {
    const onQuestion = (question: Question): unknown =>
      question.ask === "verify_peer" ? { authorized: false } : undefined;
    expect(engines({ onQuestion }).failed).toMatchObject({
      error: { code: "ERR_CERT_UNTRUSTED", alert: "certificate_unknown" },
    });
  });
});

describe("§4.5.1.2: which of several credentials is shown", () => {
  const ecdsa = credentials().identity;
  const ed25519 = credentials("ed25519").identity;
  const issuer = ecdsa.leaf.issuer.der;
  const onlyFor = (...issuers: Uint8Array[]) => ({ ...ecdsa, issuers });
  const both = [SignatureScheme.ecdsa_secp256r1_sha256, SignatureScheme.ed25519];

  test("the first that the peer can verify, with a scheme that the peer offered", () => {
    const chosen = (signature_algorithms: readonly number[]) =>
      chooseCredential([ecdsa, ed25519], ["X509"], { signature_algorithms }, 0);
    expect(chosen(both)).toEqual({ credential: ecdsa, scheme: "ecdsa_secp256r1_sha256" });
    expect(chosen([SignatureScheme.ed25519])).toEqual({ credential: ed25519, scheme: "ed25519" });
    expect(chosen([SignatureScheme.rsa_pkcs1_sha256])).toBeUndefined();
  });

  test("one that is for certain CAs, only where the peer names one of them", () => {
    const chosen = (...certificate_authorities: Uint8Array[]) =>
      chooseCredential(
        [onlyFor(Uint8Array.of(1), issuer), ed25519],
        ["X509"],
        {
          signature_algorithms: both,
          certificate_authorities,
        },
        0,
      );
    expect(chosen(Uint8Array.of(2), issuer)?.credential.key).toBe(ecdsa.key);
    expect(chosen(Uint8Array.of(2))?.credential).toBe(ed25519);
    expect(chosen()?.credential).toBe(ed25519);
  });

  test("a client goes by the server's CertificateRequest, and shows none where none suits it", () => {
    const shown = (certificateAuthorities: readonly Uint8Array[], ...more: (typeof ecdsa)[]) => {
      const { client } = engines({
        client: { credentials: [onlyFor(issuer), ...more] },
        server: { clientAuth: "request", certificateAuthorities },
      });
      return client.find((effect) => effect.do === "connected")?.established.local;
    };
    expect(shown([issuer])).toMatchObject({ by: "certificate", scheme: "ecdsa_secp256r1_sha256" });
    expect(shown([], ed25519)).toMatchObject({ by: "certificate", scheme: "ed25519" });
    expect(shown([])).toMatchObject({ by: "none", chain: [] });
  });

  test("a client that insists on one goes on where it fits, or is not asked for, and fails where none suits", () => {
    const insisting = (certificateAuthorities: readonly Uint8Array[], clientAuth: "none" | "request") =>
      engines({
        client: { credentials: [onlyFor(issuer)], insistsOnCertificate: true },
        server: { clientAuth, certificateAuthorities },
      }).failed;
    expect(insisting([issuer], "request")).toBeUndefined();
    expect(insisting([], "none")).toBeUndefined();
    expect(insisting([], "request")).toMatchObject({
      side: "client",
      error: { code: "ERR_TLS_NO_COMMON_PARAMETERS", alert: "handshake_failure" },
    });
  });

  test("a server has none for a client that trusts other CAs", () => {
    expect(engines({ server: { credentials: [onlyFor(issuer)] } }).failed).toMatchObject({
      side: "server",
      error: { code: "ERR_TLS_NO_COMMON_PARAMETERS", alert: "handshake_failure" },
    });
  });
});
