import { expect, test } from "vitest";
import { nodeProvider } from "../../src/crypto/node.ts";
import { suiteOf, suites } from "../../src/crypto/suites.ts";
import { CipherSuite } from "../../src/protocol/iana.ts";

test("every suite of the registry is described by its own code", () => {
  for (const [name, code] of Object.entries(CipherSuite)) {
    expect(suiteOf(code)).toMatchObject({ name, code });
  }
  expect(suiteOf(0x1304)).toBeUndefined();
});

test("lengths are those of the primitives", () => {
  const provider = nodeProvider();
  for (const suite of Object.values(suites)) {
    expect(provider.aead(suite.aead).keyBytes).toBe(suite.keyBytes);
    expect(provider.hash(suite.hash).outputBytes).toBe(suite.hashBytes);
  }
});

test("RFC 9846 §5.5: AES-GCM keys wear out after 2^24.5 full-size records", () => {
  expect(suites.TLS_AES_256_GCM_SHA384.confidentialityLimitRecords).toBe(23_726_566);
  expect(suites.TLS_AES_128_GCM_SHA256.confidentialityLimitRecords).toBe(23_726_566);
  expect(suites.TLS_CHACHA20_POLY1305_SHA256.confidentialityLimitRecords).toBe(Number.POSITIVE_INFINITY);
});
