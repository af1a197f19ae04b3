import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { connect, createSecureContext, createServer, UsageError } from "../../src/index.ts";
import type { ContextOptions } from "../../src/index.ts";
import { contextFor } from "../../src/node/context.ts";
import { credentials } from "../support/credentials.ts";

const { caPem: ca, certPem: cert, keyPem: key } = credentials();
const object = createPrivateKey(key);

describe("keys in every form that node:tls takes", () => {
  test.each([
    ["PEM, PKCS #8", key],
    ["PEM as bytes", Buffer.from(key)],
    ["PEM, SEC 1", object.export({ type: "sec1", format: "pem" }) as string],
    ["DER, PKCS #8", object.export({ type: "pkcs8", format: "der" })],
    ["a KeyObject", object],
  ])("%s", (_, form) => {
    expect(createSecureContext({ cert, key: form }).credentials).toHaveLength(1);
  });

  test("encrypted, with its passphrase and not without", () => {
    const locked = object.export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "open",
    }) as string;
    expect(createSecureContext({ cert, key: locked, passphrase: "open" }).credentials).toHaveLength(1);
    for (const passphrase of [undefined, "wrong"]) {
      const options = { cert, key: locked, ...(passphrase === undefined ? {} : { passphrase }) };
      expect(() => createSecureContext(options)).toThrow(expect.objectContaining({ option: "key" }));
    }
  });

  test("several, each with its certificate", () => {
    const rsa = credentials("rsa");
    const context = createSecureContext({ cert: [cert, rsa.certPem], key: [key, rsa.keyPem] });
    expect(context.credentials.map(({ schemes }) => schemes[0])).toEqual([
      "ecdsa_secp256r1_sha256",
      "rsa_pss_rsae_sha256",
    ]);
  });
});

describe("what is wrong is refused by name", () => {
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const rows: readonly (readonly [string, ContextOptions, string])[] = [
    ["a certificate without its key", { cert }, "key"],
    ["a key without its certificate", { key }, "cert"],
    ["two certificates and one key", { cert: [cert, cert], key }, "key"],
    ["a key of another certificate", { cert, key: other }, "key"],
    ["a certificate that is none", { cert: "nonsense", key }, "cert"],
    ["a key that is none", { cert, key: "nonsense" }, "key"],
    ["an anchor that is none", { ca: "nonsense" }, "ca"],
    ["a version above 1.3", { maxVersion: "TLSv1.4" }, "maxVersion"],
    ["no version above 1.2", { maxVersion: "TLSv1.2" }, "maxVersion"],
    ["a lowest version of nobody", { minVersion: "SSLv3" }, "minVersion"],
  ];
  test.each(rows)("%s", (_, options, option) => {
    let error: unknown;
    try {
      createSecureContext(options);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ option });
  });

  test.each(["ciphers", "ecdhCurve", "sigalgs"] as const)("%s with a name of nobody", (option) => {
    expect(() => createSecureContext({ [option]: "AES:NOPE" }).shared).toThrow(
      expect.objectContaining({ option }),
    );
  });
});

describe("the lists of node:tls, separated by colons", () => {
  test("in any case, with OpenSSL's names for curves", () => {
    const { shared } = createSecureContext({
      ciphers: "tls_aes_128_gcm_sha256:TLS_AES_256_GCM_SHA384",
      ecdhCurve: "x25519mlkem768:P-256:prime256v1:X25519:P-521",
      sigalgs: "ecdsa_secp256r1_sha256:mldsa65",
    });
    expect(shared).toMatchObject({
      suites: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
      groups: ["X25519MLKEM768", "secp256r1", "secp256r1", "x25519", "secp521r1"],
      signatureSchemes: ["ecdsa_secp256r1_sha256", "mldsa65"],
    });
  });

  test("a lowest version is fine as long as 1.3 is in reach", () => {
    expect(createSecureContext({ minVersion: "TLSv1.2", maxVersion: "TLSv1.3" }).credentials).toEqual([]);
  });
});

test("the same options share one context, others do not", () => {
  expect(contextFor({ ca })).toBe(contextFor({ ca }));
  expect(contextFor({ ca })).not.toBe(contextFor({ ca, keylog: false }));
  const ranked = (): ContextOptions => ({ ca, groups: [["X25519MLKEM768", "SecP256r1MLKEM768"]] });
  expect(contextFor(ranked())).toBe(contextFor(ranked()));
  expect(contextFor(ranked())).not.toBe(
    contextFor({ ca, groups: [["SecP256r1MLKEM768", "X25519MLKEM768"]] }),
  );
  expect(contextFor(ranked())).not.toBe(contextFor({ ca, groups: ["X25519MLKEM768", "SecP256r1MLKEM768"] }));
});

