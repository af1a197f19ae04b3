import { describe, expect, test } from "vitest";
import { clientConfig, forConnection, serverConfig } from "../../src/channel/config.ts";
import { LIMITS } from "../../src/channel/defaults.ts";
import { loadRawIdentity } from "../../src/pki/identity.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { NamedGroup } from "../../src/protocol/iana.ts";
import { credentials, provider } from "../support/credentials.ts";

const rawIdentity = loadRawIdentity(provider, credentials().keyPem);
const shared = { provider, now: Date.now };
const own = { ...shared, credentials: [credentials().identity] };
const client = (options: object) => clientConfig({ ...shared, ...options });
const server = (options: object) => serverConfig({ ...own, ...options });

const psk = { identity: "one", key: new Uint8Array(32) };
const qkd = { sae: "sae-a", peer: "sae-b" };
const compressor = { algorithm: 1, compress: (bytes: Uint8Array) => bytes };

/** What no option of this name may be: option, value, the name in the error when it is another. */
type Row = readonly [string, unknown, (string | undefined)?];

const SHARED: readonly Row[] = [
  ["provider", undefined],
  ["provider", "node"],
  ["now", undefined],
  ["now", 5],
  ["suites", []],
  ["suites", "TLS_AES_128_GCM_SHA256"],
  ["suites", ["TLS_AES_128_CCM_SHA256"]],
  ["suites", ["TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]],
  ["suites", ["toString"]],
  ["suites", [["TLS_AES_128_GCM_SHA256"]]],
  ["groups", []],
  ["groups", ["ffdhe2048"]],
  ["groups", ["x25519"]],
  ["groups", ["X25519MLKEM768", "X25519MLKEM768"]],
  ["groups", ["X25519MLKEM768", ["SecP256r1MLKEM768", "X25519MLKEM768"]]],
  ["groups", [[]]],
  ["groups", [["ffdhe2048"]]],
  ["groups", [[["X25519MLKEM768"]]]],
  ["groups", [5]],
  ["signatureSchemes", []],
  ["signatureSchemes", ["rsa_md5"]],
  ["alpn", "h2"],
  ["alpn", [""]],
  ["alpn", ["x".repeat(256)]],
  ["alpn", [5]],
  ["policy", "strict"],
  ["policy", "toString"],
  ["policy", 5],
  ["policy", { kem: "required" }, "kem"],
  ["policy", { mlkem: "maybe" }, "policy.mlkem"],
  ["policy", { mlkem: "preferred", qkd: "off" }],
  ["policy", "hybrid", "qkd"],
  ["production", "yes"],
  ["psks", psk],
  ["psks", ["identity:key"]],
  ["psks", [{ ...psk, identity: "" }], "psk.identity"],
  ["psks", [{ ...psk, identity: 5 }], "psk.identity"],
  ["psks", [{ ...psk, identity: "x".repeat(16_385) }], "psk.identity"],
  ["psks", [{ ...psk, key: new Uint8Array(15) }], "psk.key"],
  ["psks", [{ ...psk, key: "secret secret secret" }], "psk.key"],
  ["psks", [{ ...psk, hash: "md5" }], "psk.hash"],
  ["psks", [{ ...psk, importContext: "x" }], "psk.importContext"],
  ["psks", [{ ...psk, importContext: new Uint8Array(16_384) }], "psk.identity"],
  ["psks", [{ ...psk, keys: 1 }], "keys"],
  ["pskKe", 1],
  ["recordSizeLimit", 63],
  ["recordSizeLimit", 16_386],
  ["recordSizeLimit", 100.5],
  ["maxSendFragment", 511],
  ["maxSendFragment", 16_385],
  ["maxSendFragment", "512"],
  ["padding", 0],
  ["padding", 16_385],
  ["padding", "64"],
  ["certificateCompression", ["zlib"]],
  ["certificateCompression", compressor],
  ["certificateCompression", [{ algorithm: 1 }]],
  ["certificateCompression", [{ ...compressor, algorithm: 0 }]],
  ["certificateCompression", [{ ...compressor, algorithm: 65_536 }]],
  ["certificateCompression", [{ ...compressor, algorithm: "zlib" }]],
  ["certificateCompression", [{ ...compressor, decompress: "inflate" }]],
  ["certificateCompression", [compressor, { ...compressor }]],
  ["grease", "yes"],
  ["acceptDelegatedCredentials", "yes"],
  ["requestSCT", "yes"],
  ["keyLog", "file"],
  ["limits", 5],
  ["limits", { hours: 1 }, "hours"],
  ...Object.keys(LIMITS).flatMap((name): Row[] => [
    ["limits", { [name]: 0 }, name],
    ["limits", { [name]: "1" }, name],
  ]),
  ["dangerous", { allowClassic: true }, "allowClassic"],
  ["dangerous", { allowClassical: "yes" }, "allowClassical"],
  ["qkd", "sae-a"],
  ["qkd", { ...qkd, sae: "" }, "qkd.sae"],
  ["qkd", { ...qkd, sae: "x".repeat(256) }, "qkd.sae"],
  ["qkd", { ...qkd, sae: undefined }, "qkd.sae"],
  ["qkd", { ...qkd, form: "plain" }, "form"],
  ["qkd", { ...qkd, rawHash: "sha512" }, "qkd.rawHash"],
  ["qkd", { ...qkd, authenticates: "yes" }, "authenticates"],
  ["qkd", { ...qkd, source: 1 }, "source"],
];

const CLIENT: readonly Row[] = [
  ["serverName", ""],
  ["serverName", "x".repeat(256)],
  ["serverName", 5],
  ["sendServerName", 1],
  ["keyShares", -1],
  ["keyShares", 9],
  ["authentication", "password"],
  ["authentication", "psk", "psks"],
  ["qkd", { sae: "sae-a" }, "qkd.peer"],
  ["psks", Array.from({ length: 1000 }, (_, at) => ({ ...psk, identity: `${at}` }))],
  ["credentials", credentials().identity],
  ["credentials", [{}]],
  ["credentials", [{ ...credentials().identity, certificateType: "OpenPGP" }]],
  ["credentials", [{ ...credentials().identity, chain: [] }]],
  ["credentials", [{ ...rawIdentity, chain: [...rawIdentity.chain, ...rawIdentity.chain] }]],
  ["keyShares", ["x448"]],
  ["keyShares", ["X25519MLKEM768", "X25519MLKEM768"]],
  ["keyShares", ["x25519"]],
  ["session", new Uint8Array(10)],
  ["resumption", "yes"],
  ["acceptsUnverified", 1],
  ["asksForIdentity", 1],
  ["insistsOnCertificate", "yes"],
  ["middleboxCompatibility", "off"],
  ["permuteExtensions", 1],
  ["credential", credentials().identity],
];

const SERVER: readonly Row[] = [
  ["credentials", credentials().identity],
  ["credentials", [{}]],
  ["credentials", [], "cert"],
  ["asksForIdentity", 1],
  ["asksForPsk", "no"],
  ["asksForOcsp", "no"],
  ["clientAuth", "optional"],
  ["certificateAuthorities", ["CN=x"]],
  ["tickets", true],
  ["tickets", { number: 1 }, "number"],
  ["tickets", { count: 17 }, "count"],
  ["tickets", { count: -1 }, "count"],
  ["tickets", { lifetimeSeconds: 0 }, "lifetimeSeconds"],
  ["tickets", { lifetimeSeconds: 604_801 }, "lifetimeSeconds"],
  ["honorOwnOrder", 1],
  ["demandsCookie", "always"],
  ["serverName", "localhost"],
];

function refusal(make: (options: object) => unknown, options: object): UsageError {
  try {
    make(options);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error("it was accepted");
}

const title = ([option, value, named]: Row): readonly [string, string, Row] => [
  option,
  (JSON.stringify(value) ?? "undefined").slice(0, 60) + (named === undefined ? "" : ` (${named})`),
  [option, value, named],
];

describe("a wrong option is a UsageError that names it, when the configuration is made", () => {
  test.each([...SHARED, ...CLIENT].map(title))("client %s: %s", (_, __, [option, value, named]) => {
    expect(refusal(client, { [option]: value }).option).toBe(named ?? option);
  });
  test.each([...SHARED, ...SERVER].map(title))("server %s: %s", (_, __, [option, value, named]) => {
    expect(refusal(server, { [option]: value }).option).toBe(named ?? option);
  });

  test("an unknown option is refused by name, so that a typo weakens nothing", () => {
    for (const make of [client, server]) {
      expect(refusal(make, { polícy: "hybrid" })).toMatchObject({
        code: "ERR_OPTION_UNKNOWN",
        option: "polícy",
      });
    }
  });
});

describe("what is frozen and what has a default", () => {
  test("a client's defaults", () => {
    const config = client({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.settings)).toBe(true);
    expect(config.settings.suites.map(({ name }) => name)).toEqual([
      "TLS_AES_256_GCM_SHA384",
      "TLS_CHACHA20_POLY1305_SHA256",
      "TLS_AES_128_GCM_SHA256",
    ]);
    // Nothing classical, since ML-KEM is required.
    expect(config.settings.groups.map(({ name }) => name)).toEqual([
      "X25519MLKEM768",
      "SecP256r1MLKEM768",
      "SecP384r1MLKEM1024",
    ]);
    expect(config.settings).toMatchObject({
      policy: { name: "pqc", ecdh: "preferred", mlkem: "required", qkd: "off", allowClassical: false },
      authentication: "certificate",
      keyShares: [NamedGroup.X25519MLKEM768],
      pskKe: false,
      resumption: true,
      acceptsUnverified: false,
      middleboxCompatibility: true,
      keyLog: false,
    });
  });

  test("no key seals more records than its suite allows (§5.5)", () => {
    expect(client({}).limits.recordsPerKey).toBe(2 ** 24);
    const limits = { recordsPerKey: 2 ** 40 };
    expect(client({ limits }).limits.recordsPerKey).toBeLessThanOrEqual(2 ** 24.5);
  });

  test("an address is never sent as a name; a name is, unless that is switched off", () => {
    const sends = (options: object) => client(options).settings.sendServerName;
    expect(["10.0.0.1", "::1"].map((serverName) => sends({ serverName }))).toEqual([false, false]);
    expect(sends({ serverName: "localhost" })).toBe(true);
    expect(sends({ serverName: "localhost", sendServerName: false })).toBe(false);
    expect(sends({})).toBe(false);
  });

  test("one configuration serves many connections, each with its own name and session", () => {
    const config = client({ serverName: "one.test" });
    const named = forConnection(config, { serverName: "two.test" });
    expect([config.settings.serverName, named.settings.serverName]).toEqual(["one.test", "two.test"]);
    expect(forConnection(config, {}).settings.serverName).toBe("one.test");
    expect(refusal(() => forConnection(config, { session: new Uint8Array(3) }), {}).option).toBe("session");
    expect(refusal(() => forConnection(config, { serverName: "" }), {}).option).toBe("serverName");
  });

  test("a server may do without a certificate when something else proves it", () => {
    const bare = { ...shared };
    expect(serverConfig({ ...bare, psks: [psk] }).settings.psks).toHaveLength(1);
    expect(serverConfig({ ...bare, asksForPsk: true }).settings.asksForPsk).toBe(true);
    expect(serverConfig({ ...bare, asksForIdentity: true }).settings.asksForIdentity).toBe(true);
    expect(
      serverConfig({ ...bare, qkd: { sae: "b", authenticates: true } }).settings.qkd?.authenticates,
    ).toBe(true);
    expect(refusal(serverConfig as never, bare)).toMatchObject({
      code: "ERR_OPTION_MISSING",
      option: "cert",
    });
  });
});
