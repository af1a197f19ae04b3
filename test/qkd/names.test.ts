import { expect, test } from "vitest";
import { isSaeId, keyId, ownSae, parseKeyId, peerSae, tame } from "../../src/qkd/names.ts";

test("a key_ID is a UUID, in lower case from here on", () => {
  expect(parseKeyId("6BA7B810-9DAD-11D1-80B4-00C04FD430C8")).toBe("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  expect(keyId("6ba7b810-9dad-11d1-80b4-00c04fd430c8")).toHaveLength(36);
  // One character of these turns into ASCII or changes length when its case is changed.
  for (const bad of [
    7,
    null,
    "",
    "6ba7b8109dad11d180b400c04fd430c8",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c\u212a",
  ]) {
    expect(parseKeyId(bad)).toBeUndefined();
  }
  expect(() => keyId("7")).toThrow(expect.objectContaining({ code: "ERR_QKD_REFUSED" }));
});

test("an SAE ID is 1 to 255 bytes of printable text and no path step", () => {
  for (const good of ["sae-a", "é".repeat(127), "a/b", "a b", "x".repeat(255)])
    expect(isSaeId(good)).toBe(true);
  for (const bad of ["", ".", "..", "é".repeat(128), "a\nb", "a\u007f", "\ud800", 7, undefined]) {
    expect(isSaeId(bad)).toBe(false);
  }
  expect(() => peerSae("")).toThrow(expect.objectContaining({ code: "ERR_QKD_REFUSED" }));
  expect(() => ownSae("", "b")).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "b" }));
});

test("foreign text becomes one short line", () => {
  expect(tame("  a\r\n\tb\u001b[0m\u202e\u2028c  ")).toBe("a b [0m c");
  expect(tame("x".repeat(5000))).toHaveLength(200);
});
