import { describe, expect, test } from "vitest";
import { keyExchangeGroup, primitivesOf } from "../../src/crypto/groups.ts";
import { nobleProvider } from "../../src/crypto/noble.ts";
import { nodeProvider } from "../../src/crypto/node.ts";
import type { CryptoProvider, CurveName } from "../../src/crypto/provider.ts";
import { equal, toHex } from "../../src/protocol/bytes.ts";
import { NamedGroup, type NamedGroupName } from "../../src/protocol/iana.ts";

const node = nodeProvider();
const noble = nobleProvider();

/** Client share, server share and secret in bytes; which sources. RFC 10024, RFC 9846 §4.3.8. */
const SIZES: Readonly<Record<NamedGroupName, readonly [number, number, number, boolean, boolean]>> = {
  secp256r1: [65, 65, 32, true, false],
  secp384r1: [97, 97, 48, true, false],
  secp521r1: [133, 133, 66, true, false],
  x25519: [32, 32, 32, true, false],
  MLKEM768: [1184, 1088, 32, false, true],
  MLKEM1024: [1568, 1568, 32, false, true],
  SecP256r1MLKEM768: [1249, 1153, 64, true, true],
  X25519MLKEM768: [1216, 1120, 64, true, true],
  SecP384r1MLKEM1024: [1665, 1665, 80, true, true],
};
const names = Object.keys(SIZES) as NamedGroupName[];
const illegal = expect.objectContaining({
  name: "ProtocolError",
  code: "ERR_TLS_ILLEGAL_PARAMETER",
  alert: "illegal_parameter",
});

describe.each(names)("%s", (name) => {
  const [clientBytes, serverBytes, secretBytes, ecdh, mlkem] = SIZES[name];

  test.each([
    [node, noble],
    [noble, node],
    [node, node],
  ])("client and server agree, whoever computes", (client, server) => {
    const group = keyExchangeGroup(client, name);
    const pending = group.start();
    const answer = keyExchangeGroup(server, name).respond(pending.share);
    const secret = pending.complete(answer.share);
    expect([pending.share.length, answer.share.length, secret.length]).toEqual([
      clientBytes,
      serverBytes,
      secretBytes,
    ]);
    expect(toHex(secret)).toBe(toHex(answer.secret));
    expect([group.name, group.code, group.ecdh, group.mlkem]).toEqual([name, NamedGroup[name], ecdh, mlkem]);
  });

  test("a share of another length is illegal_parameter on both sides", () => {
    const group = keyExchangeGroup(node, name);
    for (const length of [0, 1, clientBytes - 1, clientBytes + 1]) {
      expect(() => group.respond(new Uint8Array(length))).toThrow(illegal);
    }
    const { share } = group.respond(group.start().share);
    for (const bad of [share.subarray(1), new Uint8Array([...share, 0]), new Uint8Array(0)]) {
      expect(() => group.start().complete(bad)).toThrow(illegal);
    }
  });

  test("an exchange completes once", () => {
    const group = keyExchangeGroup(node, name);
    const pending = group.start();
    const { share } = group.respond(pending.share);
    pending.complete(share);
    expect(() => pending.complete(share)).toThrow(expect.objectContaining({ code: "ERR_STATE" }));
  });

  test("the group is made once per provider", () => {
    expect(keyExchangeGroup(node, name)).toBe(keyExchangeGroup(node, name));
    expect(keyExchangeGroup(node, name)).not.toBe(keyExchangeGroup(noble, name));
  });
});

describe.each([
  ["node", node],
  ["noble", noble],
] as const)("RFC 9846 §4.3.8.2: points that are not valid, by %s", (_, provider) => {
  test.each(["x25519", "secp256r1", "secp384r1", "secp521r1"] as const)("%s, on both sides", (name) => {
    const group = keyExchangeGroup(provider, name);
    for (const bad of badPoints(name)) {
      expect(() => group.respond(bad)).toThrow(illegal);
      expect(() => group.start().complete(bad)).toThrow(illegal);
    }
  });
});

/** Where the parts lie: RFC 10024 puts ML-KEM first for X25519 alone. */
const PLACES = [
  ["X25519MLKEM768", "x25519", 1184, 1088, 32],
  ["SecP256r1MLKEM768", "secp256r1", 0, 0, 0],
  ["SecP384r1MLKEM1024", "secp384r1", 0, 0, 0],
] as const;

