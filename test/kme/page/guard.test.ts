import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { isLoopback, refuseChange, refuseHost } from "../../../src/kme/page/guard.ts";

const asking = (headers: IncomingHttpHeaders) => ({ headers }) as IncomingMessage; // nothing else of it is looked at

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
  ["128.0.0.1", false],
  ["fe80::1", false],
  ["localhost", false],
  ["", false],
])("address %j is loopback: %j", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

describe("under the name", () => {
  const names = ["kme.example"];
  test.each([
    "127.0.0.1",
    "127.0.0.1:8480",
    "[::1]:8480",
    "localhost",
    "LOCALHOST:1",
    "10.1.2.3:80",
    "KME.example:8480",
  ])("%j the page is shown", (host) => {
    expect(refuseHost(asking({ host }), names)).toBeUndefined();
  });
  test.each([
    undefined,
    "",
    "evil.example",
    "evil.example:8480",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "kme.example.",
    "kme.example@evil.example",
    "evil.example/127.0.0.1",
    "[evil]",
    "127.0.0.1:8480:1",
    "127.0.0.1 evil",
  ])("%j it is not: its name may have been pointed here", (host) => {
    expect(refuseHost(asking(host === undefined ? {} : { host }), names)).toMatchObject({ status: 421 });
  });
});

describe("a change", () => {
  const ours: IncomingHttpHeaders = {
    host: "127.0.0.1:8480",
    origin: "http://127.0.0.1:8480",
    "sec-fetch-site": "same-origin",
    "content-type": "application/json",
    "x-page-token": "secret",
  };
  test("by our own page is taken", () => {
    expect(refuseChange(asking(ours), "secret")).toBeUndefined();
    const { "sec-fetch-site": _, ...older } = ours;
    expect(refuseChange(asking(older), "secret")).toBeUndefined();
    expect(
      refuseChange(asking({ ...ours, "content-type": "application/json; charset=utf-8" }), "secret"),
    ).toBeUndefined();
  });

  test.each([
    ["of another site", { origin: "http://evil.example" }, 403],
    ["of another port", { origin: "http://127.0.0.1:8481" }, 403],
    ["of another scheme", { origin: "https://127.0.0.1:8480" }, 403],
    ["of no site", { origin: "null" }, 403],
    ["without an origin", { origin: undefined }, 403],
    ["that the browser calls cross-site", { "sec-fetch-site": "cross-site" }, 403],
    ["that the browser calls same-site", { "sec-fetch-site": "same-site" }, 403],
    ["with another token", { "x-page-token": "secreT" }, 403],
    ["with a part of the token", { "x-page-token": "secre" }, 403],
    ["without the token", { "x-page-token": undefined }, 403],
    ["as a form could send it", { "content-type": "text/plain" }, 415],
    ["without a type", { "content-type": undefined }, 415],
  ])("%s is refused", (_, change, status) => {
    expect(refuseChange(asking({ ...ours, ...change }), "secret")).toMatchObject({ status });
  });
});
