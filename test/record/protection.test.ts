import { createCipheriv, type CipherGCMTypes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, equal, fromHex, toHex } from "../../src/protocol/bytes.ts";
import type { AeadName, CryptoProvider } from "../../src/crypto/provider.ts";
import { suites } from "../../src/crypto/suites.ts";
import type { RawRecord } from "../../src/record/framer.ts";
import { Output } from "../../src/record/output.ts";
import {
  RecordOpener,
  RecordSealer,
  Sequence,
  writePlaintext,
  type Padding,
  type ProtectionKeys,
} from "../../src/record/protection.ts";
import { Source } from "../../src/record/source.ts";
import { providers } from "../crypto/vectors.ts";
import { filled, number, someBytes } from "../support/codec-rules.ts";
import { fuzz } from "../support/fuzz.ts";

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const IV = hex("5bd3c71b836e0b76bb73265f");

/** Memory that is not empty when it is lent, as it is when it is used over and over. */
const used = (least: number): Uint8Array => filled(least + 7, 0xee);

/** One record, as bytes. */
function seal(sealer: RecordSealer, type: number, content: Uint8Array, maxContentBytes?: number): Uint8Array {
  const output = new Output(used);
  sealer.seal(type, new Source([content]), output, maxContentBytes);
  return concat(output.take());
}

const raw = (record: Uint8Array): RawRecord => ({
  type: record[0]!,
  header: record.subarray(0, 5),
  fragment: record.subarray(5),
});
const open = (opener: RecordOpener, record: Uint8Array, maxInnerBytes?: number) =>
  opener.open(raw(record), maxInnerBytes);

/** What stands on the wire, written down once more from RFC 9846 §5.2 and §5.3 on node:crypto alone. */
function expected(aead: AeadName, key: Uint8Array, n: number, inner: Uint8Array): string {
  const header = concat([Uint8Array.of(23, 3, 3), number(2, inner.length + 16)]);
  const sequence = Buffer.alloc(12);
  sequence.writeBigUInt64BE(BigInt(n), 4);
  const nonce = IV.map((byte, i) => byte ^ sequence[i]!);
  const cipher = createCipheriv(aead as CipherGCMTypes, key, nonce, { authTagLength: 16 });
  cipher.setAAD(header, { plaintextLength: inner.length });
  return toHex(concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()]));
}

function keysFor(provider: CryptoProvider, aead: AeadName, keyBytes: number): ProtectionKeys {
  return { key: provider.aead(aead).key(filled(keyBytes, 9)), iv: IV };
}

