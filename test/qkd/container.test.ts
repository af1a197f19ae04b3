import * as fc from "fast-check";
import { expect, test } from "vitest";
import { utf8 } from "../../src/protocol/bytes.ts";
import { KeySourceError } from "../../src/protocol/errors.ts";
import { readKeys, readMessage, readStatus } from "../../src/qkd/container.ts";

const encode = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

test("every well-formed container reads back, in order", () => {
  const sizes = fc.integer({ min: 1, max: 64 });
  const containers = sizes.chain((bytes) =>
    fc.record({
      bytes: fc.constant(bytes),
      keys: fc.uniqueArray(
        fc.tuple(
          fc.uuid(),
          fc
            .uint8Array({ minLength: bytes, maxLength: bytes })
            .filter((key) => bytes < 16 || key.some(Boolean)),
        ),
        { maxLength: 5, selector: ([id]) => id },
      ),
      spelling: fc.constantFrom("keys", "Keys"),
      upper: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(containers, ({ bytes, keys, spelling, upper }) => {
      const list = keys.map(([id, key]) => ({
        key_ID: upper ? id.toUpperCase() : id,
        key: Buffer.from(key).toString("base64"),
        key_extension: { vendor_x: [1] },
      }));
      const read = readKeys(encode({ [spelling]: list }), keys.length, bytes);
      expect(read.keys).toEqual(keys.map(([id, key]) => ({ id: id.toLowerCase(), key })));
      expect(read.simulated).toBe(false);
    }),
  );
});

test("whatever else a KME sends is a typed error that quotes nothing of it", () => {
  const secret = Buffer.from("a very secret key of 32 bytes!!!").toString("base64");
  const junk = fc.oneof(
    fc.constant(secret),
    fc.jsonValue(),
    fc.record({
      key_ID: fc.oneof(fc.uuid(), fc.constant(secret)),
      key: fc.constantFrom(secret, `${secret}x`, null),
    }),
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.constant(utf8(`{"keys": ${secret}`)),
    fc.record({ keys: fc.array(junk), Keys: fc.option(fc.array(junk)) }).map(encode),
    junk.map(encode),
  );
  fc.assert(
    fc.property(bodies, fc.integer({ min: 1, max: 3 }), (body, wanted) => {
      for (const read of [() => readKeys(body, wanted, 24), () => readStatus(body)]) {
        try {
          read();
          expect.unreachable("it was read");
        } catch (error) {
          expect(error).toBeInstanceOf(KeySourceError);
          expect((error as KeySourceError).code).toMatch(/^ERR_QKD_(MALFORMED|KEY_SIZE)$/);
          expect((error as KeySourceError).message).not.toContain(secret.slice(0, 12));
        }
      }
      expect(readMessage(body)).toBeTypeOf("string");
    }),
  );
});

test("base64 must be canonical: no foreign characters, no missing padding, no stray bits", () => {
  const good = Buffer.alloc(16, 0xa5).toString("base64");
  const read = (key: string) => readKeys(encode({ keys: [{ key_ID: crypto.randomUUID(), key }] }), 1, 16);
  expect(read(good).keys[0]?.key).toEqual(new Uint8Array(16).fill(0xa5));
  for (const bad of [
    ` ${good}`,
    `${good}\n`,
    good.slice(0, -2),
    good.replace("=", "-"),
    good.replace(/.==$/, "R=="),
  ]) {
    expect(() => read(bad), bad).toThrow(expect.objectContaining({ code: "ERR_QKD_MALFORMED" }));
  }
});
