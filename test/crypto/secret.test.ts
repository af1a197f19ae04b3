import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Secret } from "../../src/crypto/secret.ts";

test("a secret does not print, however it is asked", () => {
  const secret = new Secret(Uint8Array.of(0xde, 0xad));
  const printed = [String(secret), JSON.stringify({ secret }), inspect({ secret }), inspect(secret)];
  for (const text of printed) {
    expect(text).toContain("[secret]");
    expect(text).not.toMatch(/222|173|dead/);
  }
  expect(Object.keys(secret)).toEqual([]);
});

test("wiping overwrites the bytes, and reading afterwards is a UsageError", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const secret = new Secret(bytes);
  expect(secret.bytes).toBe(bytes);
  expect(secret.wiped).toBe(false);
  secret.wipe();
  secret.wipe();
  expect([...bytes]).toEqual([0, 0, 0]);
  expect(secret.wiped).toBe(true);
  expect(() => secret.bytes).toThrow(expect.objectContaining({ name: "UsageError", code: "ERR_STATE" }));
});
