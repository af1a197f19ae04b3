import { expect, test } from "vitest";
import { ahead } from "../../src/crypto/ahead.ts";
import { keyExchangeGroup } from "../../src/crypto/groups.ts";
import { toHex } from "../../src/protocol/bytes.ts";
import { provider } from "../support/credentials.ts";

const group = keyExchangeGroup(provider, "X25519MLKEM768");

/** The group, and how often an exchange was begun. */
function counted() {
  let begun = 0;
  const start = () => {
    begun++;
    return group.start();
  };
  return { ahead: ahead({ ...group, start }), begun: () => begun };
}

test("an exchange that was prepared is the next one, and agrees as any other", () => {
  const { ahead: prepared, begun } = counted();
  prepared.prepare();
  prepared.prepare();
  expect(begun()).toBe(1);
  const exchange = prepared.start();
  expect(begun()).toBe(1);
  const answer = prepared.respond(exchange.share);
  expect(toHex(exchange.complete(answer.share))).toBe(toHex(answer.secret));
});

test("§4.3.8: no share goes out twice", () => {
  const { ahead: prepared, begun } = counted();
  prepared.prepare();
  const shares = [prepared.start(), prepared.start(), prepared.start()].map(({ share }) => toHex(share));
  expect(new Set(shares).size).toBe(3);
  expect(begun()).toBe(3);
});

test("what was prepared can be dropped", () => {
  const { ahead: prepared, begun } = counted();
  prepared.prepare();
  prepared.forget();
  prepared.start();
  expect(begun()).toBe(2);
});

test("it is the same group otherwise", () => {
  expect(ahead(group)).toMatchObject({ name: group.name, code: group.code, ecdh: true, mlkem: true });
});
