import { AsnConvert } from "@peculiar/asn1-schema";
import { AlgorithmIdentifier, Certificate as X509Certificate } from "@peculiar/asn1-x509";
import { describe, expect, test, vi } from "vitest";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import type { TrustErrorCode } from "../../src/protocol/errors.ts";
import type { AlertName } from "../../src/protocol/alert.ts";
import { parseCertificate } from "../../src/pki/certificate.ts";
import { limits, VerifiedPathCache, type VerifyRequest } from "../../src/pki/verify.ts";
import {
  anchorsOf,
  authority,
  check,
  issue,
  issueFor,
  now,
  type Party,
  period,
  provider,
  server,
} from "./bed.ts";

/** The certificate as if it had been signed with another algorithm. */
function signedWith(oid: string, party: Party): Party {
  const certificate = AsnConvert.parse(party.certificate.der, X509Certificate);
  const algorithm = new AlgorithmIdentifier({ algorithm: oid });
  certificate.signatureAlgorithm = algorithm;
  certificate.tbsCertificate.signature = algorithm;
  const der = new Uint8Array(AsnConvert.serialize(certificate));
  return { ...party, certificate: parseCertificate(der) };
}

const root = authority();
const middle = issue(root, { subject: { CN: "middle" }, isCa: true, pathLength: 0 });
const leaf = issue(middle, server);
const direct = issue(root, server);
const day = 86_400_000;

const refusal = (code: TrustErrorCode, alert: AlertName) => expect.objectContaining({ code, alert });
const names = (path: {
  readonly chain: readonly { readonly subject: { readonly commonName: string | undefined } }[];
}) => path.chain.map(({ subject }) => subject.commonName);

describe("RFC 5280 §4.1.2.6: an empty subject", () => {
  const nameless = issue(root, { ...server, subject: {} });
  const uncritical = {
    ...nameless,
    certificate: { ...nameless.certificate, subjectAltNamesCritical: false },
  };

  test("is accepted beside critical alternative names", () => {
    expect(nameless.certificate.subjectAltNamesCritical).toBe(true);
    expect(check([nameless], [root]).leaf).toBe(nameless.certificate);
  });

  test("is refused beside alternative names that are not critical", () => {
    expect(() => check([uncritical], [root])).toThrow(refusal("ERR_CERT_INVALID", "bad_certificate"));
  });
});

describe("verifyChain accepts", () => {
  test("a leaf issued by an anchor", () => {
    const path = check([direct], [root]);
    expect(names(path)).toEqual(["server", "root"]);
    expect(path).toMatchObject({ leaf: direct.certificate, anchor: root.certificate, purpose: "server" });
    expect(path.name).toBe("server.example");
    expect(Object.isFrozen(path) && Object.isFrozen(path.chain)).toBe(true);
  });

  test("the leaf's key comes with the proof", () => {
    const message = new TextEncoder().encode("signed");
    const signature = direct.key.sign("ecdsa-sha256", message);
    expect(check([direct], [root]).key.verify("ecdsa-sha256", message, signature)).toBe(true);
  });

  test("a chain, also with the root, out of order, and with strangers", () => {
    const stranger = authority({ subject: { CN: "stranger" } });
    for (const chain of [
      [leaf, middle],
      [leaf, middle, root],
      [leaf, root, middle],
      [leaf, stranger, root, middle, leaf],
    ]) {
      expect(names(check(chain, [root]))).toEqual(["server", "middle", "root"]);
    }
  });

  test("an intermediate CA as anchor", () => {
    expect(names(check([leaf, middle, root], [middle]))).toEqual(["server", "middle"]);
  });

  test("a self-signed server that is an anchor itself", () => {
    const own = issue(undefined, server);
    const ownCa = issue(undefined, { ...server, isCa: true, keyUsage: ["digitalSignature", "keyCertSign"] });
    expect(names(check([own], [root, own]))).toEqual(["server"]);
    expect(names(check([ownCa], [ownCa]))).toEqual(["server"]);
  });

  test("the right one of two anchors with one name", () => {
    const twin = authority();
    expect(check([direct], [twin, root]).anchor).toBe(root.certificate);
    expect(check([direct], [root, twin]).anchor).toBe(root.certificate);
  });

  test("an issuer's name in other letters and spaces (RFC 5280 §7.1)", () => {
    const spelled = (CN: string) =>
      issueFor({ pkcs8: root.pkcs8, spki: root.key.spki }, undefined, { subject: { CN }, isCa: true });
    expect(check([issue(spelled("The  ROOT"), server)], [spelled("the root ")]).anchor.isCa).toBe(true);
    expect(() => check([issue(spelled("The ROOT"), server)], [spelled("theroot")])).toThrow(
      refusal("ERR_CERT_UNTRUSTED", "unknown_ca"),
    );
  });

  test("a path around an expired cross-certificate", () => {
    const stale = issueFor({ pkcs8: middle.pkcs8, spki: middle.key.spki }, root, {
      subject: { CN: "middle" },
      isCa: true,
      notBeforeMs: now - 3 * day,
      notAfterMs: now - 2 * day,
    });
    expect(names(check([leaf, stale, middle], [root]))).toEqual(["server", "middle", "root"]);
  });

  test("a client, and an address as name", () => {
    const client = issue(root, { subject: { CN: "sae-a" }, extendedKeyUsage: ["clientAuth"] });
    expect(check([client], [root], { purpose: "client", name: undefined }).purpose).toBe("client");
    const host = issue(root, { ...server, ipAddresses: ["127.0.0.1", "::1"] });
    for (const name of ["127.0.0.1", "::1", "server.example"])
      expect(check([host], [root], { name }).name).toBe(name);
  });

  test("any purpose, and no purpose named", () => {
    const open = issue(root, { ...server, extendedKeyUsage: ["any"] });
    const silent = issue(root, { ...server, extendedKeyUsage: undefined });
    for (const purpose of ["server", "client"] as const) {
      expect(check([open], [root], { purpose }).purpose).toBe(purpose);
      expect(check([silent], [root], { purpose }).purpose).toBe(purpose);
    }
  });

  test("both ends of the period, to the second", () => {
    const { notBeforeMs, notAfterMs } = period;
    for (const nowMs of [notBeforeMs, notAfterMs, notAfterMs + 999]) {
      expect(check([direct], [root], { nowMs }).leaf).toBe(direct.certificate);
    }
  });
});