describe.each(PLACES)("%s", (name, curve, clientAt, serverAt, secretAt) => {
  const kem = name === "SecP384r1MLKEM1024" ? "ml-kem-1024" : "ml-kem-768";

  test("is put together in its own order, which the single groups can take apart", () => {
    const { publicKeyBytes } = node.ecdh(curve);
    const pending = keyExchangeGroup(node, name).start();
    const theirs = noble.ecdh(curve).generate();
    const [clientShare, rest] = cut(pending.share, clientAt, publicKeyBytes);
    const sent = noble.kem(kem).encapsulate(rest);
    const parts = [theirs.publicKey, sent?.ciphertext ?? new Uint8Array(0)];
    const secrets = [theirs.agree(clientShare) ?? new Uint8Array(0), sent?.sharedSecret ?? new Uint8Array(0)];
    if (serverAt > 0) {
      parts.reverse();
      secrets.reverse();
    }
    const secret = pending.complete(Buffer.concat(parts));
    expect(toHex(secret)).toBe(Buffer.concat(secrets).toString("hex"));
    expect(secrets[0]?.length).toBe(secretAt === 32 || curve !== "secp384r1" ? 32 : 48);
  });

  test.each([
    ["node", node],
    ["noble", noble],
  ] as const)("a bad ECDH part is illegal_parameter on both sides (%s)", (_, provider) => {
    const group = keyExchangeGroup(provider, name);
    for (const bad of badPoints(curve)) {
      const clientShare = group.start().share.slice();
      clientShare.set(bad, clientAt);
      expect(() => group.respond(clientShare)).toThrow(illegal);
      const pending = group.start();
      const serverShare = group.respond(pending.share).share.slice();
      serverShare.set(bad, serverAt);
      expect(() => pending.complete(serverShare)).toThrow(illegal);
    }
  });

  test.each([
    ["node", node],
    ["noble", noble],
  ] as const)(
    "an encapsulation key that is not reduced is refused before ECDH is computed (%s)",
    (_, provider) => {
      let agreements = 0;
      const watched: CryptoProvider = {
        ...provider,
        ecdh: (curve) => ({
          ...provider.ecdh(curve),
          generate() {
            agreements++;
            return provider.ecdh(curve).generate();
          },
        }),
      };
      const share = keyExchangeGroup(provider, name).start().share.slice();
      const ekAt = clientAt > 0 ? 0 : node.ecdh(curve).publicKeyBytes;
      share.fill(0xff, ekAt, ekAt + 3);
      expect(() => keyExchangeGroup(watched, name).respond(share)).toThrow(illegal);
      expect(agreements).toBe(0);
    },
  );

  test("a ciphertext that was tampered with gives another secret, by implicit rejection", () => {
    const group = keyExchangeGroup(node, name);
    const pending = group.start();
    const answer = group.respond(pending.share);
    const changed = answer.share.slice();
    const ctAt = serverAt > 0 ? 0 : node.ecdh(curve).publicKeyBytes;
    changed[ctAt + 5] = (changed[ctAt + 5] ?? 0) ^ 1;
    expect(equal(pending.complete(changed), answer.secret)).toBe(false);
  });

  test("names the primitives it needs", () => {
    expect([...primitivesOf(name)].toSorted()).toEqual([curve, kem].toSorted());
  });
});

test("component secrets are wiped once they are joined, and when a later part fails", () => {
  const seen: Uint8Array[] = [];
  const watched: CryptoProvider = {
    ...node,
    ecdh: (curve) => ({
      ...node.ecdh(curve),
      generate() {
        const pair = node.ecdh(curve).generate();
        return { ...pair, agree: (peer) => remember(pair.agree(peer)) };
      },
    }),
    kem: (name) => ({
      ...node.kem(name),
      encapsulate(key) {
        const sent = node.kem(name).encapsulate(key);
        remember(sent?.sharedSecret);
        return sent;
      },
    }),
  };
  function remember(secret: Uint8Array | undefined): Uint8Array | undefined {
    if (secret !== undefined) seen.push(secret);
    return secret;
  }
  const group = keyExchangeGroup(watched, "X25519MLKEM768");
  const { share } = keyExchangeGroup(node, "X25519MLKEM768").start();
  expect(equal(group.respond(share).secret, new Uint8Array(64))).toBe(false);
  expect(seen.length).toBe(2);
  const bad = share.slice();
  bad.fill(0, 1184);
  expect(() => group.respond(bad)).toThrow(illegal);
  expect(seen.length).toBe(3);
  for (const secret of seen) expect(equal(secret, new Uint8Array(32))).toBe(true);
});

function badPoints(curve: CurveName): readonly Uint8Array[] {
  // Zero, one and a point of order eight all lead to the all-zero result.
  const order8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
  if (curve === "x25519")
    return [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31)), Buffer.from(order8, "hex")];
  const good = node.ecdh(curve).generate().publicKey;
  const offCurve = good.slice();
  offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
  const hybridForm = good.slice();
  hybridForm[0] = 6 | ((good.at(-1) ?? 0) & 1);
  return [
    new Uint8Array(good.length),
    offCurve,
    hybridForm,
    Uint8Array.of(4, ...new Uint8Array(good.length - 1)),
  ];
}

/** The bytes at a place, and what is around them. */
function cut(bytes: Uint8Array, at: number, length: number): readonly [Uint8Array, Uint8Array] {
  return [
    bytes.slice(at, at + length),
    new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + length)]),
  ];
}

test("RFC 9846 §7.4.2: a secret that begins with zeros keeps them", () => {
  const own = noble.ecdh("secp256r1").generate();
  for (let tries = 0; tries < 20_000; tries++) {
    const theirs = node.ecdh("secp256r1").generate();
    const secret = theirs.agree(own.publicKey)!;
    expect(secret).toHaveLength(32);
    if (secret[0] !== 0) continue;
    expect(own.agree(theirs.publicKey)).toEqual(secret);
    return;
  }
  expect.unreachable("no such secret in 20,000 tries");
});
