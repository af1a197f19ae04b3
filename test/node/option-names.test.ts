import { describe, expect, test } from "vitest";
import { connect, createSecureContext, createServer, UsageError } from "../../src/index.ts";
import { checkOptionNames } from "../../src/node/option-names.ts";

/** What node:tls takes and we do not. */
const REFUSED = [
  "ALPNCallback",
  "allowPartialTrustChain",
  "clientCertEngine",
  "crl",
  "dhparam",
  "earlyData",
  "enableTrace",
  "minDHSize",
  "onread",
  "pfx",
  "privateKeyEngine",
  "privateKeyIdentifier",
  "pskIdentityHint",
  "secureOptions",
  "secureProtocol",
  "sessionIdContext",
];

const refusal = (call: () => unknown): UsageError => {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error("it was accepted");
};

describe("an option of node:tls that we do not support is refused by its name, never ignored", () => {
  test.each(REFUSED)("%s", (option) => {
    for (const call of [connect, createServer, createSecureContext]) {
      const error = refusal(() => call({ port: 1, [option]: true } as never));
      expect(error).toMatchObject({ code: "ERR_OPTION_UNSUPPORTED", option });
      expect(error.message).toContain(option);
    }
  });
});

test("an option that nobody knows is refused by its name", () => {
  for (const call of [connect, createServer, createSecureContext]) {
    const error = refusal(() => call({ rejectUnauthorised: false } as never));
    expect(error).toMatchObject({ code: "ERR_OPTION_UNKNOWN", option: "rejectUnauthorised" });
  }
});

test("an option of the other side is refused too", () => {
  expect(refusal(() => connect({ port: 1, requestCert: true } as never)).option).toBe("requestCert");
  expect(refusal(() => createServer({ servername: "x" } as never)).option).toBe("servername");
});

test("what is undefined or null was not given, and what https.request adds is HTTP's own", () => {
  const given = { pfx: undefined, crl: null, headers: {}, method: "GET", _agentKey: "k", defaultPort: 443 };
  expect(() => checkOptionNames(given, [], "connect")).not.toThrow();
});