describe("verifyChain refuses", () => {
  const unsupportedExtension = { oid: "1.3.6.1.4.1.55738.1", critical: true, value: Uint8Array.of(5, 0) };
  const ca = (wishes: object): Party => issue(root, { subject: { CN: "sub" }, isCa: true, ...wishes });
  const under = (issuer: Party): Party[] => [issue(issuer, server), issuer];
  const notCa = (): Party[] => {
    const plain = issue(root, { subject: { CN: "plain" } });
    return [issue(plain, server), plain];
  };

  const cases: [
    string,
    TrustErrorCode,
    AlertName,
    () => [readonly Party[], readonly Party[], Partial<VerifyRequest>?],
  ][] = [
    ["no certificate at all", "ERR_CERT_REQUIRED", "certificate_required", () => [[], [root]]],
    [
      "an unknown issuer",
      "ERR_CERT_UNTRUSTED",
      "unknown_ca",
      () => [[direct], [authority({ subject: { CN: "x" } })]],
    ],
    ["no anchors", "ERR_CERT_UNTRUSTED", "unknown_ca", () => [[leaf, middle, root], []]],
    ["a missing intermediate", "ERR_CERT_UNTRUSTED", "unknown_ca", () => [[leaf], [root]]],
    [
      "an unknown self-signed leaf",
      "ERR_CERT_UNTRUSTED",
      "unknown_ca",
      () => [[issue(undefined, server)], [root]],
    ],
    [
      "an issuer of the same name, another key",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => [[direct], [authority()]],
    ],
    [
      "an expired leaf",
      "ERR_CERT_EXPIRED",
      "certificate_expired",
      () => [[direct], [root], { nowMs: now + 2 * day }],
    ],
    [
      "one second late",
      "ERR_CERT_EXPIRED",
      "certificate_expired",
      () => [[direct], [root], { nowMs: period.notAfterMs + 1000 }],
    ],
    [
      "one millisecond early",
      "ERR_CERT_NOT_YET_VALID",
      "certificate_expired",
      () => [[direct], [root], { nowMs: period.notBeforeMs - 1 }],
    ],
    [
      "a clock that is none",
      "ERR_CERT_NOT_YET_VALID",
      "certificate_expired",
      () => [[direct], [root], { nowMs: NaN }],
    ],
    [
      "an expired intermediate",
      "ERR_CERT_EXPIRED",
      "certificate_expired",
      () => [under(ca({ notBeforeMs: now - 3 * day, notAfterMs: now - day })), [root]],
    ],
    [
      "an expired anchor",
      "ERR_CERT_EXPIRED",
      "certificate_expired",
      () => {
        const old = authority({ notBeforeMs: now - 3 * day, notAfterMs: now - day });
        return [[issue(old, server)], [old]];
      },
    ],
    [
      "an expired leaf that is an anchor",
      "ERR_CERT_EXPIRED",
      "certificate_expired",
      () => {
        const old = issue(undefined, { ...server, notBeforeMs: now - 3 * day, notAfterMs: now - day });
        return [[old], [old]];
      },
    ],
    [
      "another name",
      "ERR_CERT_NAME_MISMATCH",
      "certificate_unknown",
      () => [[direct], [root], { name: "other.example" }],
    ],
    [
      "a name as address",
      "ERR_CERT_NAME_MISMATCH",
      "certificate_unknown",
      () => [[direct], [root], { name: "127.0.0.1" }],
    ],
    ["an issuer that is no CA", "ERR_CERT_INVALID", "bad_certificate", () => [notCa(), [root]]],
    [
      "an anchor that is no CA, as issuer",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => {
        const plain = issue(undefined, { subject: { CN: "plain" } });
        return [[issue(plain, server)], [plain]];
      },
    ],
    [
      "a CA that may not sign certificates",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => [under(ca({ keyUsage: ["cRLSign"] })), [root]],
    ],
    [
      "a path longer than its CA allows",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => {
        const lower = issue(middle, { subject: { CN: "lower" }, isCa: true });
        return [[issue(lower, server), lower, middle], [root]];
      },
    ],
    [
      "a path longer than we allow",
      "ERR_CERT_UNTRUSTED",
      "unknown_ca",
      () => [[leaf, middle], [root], { maxDepth: 0 }],
    ],
    [
      "a leaf that does not sign",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [[issue(root, { ...server, keyUsage: ["keyEncipherment"] })], [root]],
    ],
    [
      "a client's certificate for a server",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [[issue(root, { ...server, extendedKeyUsage: ["clientAuth"] })], [root]],
    ],
    [
      "a server's certificate for a client",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [[direct], [root], { purpose: "client" }],
    ],
    [
      "a CA for clients above a server",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [under(ca({ extendedKeyUsage: ["clientAuth"] })), [root]],
    ],
    [
      "an unknown critical extension in the leaf",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [[issue(root, { ...server, extensions: [unsupportedExtension] })], [root]],
    ],
    [
      "an unknown critical extension in a CA",
      "ERR_CERT_UNSUPPORTED",
      "unsupported_certificate",
      () => [under(ca({ extensions: [unsupportedExtension] })), [root]],
    ],
    [
      "an ML-DSA key that claims to encipher",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => [
        [issue(root, { ...server, keyUsage: ["digitalSignature", "keyEncipherment"] }, "ml-dsa-44")],
        [root],
      ],
    ],
    [
      "more certificates than anyone needs",
      "ERR_CERT_INVALID",
      "bad_certificate",
      () => [[leaf, ...Array.from({ length: limits.chainCertificates }, () => middle)], [root]],
    ],
  ];
  test.each(cases)("%s: %s, %s", (_, code, alert, make) => {
    expect(() => check(...make())).toThrow(refusal(code, alert));
  });

  test.each([
    ["MD5", "1.2.840.113549.1.1.4", "ERR_CERT_INVALID", "bad_certificate"],
    ["SHA-1", "1.2.840.113549.1.1.5", "ERR_CERT_UNSUPPORTED", "unsupported_certificate"],
    ["SHA-1 of ECDSA", "1.2.840.10045.4.1", "ERR_CERT_UNSUPPORTED", "unsupported_certificate"],
  ] as const)("§4.5.1.3: a signature with %s, also above the leaf", (_, oid, code, alert) => {
    expect(() => check([signedWith(oid, direct)], [root])).toThrow(refusal(code, alert));
    expect(() => check([leaf, signedWith(oid, middle)], [root])).toThrow(refusal(code, alert));
    // Nobody validates the signature of an anchor.
    expect(() => check([direct], [signedWith(oid, root)])).not.toThrow();
  });

  test("a signature that was changed, anywhere in the chain", () => {
    for (const [at, party] of [leaf, middle].entries()) {
      const der = party.certificate.der.slice();
      der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
      const bytes = party.certificate.signature.bytes.slice();
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      const forged = {
        ...party,
        certificate: { ...party.certificate, der, signature: { ...party.certificate.signature, bytes } },
      };
      expect(() => check(at === 0 ? [forged, middle] : [leaf, forged], [root])).toThrow(
        refusal("ERR_CERT_INVALID", "bad_certificate"),
      );
    }
  });

  test("a name that is none, as the caller's fault", () => {
    expect(() => check([direct], [root], { name: "not a host" })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "servername" }),
    );
  });

  test("but not an unknown extension that is not critical", () => {
    const extensions = [{ ...unsupportedExtension, critical: false }];
    expect(names(check([issue(root, { ...server, extensions })], [root]))).toEqual(["server", "root"]);
  });
});

