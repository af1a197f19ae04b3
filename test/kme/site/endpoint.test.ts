import { describe, expect, test } from "vitest";
import { demandLocal, type Endpoint, endpointText, netOptions } from "../../../src/kme/site/endpoint.ts";

test("an endpoint is written as people write it", () => {
  expect(endpointText({ host: "127.0.0.1", port: 7000 })).toBe("127.0.0.1:7000");
  expect(endpointText({ host: "::1", port: 7000 })).toBe("[::1]:7000");
  expect(endpointText({ path: "/run/fibre" })).toBe("unix:/run/fibre");
  expect(netOptions({ path: "/run/fibre" })).toEqual({ path: "/run/fibre" });
});

describe("only this machine's processes reach", () => {
  test.each<Endpoint>([
    { path: "/run/fibre" },
    { host: "127.0.0.1", port: 1 },
    { host: "127.9.9.9", port: 1 },
    { host: "::1", port: 1 },
    { host: "localhost", port: 1 },
  ])("%j", (endpoint) => {
    expect(() => demandLocal(endpoint, "fibre")).not.toThrow();
  });

  test.each(["0.0.0.0", "::", "192.0.2.1", "127.0.0.1.example.test", "example.test"])(
    "and not: %s",
    (host) => {
      expect(() => demandLocal({ host, port: 1 }, "fibre")).toThrow(
        expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "fibre" }),
      );
    },
  );
});
