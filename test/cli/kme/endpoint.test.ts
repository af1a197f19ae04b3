import { expect, test } from "vitest";
import { endpointOption } from "../../../src/cli/kme/endpoint.ts";
import { kilometres } from "../../../src/cli/kme/kilometres.ts";

const parse = (text: string): unknown => endpointOption("--at", "where").parseArg?.(text, undefined);

test.each([
  ["127.0.0.1:7000", { host: "127.0.0.1", port: 7000 }],
  ["[::1]:0", { host: "::1", port: 0 }],
  ["site-b.example:443", { host: "site-b.example", port: 443 }],
  ["unix:/run/fibre", { path: "/run/fibre" }],
])("%s is an endpoint", (text, endpoint) => {
  expect(parse(text)).toEqual(endpoint);
});

test.each(["", "7000", "host:", "host:65536", "::1:7000", "unix:"])("%j is none", (text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: "commander.invalidArgument" }));
});

test("a fibre has a length of 0 to 1000 km", () => {
  expect(["0", "12.5", "1000"].map(kilometres)).toEqual([0, 12.5, 1000]);
  for (const text of ["", "-1", "1001", "far", "1e9"]) {
    expect(() => kilometres(text)).toThrow(expect.objectContaining({ code: "commander.invalidArgument" }));
  }
});
