import { describe, expect, test } from "vitest";
import type { ClientOptions } from "../../src/channel/options.ts";
import { ordered } from "../../src/handshake/extension-order.ts";
import { ExtensionType, TLS13 } from "../../src/protocol/iana.ts";
import { decode } from "../../src/wire/codec.ts";
import { ClientHello, clientExtensionTypes } from "../../src/wire/hello.ts";
import { filled } from "../support/codec-rules.ts";
import { engines } from "../support/engines.ts";

/** The types of extension of each ClientHello, as they stand on the wire. */
function orders(client: Partial<ClientOptions>, server: object = {}): (readonly number[])[] {
  const seen: (readonly number[])[] = [];
  const { failed } = engines({
    client,
    server,
    edit: (name, body) =>
      void (name === "client_hello" && seen.push(decode(ClientHello, body).extensions.present ?? [])),
  });
  expect(failed).toBeUndefined();
  return seen;
}
const sorted = (types: readonly number[] | undefined) => types?.toSorted((a, b) => a - b);
const permuted = { permuteExtensions: true, alpn: ["h2"], requestOCSP: true } as const;
const plain = { ...permuted, permuteExtensions: false } as const;

describe("RFC 9846 §4.3: extensions may stand in any order", () => {
  test("which is that of their declaration, each time, unless one of chance is wanted", () => {
    const [[one], [two]] = [orders(plain), orders(plain)];
    expect(one).toEqual(two);
    expect(one).toEqual(clientExtensionTypes.filter((type) => one?.includes(type)));
  });

  test("one of chance is another for each connection, of the same extensions", () => {
    const [declared] = orders(plain);
    const seen = Array.from({ length: 12 }, () => orders(permuted)[0]);
    for (const types of seen) expect(sorted(types)).toEqual(sorted(declared));
    expect(new Set(seen.map((types) => types?.join())).size).toBeGreaterThan(8);
  });

  test("each place may fall to each extension", () => {
    const places = new Map<number, Set<number>>();
    for (let n = 0; n < 2000; n++) {
      const { extensions } = ordered(hello, true, { random: (bytes) => randomBytes(bytes) });
      for (const [at, type] of (extensions.order ?? []).entries()) {
        places.set(at, (places.get(at) ?? new Set()).add(type));
      }
    }
    expect(places.size).toBe(clientExtensionTypes.length);
    for (const types of places.values()) expect(types.size).toBe(clientExtensionTypes.length);
  });

  test("but for pre_shared_key, which stays last (§4.3.11)", () => {
    const psks = [{ identity: "one", key: filled(32, 7) }];
    for (let n = 0; n < 20; n++) {
      const [types] = orders({ ...permuted, psks }, { psks });
      expect(types?.at(-1)).toBe(ExtensionType.pre_shared_key);
    }
  });

  test("and for reserved ones, which stay around the others (RFC 8701 §5)", () => {
    const [types] = orders({ ...permuted, grease: true });
    const named = Object.values<number>(ExtensionType);
    expect(types?.map((type) => named.includes(type)).join()).toMatch(/^false(?:,true)+,false$/);
  });

  test("a second ClientHello keeps the order of the first, with the cookie somewhere in it", () => {
    const psks = [{ identity: "one", key: filled(32, 7) }];
    const server = { demandsCookie: true, groups: ["SecP384r1MLKEM1024"], psks } as const;
    for (let n = 0; n < 10; n++) {
      const [first, second] = orders({ ...permuted, psks }, server);
      expect(second?.filter((type) => type !== ExtensionType.cookie)).toEqual(first);
      expect(second).toContain(ExtensionType.cookie);
      expect(second?.at(-1)).toBe(ExtensionType.pre_shared_key);
    }
  });
});

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
const hello: ClientHello = {
  legacy_version: 0x0303,
  random: filled(32),
  legacy_session_id: filled(0),
  cipher_suites: [0x1302],
  legacy_compression_methods: filled(1, 0),
  extensions: { supported_versions: [TLS13] },
};
