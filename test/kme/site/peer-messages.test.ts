import { randomUUID } from "node:crypto";
import { assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { PeerMessages, uuid } from "../../../src/kme/site/peer-messages.ts";
import { decode, encode } from "../../../src/wire/codec.ts";
import { fuzz } from "../../support/fuzz.ts";

const issue = {
  call: 7,
  master: "sae-ä",
  slaves: ["sae-b", "sae-c"],
  bytes: 32,
  keys: [{ id: randomUUID(), blocks: [randomUUID(), randomUUID()] }],
};

test("RFC 9562 §4: an id is its 16 bytes, and comes back in lower case", () => {
  const id = randomUUID();
  expect(encode(uuid, id.toUpperCase())).toHaveLength(16);
  expect(decode(uuid, encode(uuid, id.toUpperCase()))).toBe(id);
  expect(() => encode(uuid, "no UUID")).toThrow(RangeError);
});

test("an issue survives the way, and none of its beginnings is one", () => {
  const bytes = PeerMessages.write("announce", issue);
  expect(PeerMessages.read(bytes)).toEqual({ kind: "announce", body: issue });
  for (let length = 0; length < bytes.length; length++) {
    expect(() => PeerMessages.read(bytes.subarray(0, length))).toThrow(
      expect.objectContaining({ code: "ERR_LINK_MALFORMED" }),
    );
  }
  expect(() => PeerMessages.read(Uint8Array.of(...bytes, 0))).toThrow(
    expect.objectContaining({ code: "ERR_LINK_MALFORMED" }),
  );
});

test("any other bytes are a LinkError", () => {
  assert(
    property(uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        PeerMessages.read(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_LINK_MALFORMED" });
      }
    }),
    fuzz(500),
  );
});
