import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../src/protocol/bytes.ts";
import { encode } from "../../src/wire/codec.ts";
import { ImportedIdentity, parseImportedIdentity, parseQkdContext, QkdContext } from "../../src/wire/psk.ts";
import { code16, field, filled, holdsCodecRules, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const identities = fc.record({
  external_identity: someBytes(1, 60),
  context: someBytes(0, 60),
  target_protocol: code16,
  target_kdf: code16,
});
const identity = {
  external_identity: filled(3),
  context: filled(2),
  target_protocol: 0x0304,
  target_kdf: 1,
};
const targets = concat([number(2, 0x0304), number(2, 1)]);

holdsCodecRules("RFC 9258 §3.1: ImportedIdentity", {
  codec: ImportedIdentity,
  values: identities,
  bounds: [
    {
      field: "external_identity",
      min: 1,
      max: 0xffff,
      sized: (n) => ({ ...identity, external_identity: filled(n) }),
      wire: (n) => concat([field(2, filled(n)), field(2, filled(2)), targets]),
    },
    {
      field: "context",
      min: 0,
      max: 0xffff,
      sized: (n) => ({ ...identity, context: filled(n) }),
      wire: (n) => concat([field(2, filled(3)), field(2, filled(n)), targets]),
    },
  ],
});

holdsCodecRules("the context of an imported QKD key", {
  codec: QkdContext,
  values: fc.record({ initiator: someBytes(1, 255), responder: someBytes(1, 255) }),
  bounds: [
    {
      field: "initiator",
      min: 1,
      max: 255,
      sized: (n) => ({ initiator: filled(n), responder: filled(1) }),
      wire: (n) => concat([field(1, filled(n)), field(1, filled(1))]),
    },
    {
      field: "responder",
      min: 1,
      max: 255,
      sized: (n) => ({ initiator: filled(1), responder: filled(n) }),
      wire: (n) => concat([field(1, filled(1)), field(1, filled(n))]),
    },
  ],
});

describe("identities of unknown make", () => {
  test("what an importer made is parsed back; anything else is undefined and never an error", () => {
    fc.assert(
      fc.property(identities, (value) => {
        const bytes = encode(ImportedIdentity, value);
        expect(parseImportedIdentity(bytes)).toEqual(value);
        for (let length = 0; length < bytes.length; length++) {
          expect(parseImportedIdentity(bytes.subarray(0, length))).toBeUndefined();
        }
        expect(parseImportedIdentity(concat([bytes, filled(1)]))).toBeUndefined();
      }),
      fuzz(20),
    );
    fc.assert(
      fc.property(someBytes(0, 80), (bytes) => {
        const parsed = parseImportedIdentity(bytes);
        if (parsed !== undefined) expect(encode(ImportedIdentity, parsed)).toEqual(bytes);
      }),
      fuzz(200),
    );
  });

  test("the SAE IDs of a context come back as text, the client's first", () => {
    const bytes = encode(QkdContext, { initiator: utf8("sae-ä"), responder: utf8("sae-b") });
    expect(parseQkdContext(bytes)).toEqual({ initiator: "sae-ä", responder: "sae-b" });
  });

  test("a context that is cut, too long or not UTF-8 is none", () => {
    const bytes = encode(QkdContext, { initiator: utf8("sae-a"), responder: utf8("sae-b") });
    for (let length = 0; length < bytes.length; length++) {
      expect(parseQkdContext(bytes.subarray(0, length))).toBeUndefined();
    }
    expect(parseQkdContext(concat([bytes, filled(1)]))).toBeUndefined();
    expect(parseQkdContext(concat([field(1, Uint8Array.of(0xff)), field(1, utf8("b"))]))).toBeUndefined();
    expect(parseQkdContext(concat([field(1), field(1, utf8("b"))]))).toBeUndefined();
  });
});