describe.each(providers)("%s", (_, provider) => {
  test("RFC 8448 §3: the record of the client's Finished", () => {
    const key = provider.aead("aes-128-gcm").key(hex("dbfaa693d1762c5b666af5d950258d01"));
    const finished = hex("14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61");
    const record =
      "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab6867d726c40546";
    expect(toHex(seal(new RecordSealer({ key, iv: IV }), 22, finished))).toBe(record);
    const opened = open(new RecordOpener({ key, iv: IV }), hex(record));
    expect(opened?.type).toBe(22);
    expect(toHex(opened!.content)).toBe(toHex(finished));
  });

  describe.each(Object.values(suites))("$name", ({ aead, keyBytes }) => {
    const keys = keysFor(provider, aead, keyBytes);
    const pair = (padding?: Padding) => ({
      sealer: new RecordSealer(keys, padding),
      opener: new RecordOpener(keys),
    });

    test("§5.2: any content of any type comes back, record after record", () => {
      const some = fc.tuple(fc.integer({ min: 1, max: 255 }), someBytes(0, 80));
      fc.assert(
        fc.property(fc.array(some, { minLength: 1, maxLength: 5 }), (contents) => {
          const { sealer, opener } = pair();
          for (const [n, [type, content]] of contents.entries()) {
            const record = seal(sealer, type, content);
            const inner = concat([content, Uint8Array.of(type)]);
            expect(toHex(record)).toBe(expected(aead, filled(keyBytes, 9), n, inner));
            const opened = open(opener, record);
            expect(opened?.type).toBe(type);
            expect(toHex(opened!.content)).toBe(toHex(content));
          }
          expect([sealer.records, opener.records]).toEqual([contents.length, contents.length]);
        }),
        fuzz(30),
      );
    });

    test("§5.1: a full record of 2^14 bytes comes back", () => {
      const { sealer, opener } = pair();
      const content = filled(2 ** 14, 0x61);
      const record = seal(sealer, 23, content);
      expect(record).toHaveLength(5 + 2 ** 14 + 1 + 16);
      expect(equal(open(opener, record)!.content, content)).toBe(true);
    });

    test("§5.3: the nonce counts over two bytes and more", () => {
      const { sealer } = pair();
      const output = new Output(used);
      for (let n = 0; n <= 300; n++) {
        sealer.seal(21, new Source([Uint8Array.of(1, 0)]), output);
        const record = toHex(concat(output.take()));
        if ([0, 1, 255, 256, 300].includes(n)) {
          expect(record).toBe(expected(aead, filled(keyBytes, 9), n, Uint8Array.of(1, 0, 21)));
        }
      }
    });

    test("what was opened has memory of its own", () => {
      const { sealer, opener } = pair();
      const record = seal(sealer, 23, filled(20));
      const opened = open(opener, record)!;
      record.fill(0xff);
      expect(toHex(opened.content)).toBe(toHex(filled(20)));
    });

    test("a change to any byte of header or fragment opens nothing, and the next true record opens still", () => {
      const { sealer, opener } = pair();
      const record = seal(sealer, 23, filled(12));
      for (let at = 0; at < record.length; at++) {
        for (const bit of [1, 0x80]) {
          const changed = record.map((byte, i) => (i === at ? byte ^ bit : byte));
          expect(open(opener, changed), `byte ${at}`).toBeUndefined();
        }
      }
      expect(opener.records).toBe(0);
      expect(open(opener, record)).toBeDefined();
    });

    test("a record opens once, in its place and under its key", () => {
      const { sealer, opener } = pair();
      const [first, second] = [seal(sealer, 23, filled(3)), seal(sealer, 23, filled(3))];
      expect(toHex(first)).not.toBe(toHex(second));
      expect(open(opener, second)).toBeUndefined();
      expect(open(opener, first)).toBeDefined();
      expect(open(opener, first)).toBeUndefined();
      expect(open(opener, second)).toBeDefined();
      const other = { key: provider.aead(aead).key(filled(keyBytes, 8)), iv: IV };
      expect(open(new RecordOpener(other), first)).toBeUndefined();
      expect(open(new RecordOpener({ key: keys.key, iv: filled(12) }), first)).toBeUndefined();
    });

    test("§5.2: truncated or grown, it opens nothing; nor is there anything in less than a tag and a type", () => {
      const { sealer, opener } = pair();
      const record = seal(sealer, 23, filled(12));
      expect(open(opener, concat([record, Uint8Array.of(0)]))).toBeUndefined();
      for (let length = 5; length < record.length; length++) {
        expect(open(opener, record.subarray(0, length))).toBeUndefined();
      }
      expect(open(opener, record)).toBeDefined();
    });

    test("§5.4: padding is zeros behind the type, and is taken off again", () => {
      fc.assert(
        fc.property(someBytes(0, 60), fc.nat(90), (content, length) => {
          const { sealer, opener } = pair(() => length);
          const record = seal(sealer, 22, content);
          const padded = Math.max(length, content.length);
          const inner = concat([content, Uint8Array.of(22), new Uint8Array(padded - content.length)]);
          expect(toHex(record)).toBe(expected(aead, filled(keyBytes, 9), 0, inner));
          const opened = open(opener, record);
          expect(opened?.type).toBe(22);
          expect(toHex(opened!.content)).toBe(toHex(content));
        }),
        fuzz(30),
      );
    });
  });
});

