import { CipherSuite, type CipherSuiteName } from "../protocol/iana.ts";
import type { AeadName, HashName } from "./provider.ts";

/** A cipher suite: an AEAD and a hash under one code point. RFC 9846 §B.4. */
export interface Suite {
  readonly name: CipherSuiteName;
  readonly code: number;
  readonly hash: HashName;
  readonly aead: AeadName;
  readonly keyBytes: number;
  readonly hashBytes: number;
  /** Full-size records that one key may protect before it must be replaced. RFC 9846 §5.5. */
  readonly confidentialityLimitRecords: number;
}

// 2^24.5, rounded down.
const GCM_LIMIT_RECORDS = Math.floor(2 ** 24.5);

export const suites: Readonly<Record<CipherSuiteName, Suite>> = {
  TLS_AES_128_GCM_SHA256: suite("TLS_AES_128_GCM_SHA256", "aes-128-gcm", 16, "sha256", GCM_LIMIT_RECORDS),
  TLS_AES_256_GCM_SHA384: suite("TLS_AES_256_GCM_SHA384", "aes-256-gcm", 32, "sha384", GCM_LIMIT_RECORDS),
  // The sequence number wraps before this cipher wears out.
  TLS_CHACHA20_POLY1305_SHA256: suite(
    "TLS_CHACHA20_POLY1305_SHA256",
    "chacha20-poly1305",
    32,
    "sha256",
    Number.POSITIVE_INFINITY,
  ),
};

const byCode = new Map(Object.values(suites).map((suite) => [suite.code, suite]));

/** The suite behind a code point; undefined when we do not speak it. */
export const suiteOf = (code: number): Suite | undefined => byCode.get(code);

function suite(
  name: CipherSuiteName,
  aead: AeadName,
  keyBytes: number,
  hash: HashName,
  confidentialityLimitRecords: number,
): Suite {
  const hashBytes = hash === "sha256" ? 32 : 48;
  return { name, code: CipherSuite[name], hash, aead, keyBytes, hashBytes, confidentialityLimitRecords };
}
