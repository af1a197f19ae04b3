import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, EMPTY, toHex, utf8 } from "../../src/protocol/bytes.ts";
import { TargetKdf, TLS13 } from "../../src/protocol/iana.ts";
import {
  hashOfTarget,
  importPsk,
  parseQkdIdentity,
  parseRawQkdIdentity,
  qkdContext,
  qkdIdentity,
  rawPsk,
  rawQkdIdentity,
} from "../../src/schedule/psk.ts";
import { parseImportedIdentity, parseQkdContext } from "../../src/wire/psk.ts";
import { providers } from "../crypto/vectors.ts";
import { field, filled, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";
import * as reference from "./reference.ts";

const HASHES = ["sha256", "sha384"] as const;
const TARGETS = { sha256: [1, 32], sha384: [2, 48] } as const;

describe.each(providers)("%s", (_, provider) => {
  describe.each(HASHES)("RFC 9258 §3.1: a PSK of %s", (own) => {
    test.each(HASHES)("imported for HKDF with %s", (target) => {
      fc.assert(
        fc.property(someBytes(1, 80), someBytes(0, 80), someBytes(16, 64), (identity, context, key) => {
          const [kdf, length] = TARGETS[target];
          const wire = concat([field(2, identity), field(2, context), number(2, 0x0304), number(2, kdf)]);
          // Both HKDF and Hash are those of the external PSK, and only the length is the target's.
          const zeros = new Uint8Array(provider.hash(own).outputBytes);
          const epskx = reference.hkdfExtract(own, zeros, key);
          const ipskx = reference.hkdfExpandLabel(
            own,
            epskx,
            "derived psk",
            reference.digest(own, wire),
            length,
          );
          const before = toHex(key);
          const ready = importPsk(provider, { identity, key, hash: own }, context, target);
          expect(toHex(ready.identity)).toBe(toHex(wire));
          expect(toHex(ready.secret)).toBe(toHex(ipskx));
          expect(ready).toMatchObject({ hash: target, binder: "imp binder" });
          expect(toHex(key)).toBe(before);
        }),
        fuzz(15),
      );
    });
  });

  test("each import differs: by identity, context, target and key", () => {
    const psk = { identity: utf8("id"), key: filled(32), hash: "sha256" } as const;
    const secrets = [
      importPsk(provider, psk, utf8("context"), "sha256"),
      importPsk(provider, { ...psk, identity: utf8("ie") }, utf8("context"), "sha256"),
      importPsk(provider, psk, utf8("other"), "sha256"),
      importPsk(provider, { ...psk, key: filled(32, 1) }, utf8("context"), "sha256"),
      importPsk(provider, psk, utf8("context"), "sha384"),
      importPsk(provider, { ...psk, hash: "sha384" }, utf8("context"), "sha256"),
    ].map(({ secret }) => toHex(secret.subarray(0, 32)));
    expect(new Set(secrets).size).toBe(secrets.length);
  });

  test("the roles are bound: with the SAE IDs swapped it is another PSK, so a reflection fails at the binder", () => {
    const psk = { identity: qkdIdentity("k"), key: filled(32), hash: "sha256" } as const;
    const there = importPsk(provider, psk, qkdContext("sae-a", "sae-b"), "sha384");
    const back = importPsk(provider, psk, qkdContext("sae-b", "sae-a"), "sha384");
    expect(toHex(there.secret)).not.toBe(toHex(back.secret));
  });
});

test("a raw PSK is a copy of its key, with the hash it was provisioned for", () => {
  const key = filled(32);
  const ready = rawPsk({ identity: utf8("id"), key, hash: "sha384" });
  expect(ready).toEqual({ identity: utf8("id"), secret: filled(32), hash: "sha384", binder: "ext binder" });
  ready.secret.fill(0);
  expect(key).toEqual(filled(32));
});

test("RFC 9258 §3.1: the hash behind each target KDF", () => {
  expect(hashOfTarget(TargetKdf.HKDF_SHA256)).toBe("sha256");
  expect(hashOfTarget(TargetKdf.HKDF_SHA384)).toBe("sha384");
  for (const other of [0, 3, 0xff00, 0xffff]) expect(hashOfTarget(other)).toBeUndefined();
});

describe("how a QKD key is named on the wire", () => {
  const keyId = "bc490419-7d60-487f-adc1-4ddcc177c139";

  test("imported: the scheme and the key_ID, with both SAE IDs as context", () => {
    expect(qkdIdentity(keyId)).toEqual(utf8(`etsi-qkd-014:${keyId}`));
    expect(parseQkdIdentity(`etsi-qkd-014:${keyId}`)).toBe(keyId);
    for (const other of ["", keyId, `ETSI-QKD-014:${keyId}`, ` etsi-qkd-014:${keyId}`]) {
      expect(parseQkdIdentity(other)).toBeUndefined();
    }
    expect(toHex(qkdContext("sae-a", "sae-b"))).toBe(
      toHex(concat([field(1, utf8("sae-a")), field(1, utf8("sae-b"))])),
    );
    expect(() => qkdContext("", "sae-b")).toThrow(RangeError);
    expect(() => qkdContext("sae-a", "b".repeat(256))).toThrow(RangeError);
  });

  test("any SAE IDs and key_ID come back from the imported identity", () => {
    const sae = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(sae, sae, fc.uuid(), (initiator, responder, id) => {
        const context = qkdContext(initiator, responder);
        const provider = providers[0]![1];
        const { identity } = importPsk(
          provider,
          { identity: qkdIdentity(id), key: filled(32), hash: "sha256" },
          context,
          "sha384",
        );
        const parsed = parseImportedIdentity(identity);
        expect(parsed).toMatchObject({ target_protocol: TLS13, target_kdf: TargetKdf.HKDF_SHA384 });
        expect(parseQkdContext(parsed?.context ?? EMPTY)).toEqual({ initiator, responder });
        expect(parseQkdIdentity(new TextDecoder().decode(parsed?.external_identity))).toBe(id);
      }),
      fuzz(40),
    );
  });

  test("raw: SAE IDs are percent-encoded, so that no slash or colon of theirs is taken for ours", () => {
    expect(rawQkdIdentity("sae/a", "sae:b", keyId)).toEqual(utf8(`etsi-qkd-014:sae%2Fa/sae%3Ab/${keyId}`));
    const sae = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(sae, sae, fc.uuid(), (initiator, responder, id) => {
        const text = new TextDecoder().decode(rawQkdIdentity(initiator, responder, id));
        expect(parseRawQkdIdentity(text)).toEqual({ initiator, responder, keyId: id });
      }),
      fuzz(60),
    );
  });

  test("raw: whatever is no such identity is undefined, and never an error", () => {
    for (const text of [
      "",
      "etsi-qkd-014:",
      "etsi-qkd-014:a/b",
      "etsi-qkd-014:a/b/c/d",
      "x:a/b/c",
      "etsi-qkd-014:%/b/c",
      "etsi-qkd-014:%ff/b/c",
    ]) {
      expect(parseRawQkdIdentity(text), text).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(() => parseRawQkdIdentity(`etsi-qkd-014:${text}`)).not.toThrow();
      }),
      fuzz(200),
    );
  });
});
