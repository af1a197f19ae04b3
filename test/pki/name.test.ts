import { isIP, isIPv6 } from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isDnsPattern, matchesName, parseIpAddress, parseReference } from "../../src/pki/name.ts";

const octets = (text: string) => parseIpAddress(text) ?? new Uint8Array();

describe("RFC 9525 §6: names", () => {
  test.each([
    // certificate, asked for, matches
    ["example.com", "example.com", true],
    ["EXAMPLE.com", "example.COM", true],
    ["example.com", "example.com.", true],
    ["example.com", "www.example.com", false],
    ["www.example.com", "example.com", false],
    ["localhost", "localhost", true],
    ["my_service", "my_service", true],
    ["*.example.com", "www.example.com", true],
    ["*.example.com", "WWW.example.com", true],
    ["*.example.com", "xn--bcher-kva.example.com", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", ".example.com.", "refused"],
    ["*.example.com", "a.b.example.com", false],
    ["www.*.com", "www.example.com", false],
    ["w*.example.com", "www.example.com", false],
    ["*w.example.com", "www.example.com", false],
    ["*.*.example.com", "a.b.example.com", false],
    ["*.com", "example.com", false],
    ["*", "localhost", false],
    ["*.", "localhost", false],
    ["xn--bcher-kva.example", "bücher.example", true],
    ["xn--BCHER-kva.example", "xn--bcher-kva.example", true],
    ["127.0.0.1", "127.0.0.1", false], // an address is no DNS-ID
    ["example.com", "exa mple.com", "refused"],
    ["example.com", "", "refused"],
    ["example.com", "1.2.3", "refused"],
    ["example.com", "-a.example.com", "refused"],
    ["example.com", "example..com", "refused"],
    ["example.com", "example.com/evil", "refused"],
    ["example.com", "example.com:443", "refused"],
    ["example.com", `${"a".repeat(64)}.com`, "refused"],
    ["example.com", "*.example.com", "refused"],
    ["example.com", "ü/example.com", "refused"],
  ] as const)("%s for %s: %s", (presented, asked, expected) => {
    const match = () => matchesName({ dnsNames: [presented], ipAddresses: [] }, asked);
    if (expected === "refused") {
      expect(match).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "servername" }));
    } else expect(match()).toBe(expected);
  });

  test.each([
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "127.0.0.2", false],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["::1", "[::1]", true],
    ["2001:db8::1", "2001:DB8:0::1", true],
    ["::ffff:1.2.3.4", "1.2.3.4", false], // exact octets, no mapping
    ["1.2.3.4", "example.com", false],
  ])("address %s for %s: %s", (presented, asked, expected) => {
    expect(matchesName({ dnsNames: [], ipAddresses: [octets(presented)] }, asked)).toBe(expected);
  });

  test("the common name is never asked", () => {
    expect(matchesName({ dnsNames: [], ipAddresses: [] }, "example.com")).toBe(false);
  });

  test("one of several names is enough", () => {
    const names = { dnsNames: ["a.example", "b.example"], ipAddresses: [octets("::1")] };
    expect(["a.example", "b.example", "::1", "c.example"].map((name) => matchesName(names, name))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe("IP address literals", () => {
  test.each([
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.1.1.1",
    "1.2.3.4 ",
    "0x7f.1.1.1",
    ":",
    "::1::",
    "1::2::3",
    "12345::",
  ])("%j is none", (text) => expect(parseIpAddress(text)).toBeUndefined());
  test.each([
    "fe80::1%eth0",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1.2.3.4::",
    "::1.2.3",
    "1:2:3:4:5:6:7::8:9",
  ])("%j is none", (text) => expect(parseIpAddress(text)).toBeUndefined());

  test("agree with node:net on what is one", () => {
    const piece = fc.constantFrom(
      "0",
      "1",
      "ff",
      "fffff",
      "::",
      ":",
      ".",
      "1.2.3.4",
      "256",
      "abcd",
      "g",
      "01",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        // A zero group between two explicit halves ("1:2:3:4:5:6:7::") is accepted by both.
        expect(parseIpAddress(text) !== undefined, text).toBe(isIP(text) !== 0);
      }),
      { numRuns: 2000 },
    );
  });

  test("read every address that node:net accepts, to the right octets", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        fc.pre(isIPv6(text));
        const host = new URL(`http://[${text}]/`).hostname;
        expect(parseIpAddress(text)).toEqual(parseIpAddress(host.slice(1, -1)));
      }),
    );
    expect(parseIpAddress("2001:db8::ff00:42:8329")).toEqual(
      Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0x42, 0x83, 0x29),
    );
  });
});

test("a reference is a name or an address", () => {
  expect(parseReference("Example.COM.")).toEqual({ kind: "dns", name: "example.com" });
  expect(parseReference("[::1]")).toMatchObject({ kind: "ip" });
  expect(isDnsPattern("*.example.com")).toBe(true);
  expect(isDnsPattern("a.*.com")).toBe(false);
});
