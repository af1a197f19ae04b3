import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkName, clean, nameKey } from "../../../src/cli/chat/text.ts";

describe("clean", () => {
  test("leaves nothing that a terminal acts on", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(clean(text)).not.toMatch(
          /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|[\u202a-\u202e\u2066-\u2069\u200e\u200f]/u,
        );
        expect(clean(clean(text))).toBe(clean(text));
      }),
    );
  });

  test.each(["hello", "Grüße", "你好", "👩‍👩‍👧", "می‌خواهم", "a  b"])("keeps %s", (text) => {
    expect(clean(text)).toBe(text);
  });
});

describe("checkName", () => {
  test.each([
    ["anna", "anna"],
    ["  anna \t b ", "anna b"],
    ["O'Neil-2.x_y", "O'Neil-2.x_y"],
    ["e\u0301va", "\u00e9va"],
    ["\u202eanna", "anna"],
    ["李雷", "李雷"],
  ])("spells %j as %j", (name, spelt) => {
    expect(checkName(name)).toBe(spelt);
  });

  test.each([
    "",
    " ",
    "\u0000",
    "*",
    "* anna joined",
    "a[QKD]",
    "a: hello",
    "/quit",
    "\u0301a",
    "x".repeat(33),
  ])("refuses %j", (name) => {
    expect(() => checkName(name)).toThrow(expect.objectContaining({ code: "ERR_CHAT_NAME" }));
  });

  test("names that look the same are the same", () => {
    expect(nameKey("Anna")).toBe(nameKey("ａｎｎａ"));
    expect(nameKey("an\u200dna")).toBe(nameKey("anna"));
  });
});
