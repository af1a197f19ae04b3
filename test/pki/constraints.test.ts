import { describe, expect, test } from "vitest";
import { checkConstraints, ComparisonBudget } from "../../src/pki/constraints.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";

const dns = (text: string): GeneralName => ({ form: "dns", text });
const uri = (text: string): GeneralName => ({ form: "uri", text });
const email = (text: string): GeneralName => ({ form: "email", text });
const ip = (...octets: number[]): GeneralName => ({ form: "ip", octets: Uint8Array.from(octets) });

const allows = (
  permitted: readonly GeneralName[],
  excluded: readonly GeneralName[],
  name: GeneralName,
): boolean => {
  try {
    checkConstraints({ permitted, excluded }, { names: [name], subject: "test" }, new ComparisonBudget());
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_CERT_INVALID", alert: "bad_certificate" });
    return false;
  }
};

describe("RFC 5280 §4.2.1.10: name constraints", () => {
  test.each([
    [dns("example.com"), dns("example.com"), true, false],
    [dns("example.com"), dns("WWW.Example.com"), true, false],
    [dns("example.com"), dns("notexample.com"), false, true],
    [dns("example.com"), dns("*.example.com"), true, false],
    [dns("www.example.com"), dns("*.example.com"), false, false], // partly inside: neither permitted nor clear of it
    [dns("a.www.example.com"), dns("*.example.com"), false, true],
    [dns(""), dns("anything.example"), true, false],
    [dns("example.com"), dns("exa mple.com"), false, false],
    [uri("example.com"), uri("https://example.com/path"), true, false],
    [uri("example.com"), uri("https://user@example.com:8443/"), true, false],
    [uri("example.com"), uri("https://www.example.com/"), false, true],
    [uri(".example.com"), uri("https://www.example.com/"), true, false],
    [uri(".example.com"), uri("https://example.com/"), false, true],
    [uri("example.com"), uri("urn:sae:a"), false, false], // no authority: cannot be compared
    [email("example.com"), email("a@example.com"), true, false],
    [email("example.com"), email("a@b.example.com"), false, true],
    [email(".example.com"), email("a@b.example.com"), true, false],
    [email("a@example.com"), email("a@EXAMPLE.com"), true, false],
    [email("a@example.com"), email("A@example.com"), false, true],
    [ip(192, 0, 2, 0, 255, 255, 255, 0), ip(192, 0, 2, 9), true, false],
    [ip(192, 0, 2, 0, 255, 255, 255, 0), ip(192, 0, 3, 9), false, true],
    [ip(0, 0, 0, 0, 0, 0, 0, 0), ip(...new Uint8Array(16)), false, true], // an IPv4 base says nothing of IPv6
    [dns("example.com"), ip(1, 2, 3, 4), true, true],
    [{ form: "other", tag: 0xa0 }, { form: "other", tag: 0xa0 }, false, false],
    [{ form: "other", tag: 0xa0 }, { form: "other", tag: 0x88 }, true, true],
  ] as const satisfies [GeneralName, GeneralName, boolean, boolean][])(
    "%o and %o: permitted %s, not excluded %s",
    (base, name, whenPermitted, whenExcluded) => {
      expect([allows([base], [], name), allows([], [base], name)]).toEqual([whenPermitted, whenExcluded]);
    },
  );

  test("exclusion wins, and one permitted base is enough", () => {
    expect(allows([dns("example.com")], [dns("bad.example.com")], dns("bad.example.com"))).toBe(false);
    expect(allows([dns("a.example"), dns("b.example")], [], dns("b.example"))).toBe(true);
  });

  test("a budget ends what would take too long", () => {
    const budget = new ComparisonBudget();
    const names = Array.from({ length: 600 }, (_, at) => dns(`h${at}.example`));
    const large = { permitted: [], excluded: Array.from({ length: 300 }, (_, at) => dns(`x${at}.test`)) };
    const run = () => checkConstraints(large, { names, subject: "test" }, budget);
    run();
    expect(run).toThrow(/too large/);
  });
});