describe("a wrong value is refused under the name that the caller used", () => {
  const refusal = (call: () => unknown): string | undefined => {
    try {
      call();
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      return (error as UsageError).option;
    }
    throw new Error("it was accepted");
  };

  test.each([
    ["ALPNProtocols", ["x".repeat(256)]],
    ["ALPNProtocols", "h2"],
    ["handshakeTimeout", 0],
    ["handshakeTimeout", "soon"],
    ["handshakeTimeout", 2 ** 31],
    ["highWaterMark", -1],
    ["allowHalfOpen", "yes"],
    ["psk", "identity:key"],
    ["rejectUnauthorized", 0],
    ["rejectUnauthorized", "false"],
    ["production", "no"],
    ["pskKe", 1],
    ["keylog", "file"],
    ["acceptDelegatedCredentials", 1],
    ["grease", 1],
    ["recordSizeLimit", 63],
    ["padding", -1],
    ["maxSendFragment", 511],
    ["certificateCompression", "zlib"],
    ["certificateCompression", ["gzip"]],
    ["certificateCompression", ["zlib", "zlib"]],
    ["policy", "strict"],
    ["limits", 5],
  ])("%s: %j", (option, value) => {
    expect(refusal(() => connect({ port: 1, ca, [option]: value }))).toBe(option);
    expect(refusal(() => createServer({ cert, key, [option]: value }))).toBe(option);
  });

  test.each([
    ["sessionTimeout", 604_801],
    ["sessionTimeout", 0],
    ["tickets", 17],
    ["ticketKeys", Buffer.alloc(47)],
    ["requestCert", 1],
    ["honorCipherOrder", "mine"],
    ["demandsCookie", 1],
    ["requestSCT", 1],
    ["delegatedCredentials", [{ cert, key, delegatedCredential: Uint8Array.of(1) }]],
    ["ocspResponse", "MAMKAQE="],
    ["ocspResponse", new Uint8Array(0)],
    ["signedCertificateTimestampList", []],
    ["signedCertificateTimestampList", [new Uint8Array(0)]],
  ])("of a server, %s: %j", (option, value) => {
    expect(refusal(() => createServer({ cert, key, [option]: value }))).toBe(option);
  });

  test.each([
    ["servername", "x".repeat(256)],
    ["timeout", -1],
    ["session", Buffer.from("x")],
    ["authentication", "none"],
    ["keyShares", 99],
    ["middleboxCompatibility", 1],
    ["permuteExtensions", "yes"],
    ["certificateCallback", "choose"],
    ["requestOCSP", 1],
    ["requestSCT", 1],
    ["resumption", "yes"],
  ])("of a client, %s: %j", (option, value) => {
    expect(refusal(() => connect({ port: 1, ca, [option]: value }))).toBe(option);
  });
});

test("what is stapled goes with the one certificate, and with none or several it is refused", () => {
  const stapled = {
    ocspResponse: Uint8Array.of(1, 2),
    signedCertificateTimestampList: [Uint8Array.of(3)],
  };
  expect(createSecureContext({ cert, key, ...stapled }).credentials).toMatchObject([stapled]);
  for (const identity of [{}, { cert: [cert, cert], key: [key, key] }]) {
    for (const [option, value] of Object.entries(stapled)) {
      expect(() => createSecureContext({ ...identity, [option]: value })).toThrow(
        expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
      );
    }
  }
});

describe("a context says none of its secrets when it is printed", () => {
  test.each(["secp256r1", "ed25519", "ml-dsa-65"] as const)("%s, a PSK and a passphrase", (kind) => {
    const { certPem, keyPem } = credentials(kind);
    const psk = { identity: "one", key: new Uint8Array(32).fill(0xa5) };
    const context = createSecureContext({ cert: certPem, key: keyPem, psk, passphrase: "open sesame" });
    for (const text of [inspect(context, { depth: 12, maxArrayLength: 1e5 }), JSON.stringify(context)]) {
      expect(text).not.toMatch(/PRIVATE KEY|open sesame|(?:165,\s*){3}|(?:a5 ?){3}/);
    }
    // The last bytes of PKCS #8 are the private key's, but for the EC form, which the public key ends.
    const ownKey =
      kind === "secp256r1"
        ? Buffer.from(createPrivateKey(keyPem).export({ format: "jwk" }).d as string, "base64url")
        : Buffer.from(keyPem.replace(/-----.*-----|\s/g, ""), "base64").subarray(-32);
    expect(inspect(context, { depth: 12, maxArrayLength: 1e5 })).not.toMatch(
      new RegExp([...ownKey.subarray(0, 4)].join(",\\s*")),
    );
  });
});