describe("§5.4: what is inside a record", () => {
  const provider = providers[0]![1];
  const keys = keysFor(provider, "aes-256-gcm", 32);
  /** A record with this inner plaintext, whatever it is. */
  function around(inner: Uint8Array): Uint8Array {
    const header = concat([Uint8Array.of(23, 3, 3), number(2, inner.length + 16)]);
    const data = concat([inner, new Uint8Array(16)]);
    keys.key.seal(IV, header, data);
    return concat([header, data]);
  }

  test("content that ends in zeros keeps them", () => {
    const opened = open(new RecordOpener(keys), around(Uint8Array.of(1, 0, 0, 23, 0, 0, 0)));
    expect(opened?.type).toBe(23);
    expect([...opened!.content]).toEqual([1, 0, 0]);
  });

  test("a type alone is empty content", () => {
    const opened = open(new RecordOpener(keys), around(Uint8Array.of(23)));
    expect(opened).toMatchObject({ type: 23 });
    expect(opened?.content).toHaveLength(0);
  });

  test("nothing but zeros is unexpected_message", () => {
    for (const length of [1, 2, 100, 2 ** 14 + 1]) {
      expect(() => open(new RecordOpener(keys), around(new Uint8Array(length)))).toThrow(
        expect.objectContaining({ code: "ERR_TLS_UNEXPECTED_MESSAGE", alert: "unexpected_message" }),
      );
    }
  });

  test("more than 2^14 + 1 bytes with type and padding, or than we said, is record_overflow", () => {
    const overflow = { code: "ERR_TLS_RECORD_OVERFLOW", alert: "record_overflow" };
    const inner = (length: number) => concat([new Uint8Array(length - 1).fill(1), Uint8Array.of(23)]);
    expect(open(new RecordOpener(keys), around(inner(2 ** 14 + 1)))).toBeDefined();
    expect(() => open(new RecordOpener(keys), around(inner(2 ** 14 + 2)))).toThrow(
      expect.objectContaining(overflow),
    );
    const padded = concat([Uint8Array.of(1, 23), new Uint8Array(2 ** 14)]);
    expect(() => open(new RecordOpener(keys), around(padded))).toThrow(expect.objectContaining(overflow));
    expect(open(new RecordOpener(keys), around(inner(64)), 64)).toBeDefined();
    expect(() => open(new RecordOpener(keys), around(inner(65)), 64)).toThrow(
      expect.objectContaining(overflow),
    );
  });

  test("padding goes no further than the largest content the peer takes, and never cuts", () => {
    const sealed = (length: number, wanted: number, max?: number): number =>
      seal(new RecordSealer(keys, () => wanted), 23, filled(length), max).length - 5 - 1 - 16;
    expect(sealed(10, 4096)).toBe(4096);
    expect(sealed(10, 10 ** 6)).toBe(2 ** 14);
    expect(sealed(10, 4096, 512)).toBe(512);
    expect(sealed(512, 4096, 512)).toBe(512);
    expect(sealed(10, 0)).toBe(10);
  });

  test("the padding policy is asked with the content's length each time", () => {
    const asked: number[] = [];
    const sealer = new RecordSealer(keys, (bytes) => {
      asked.push(bytes);
      return Math.ceil(bytes / 32) * 32;
    });
    expect([1, 32, 33].map((n) => seal(sealer, 23, filled(n)).length - 22)).toEqual([32, 32, 64]);
    expect(asked).toEqual([1, 32, 33]);
  });
});

describe("§5.3: nonces", () => {
  test.each([0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 7, 2 ** 48 - 1])("record %d", (n) => {
    const sequence = new Sequence(IV);
    sequence.count = n;
    const counter = Buffer.alloc(12);
    counter.writeBigUInt64BE(BigInt(n), 4);
    expect(toHex(sequence.next())).toBe(toHex(IV.map((byte, i) => byte ^ counter[i]!)));
    expect(sequence.count).toBe(n + 1);
  });

  test("every record of a key has another one, and the IV stays as it was", () => {
    const iv = IV.slice();
    const nonces: string[] = [];
    const key = {
      seal: (nonce: Uint8Array) => void nonces.push(toHex(nonce)),
      open: () => undefined,
    };
    const sealer = new RecordSealer({ key, iv });
    const output = new Output((least) => new Uint8Array(least));
    for (let n = 0; n < 70_000; n++) {
      sealer.seal(23, new Source([]), output);
      output.take();
    }
    expect(new Set(nonces).size).toBe(70_000);
    expect(nonces[0]).toBe(toHex(IV));
    expect(nonces[65_536]).toBe("5bd3c71b836e0b76bb72265f");
    expect(toHex(iv)).toBe(toHex(IV));
  });

  test("an attempt that fails uses none up", () => {
    const nonces: string[] = [];
    const key = {
      seal: () => undefined,
      open: (nonce: Uint8Array) => {
        nonces.push(toHex(nonce));
        return nonces.length < 3 ? undefined : Uint8Array.of(1, 23);
      },
    };
    const opener = new RecordOpener({ key, iv: IV });
    for (let n = 0; n < 4; n++) open(opener, filled(5 + 18));
    expect(nonces.slice(0, 3)).toEqual([toHex(IV), toHex(IV), toHex(IV)]);
    expect(nonces[3]).toBe("5bd3c71b836e0b76bb73265e");
    expect(opener.records).toBe(2);
  });
});

test("§5.1: a record in the clear is its type, 0x0303, its length and its fragment", () => {
  const output = new Output(used);
  writePlaintext(22, new Source([filled(300)]), output);
  writePlaintext(20, new Source([Uint8Array.of(1)]), output);
  expect(toHex(concat(output.take()))).toBe(
    toHex(concat([hex("160303012c"), filled(300), hex("140303000101")])),
  );
});
