import { describe, expect, test } from "vitest";
import { serverConfig } from "../../src/channel/config.ts";
import { announces, readyPsk } from "../../src/handshake/static-psk.ts";
import type { StaticPsk } from "../../src/handshake/settings.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { TLS12, TLS13 } from "../../src/protocol/iana.ts";
import { importPsk } from "../../src/schedule/psk.ts";
import { encode } from "../../src/wire/codec.ts";
import { ImportedIdentity } from "../../src/wire/psk.ts";
import { credentials, provider } from "../support/credentials.ts";

const { settings } = serverConfig({ provider, now: Date.now, credentials: [credentials().identity] });
const raw: StaticPsk = { identity: utf8("one"), key: new Uint8Array(32).fill(1), hash: "sha256" };
const context = utf8("context");
const imported: StaticPsk = { ...raw, importContext: context };
const identity = (change: object = {}) =>
  encode(ImportedIdentity, {
    external_identity: raw.identity,
    context,
    target_protocol: TLS13,
    target_kdf: 1,
    ...change,
  });

describe("RFC 9258 §3.1: an imported key's identity", () => {
  test("announces it for TLS 1.3 and each KDF", () => {
    expect(announces(identity(), imported)).toBe(true);
    for (const [target_kdf, hash] of [
      [1, "sha256"],
      [2, "sha384"],
    ] as const) {
      expect(readyPsk(identity({ target_kdf }), imported, settings)).toEqual(
        importPsk(provider, imported, context, hash),
      );
    }
  });

  test.each([
    ["another name", { external_identity: utf8("two") }],
    ["another context", { context: utf8("other") }],
    ["another protocol", { target_protocol: TLS12 }],
  ])("with %s is another's", (_, change) => {
    expect(announces(identity(change), imported)).toBe(false);
    expect(readyPsk(identity(change), imported, settings)).toBeUndefined();
  });

  test("for a KDF that is not ours gives no key", () => {
    expect(readyPsk(identity({ target_kdf: 9 }), imported, settings)).toBeUndefined();
  });
});

test("a raw key's identity is its name, byte by byte, and neither form passes for the other", () => {
  expect(announces(utf8("one"), raw)).toBe(true);
  expect(readyPsk(utf8("one"), raw, settings)).toMatchObject({ hash: "sha256", binder: "ext binder" });
  expect(announces(utf8("One"), raw)).toBe(false);
  expect(announces(identity(), raw)).toBe(false);
  expect(announces(utf8("one"), imported)).toBe(false);
});
