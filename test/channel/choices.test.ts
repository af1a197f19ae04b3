import { expect, test } from "vitest";
import { clientConfig, serverConfig } from "../../src/channel/config.ts";
import { loadRawIdentity } from "../../src/pki/identity.ts";
import { UsageError } from "../../src/protocol/errors.ts";
import { credentials, provider } from "../support/credentials.ts";

const shared = { provider, now: Date.now };
const client = (options: object) => clientConfig({ ...shared, ...options });
const server = (options: object) =>
  serverConfig({ ...shared, credentials: [credentials().identity], ...options });
const qkd = { sae: "sae-a", peer: "sae-b" };

function refusedOption(options: object): string | undefined {
  try {
    client(options);
  } catch (error) {
    if (error instanceof UsageError) return error.option;
  }
  return undefined;
}

test("a key source without a word means that QKD is required", () => {
  expect(client({ qkd }).settings.policy.name).toBe("hybrid");
  expect(server({ qkd: { sae: "sae-b" } }).settings.policy.name).toBe("hybrid");
});

test.each([
  ["hybrid", { ecdh: "preferred", mlkem: "required", qkd: "required" }],
  ["prefer-hybrid", { ecdh: "preferred", mlkem: "required", qkd: "preferred" }],
  ["pqc", { ecdh: "preferred", mlkem: "required", qkd: "off" }],
  ["qkd", { ecdh: "preferred", mlkem: "preferred", qkd: "required" }],
] as const)("the preset %s", (policy, legs) => {
  expect(client({ policy, qkd }).settings.policy).toMatchObject({ name: policy, ...legs });
});

test("classical groups come in, behind the hybrids, only where policy can do without ML-KEM", () => {
  const names = (options: object) => client(options).settings.groups.map(({ name }) => name);
  const all = [
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "x25519",
    "secp256r1",
    "secp384r1",
  ];
  expect(names({ policy: "qkd", qkd })).toEqual(all);
  expect(names({ dangerous: { allowClassical: true } })).toEqual(all);
  expect(names({ policy: { ecdh: "off" }, groups: ["MLKEM768", "MLKEM1024"] })).toEqual([
    "MLKEM768",
    "MLKEM1024",
  ]);
  expect(refusedOption({ policy: { ecdh: "off" } })).toBe("groups");
});

test("secp521r1 is offered where it is named, and never by default", () => {
  const groups = ["X25519MLKEM768", "secp521r1"];
  const dangerous = { allowClassical: true };
  expect(client({ groups, dangerous }).settings.groups.map(({ code }) => code)).toEqual([0x11ec, 0x0019]);
  expect(client({ dangerous }).settings.groups.map(({ name }) => name)).not.toContain("secp521r1");
  expect(refusedOption({ groups })).toBe("groups");
});

test("a group whose primitive the provider lacks is refused by name", () => {
  const { secp521r1: _, ...backends } = provider.backends;
  const without = { provider: { ...provider, backends }, dangerous: { allowClassical: true } };
  expect(refusedOption({ ...without, groups: ["secp256r1"] })).toBeUndefined();
  expect(refusedOption({ ...without, groups: ["secp521r1"] })).toBe("groups");
});

test("key shares are told by number or by name, and go out in the order of the groups (§4.3.8)", () => {
  const groups = ["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"];
  expect(client({ groups, keyShares: 2 }).settings.keyShares).toEqual([0x11ec, 0x11eb]);
  const named = ["SecP384r1MLKEM1024", "X25519MLKEM768"];
  expect(client({ groups, keyShares: named }).settings.keyShares).toEqual([0x11ec, 0x11ed]);
  expect(refusedOption({ groups, keyShares: ["x25519"] })).toBe("keyShares");
});

test("RFC 7250: types of certificate are X509 and RawPublicKey, and what is offered follows the credentials", () => {
  const { identity, keyPem } = credentials();
  const raw = loadRawIdentity(provider, keyPem);
  const types = (options: object) => {
    const { serverCertificateTypes, clientCertificateTypes } = client(options).settings;
    return [serverCertificateTypes, clientCertificateTypes];
  };
  expect(types({})).toEqual([["X509"], []]);
  expect(types({ credentials: [raw, identity, raw] })).toEqual([["X509"], ["RawPublicKey", "X509"]]);
  expect(types({ credentials: [raw], clientCertificateTypes: ["X509"] })).toEqual([["X509"], ["X509"]]);
  expect(server({}).settings.clientCertificateTypes).toEqual(["X509"]);
  for (const option of ["serverCertificateTypes", "clientCertificateTypes"]) {
    for (const bad of [[], "X509", ["OpenPGP"], ["X509", "X509"]])
      expect(refusedOption({ [option]: bad }), String(bad)).toBe(option);
  }
});
