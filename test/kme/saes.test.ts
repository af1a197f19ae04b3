import { describe, expect, test } from "vitest";
import { SaeRegistry } from "../../src/kme/saes.ts";
import type { KeyStore } from "../../src/kme/store.ts";

const [one, two] = [{}, {}] as [KeyStore, KeyStore];
const site = {
  id: "kme-a",
  saes: ["sae-a", "sae-a2"],
  links: [
    { kme: "kme-b", saes: ["sae-b"], store: one },
    { kme: "kme-c", saes: ["sae-c"], store: two },
  ],
};

test("knows whom it serves, and where the keys for the others lie", () => {
  const saes = new SaeRegistry(site);
  expect(["sae-a", "sae-b", "x"].map((sae) => saes.serves(sae))).toEqual([true, false, false]);
  expect(saes.route("sae-c")).toEqual({ kme: "kme-c", store: two });
  expect([saes.route("sae-a"), saes.route("__proto__")]).toEqual([undefined, undefined]);
});

test("lets all share keys unless it is told who may, and then whichever of the two asks", () => {
  expect(new SaeRegistry(site).allows("sae-a", "sae-c")).toBe(true);
  const saes = new SaeRegistry({ ...site, allow: [["sae-a", "sae-b"]] });
  expect([saes.allows("sae-a", "sae-b"), saes.allows("sae-b", "sae-a")]).toEqual([true, true]);
  expect([saes.allows("sae-a", "sae-c"), saes.allows("sae-a2", "sae-b")]).toEqual([false, false]);
  expect(new SaeRegistry({ ...site, allow: [] }).allows("sae-a", "sae-b")).toBe(false);
});

test("a link that leads back leads to the SAEs that are served here", () => {
  const links = [{ kme: "kme-a", saes: ["sae-a", "sae-a2"], store: one }];
  const saes = new SaeRegistry({ ...site, links, allow: [["sae-a", "sae-a2"]] });
  expect([saes.serves("sae-a"), saes.route("sae-a")?.store]).toEqual([true, one]);
});

describe("refuses", () => {
  const [b] = site.links as [(typeof site.links)[number]];
  test.each<[name: string, change: object, option: string]>([
    ["an SAE that is served twice", { saes: ["sae-a", "sae-a"] }, "saes"],
    ["an SAE without a name", { saes: [""] }, "saes"],
    ["an SAE that two links lead to", { links: [b, { ...b, kme: "kme-c" }] }, "links"],
    ["an SAE that is served here and elsewhere", { links: [{ ...b, saes: ["sae-a"] }] }, "links"],
    ["a pair with an SAE that nobody knows", { allow: [["sae-a", "sae-x"]] }, "allow"],
    ["a pair of our own SAEs, for whom there is no link", { allow: [["sae-a", "sae-a2"]] }, "allow"],
    [
      "a pair twice",
      {
        allow: [
          ["sae-a", "sae-b"],
          ["sae-b", "sae-a"],
        ],
      },
      "allow",
    ],
  ])("%s", (_, change, option) => {
    expect(() => new SaeRegistry({ ...site, ...change })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
    );
  });
});
