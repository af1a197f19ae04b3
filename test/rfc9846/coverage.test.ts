import { describe, expect, test } from "vitest";
import { faultsOf, figures } from "./coverage.ts";
import { requirements } from "./requirements.ts";

test("every requirement of RFC 9846 has a test that is there, or a reason", () => {
  const faults = requirements.flatMap((requirement) =>
    faultsOf(requirement).map((fault) => `§${requirement.section} ${requirement.must}: ${fault}`),
  );
  expect(faults).toEqual([]);
});

test("requirements stand in the order of the RFC", () => {
  const places = requirements.map(({ section }) =>
    section.split(".").map((part) => (/\d/.test(part) ? Number(part) : 100 + part.charCodeAt(0))),
  );
  const sorted = places.toSorted((one, two) => {
    for (const [at, number] of one.entries()) if (number !== two[at]) return number - (two[at] ?? -1);
    return one.length - two.length;
  });
  expect(places).toEqual(sorted);
});

describe("a requirement is at fault", () => {
  const rule = { section: "5", who: "both", must: "be kept", tests: [] } as const;

  test("without a test and without a reason", () => {
    expect(faultsOf(rule)).toEqual(["no test"]);
    expect(faultsOf({ ...rule, without: "a reason" })).toEqual([]);
  });

  test.each([
    ["whose test is gone", "test/rfc9846/coverage.test.ts: a title of nobody"],
    ["whose words are those of several titles", "test/rfc9846/coverage.test.ts: whose"],
    ["whose file is gone", "test/rfc9846/gone.test.ts: a title"],
  ])("%s", (_, named) => {
    expect(faultsOf({ ...rule, tests: [named] })).toHaveLength(1);
  });

  test("in too many words", () => {
    expect(faultsOf({ ...rule, must: "so ".repeat(16).trim(), without: "a reason" })).toHaveLength(1);
  });
});

test("figures add up", () => {
  const sum = figures(requirements).reduce((total, { tested, exempt }) => total + tested + exempt, 0);
  expect(sum).toBe(requirements.length);
});