describe("bounds", () => {
  test("many CAs of one name cost a bounded number of signature checks", () => {
    let checks = 0;
    const counting: CryptoProvider = {
      ...provider,
      verifyingKey: (spki) => {
        const key = provider.verifyingKey(spki);
        return key && { ...key, verify: (...all) => (checks++, key.verify(...all)) };
      },
    };
    // Every one of these could have issued every other, and none of them leads to an anchor.
    const ring = Array.from({ length: 12 }, () => authority({ subject: { CN: "ring" } }));
    const last = ring[0];
    if (last === undefined) throw new Error("the ring has parts");
    expect(() =>
      check([issue(last, server), ...ring, ...ring.slice(0, 10)], [root], { provider: counting }),
    ).toThrow(expect.objectContaining({ alert: expect.stringMatching(/unknown_ca|bad_certificate/) }));
    expect(checks).toBeGreaterThan(0);
    expect(checks).toBeLessThanOrEqual(limits.signatureChecks);
  });
});

describe("VerifiedPathCache", () => {
  const anchors = anchorsOf(root);
  const counted = () => {
    const verifyingKey = vi.fn(provider.verifyingKey.bind(provider));
    return {
      verifyingKey,
      provider: { ...provider, verifyingKey },
    };
  };
  const request = (changes: Partial<VerifyRequest> = {}): VerifyRequest => ({
    provider,
    chain: [leaf.certificate, middle.certificate],
    anchors,
    purpose: "server",
    name: "server.example",
    nowMs: now,
    ...changes,
  });

  test("verifies the same once", () => {
    const cache = new VerifiedPathCache();
    const { provider, verifyingKey } = counted();
    const first = cache.verify(request({ provider }));
    const keys = verifyingKey.mock.calls.length;
    expect(cache.verify(request({ provider }))).toBe(first);
    expect(verifyingKey.mock.calls.length).toBe(keys);
  });

  test("asks for everything again when anything differs", () => {
    const cache = new VerifiedPathCache();
    cache.verify(request());
    const fails = (changes: Partial<VerifyRequest>, code: string) =>
      expect(() => cache.verify(request(changes))).toThrow(expect.objectContaining({ code }));
    fails({ name: "other.example" }, "ERR_CERT_NAME_MISMATCH");
    fails({ purpose: "client" }, "ERR_CERT_UNSUPPORTED");
    fails({ anchors: anchorsOf(authority({ subject: { CN: "x" } })) }, "ERR_CERT_UNTRUSTED");
    fails({ chain: [leaf.certificate] }, "ERR_CERT_UNTRUSTED");
    fails({ chain: [] }, "ERR_CERT_REQUIRED");
    fails({ maxDepth: 0 }, "ERR_CERT_UNTRUSTED");
    expect(cache.verify(request({ name: undefined })).name).toBeUndefined();
    expect(cache.verify(request()).name).toBe("server.example");
  });

  test("checks the dates at every use", () => {
    const cache = new VerifiedPathCache();
    const first = cache.verify(request());
    expect(() => cache.verify(request({ nowMs: now + 2 * day }))).toThrow(
      expect.objectContaining({ code: "ERR_CERT_EXPIRED" }),
    );
    expect(cache.verify(request())).not.toBe(first);
  });

  test("is not fooled by a chain whose leaf ends alike", () => {
    const cache = new VerifiedPathCache();
    cache.verify(request());
    const { der } = leaf.certificate;
    const other = {
      ...leaf.certificate,
      der: Uint8Array.of((der[0] ?? 0) ^ 1, ...der.subarray(1)),
      tbs: new Uint8Array(9),
    };
    expect(() => cache.verify(request({ chain: [other, middle.certificate] }))).toThrow(
      expect.objectContaining({ code: "ERR_CERT_INVALID" }),
    );
  });

  test("stays within its bound", () => {
    const cache = new VerifiedPathCache(1);
    const { provider, verifyingKey } = counted();
    const ask = (name: string | undefined) => {
      const before = verifyingKey.mock.calls.length;
      cache.verify(request({ provider, name }));
      return verifyingKey.mock.calls.length > before;
    };
    expect([ask("server.example"), ask("server.example"), ask(undefined), ask("server.example")]).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });
});
