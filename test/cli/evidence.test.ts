import { expect, test } from "vitest";
import { columns, evidenceLine, evidenceTable } from "../../src/cli/evidence.ts";
import type { SecurityRecord } from "../../src/observe/evidence.ts";

const whole: SecurityRecord = {
  protocol: "TLSv1.3",
  role: "client",
  suite: "TLS_AES_256_GCM_SHA384",
  group: "X25519MLKEM768",
  resumed: false,
  ticketAgeSkewMs: null,
  retried: true,
  secrets: {
    ecdh: { standing: "preferred", present: true, source: "x25519" },
    mlkem: { standing: "required", present: true, source: "ml-kem-768" },
    qkd: { standing: "required", present: true, source: "etsi-qkd-014" },
  },
  qkd: {
    keyId: "bc490419-7d60-487f-adc1-4ddcc177c139",
    initiator: "sae-a",
    responder: "sae-b",
    simulated: true,
    kind: "etsi-qkd-014",
    form: "imported",
    kmes: { source: "kme-a", target: "kme-b" },
  },
  simulated: true,
  authentication: {
    local: { by: "none", certificates: 0 },
    peer: { by: "certificate", certificates: 2, scheme: "mldsa65", sha256: "0123456789abcdef" },
    authorized: true,
    authorizationError: null,
  },
  policy: { name: "hybrid", ecdh: "preferred", mlkem: "required", qkd: "required" },
  degraded: [],
  serverName: "localhost",
  alpn: "h2",
  epochs: { sent: 0, received: 0 },
  backends: { "ml-kem-768": "noble", x25519: "node:crypto" },
};

const lesser: SecurityRecord = {
  ...whole,
  resumed: true,
  retried: false,
  secrets: { ...whole.secrets, qkd: { standing: "preferred", present: false } },
  qkd: null,
  simulated: false,
  authentication: {
    local: { by: "psk", certificates: 0, pskIdentity: "me" },
    peer: { by: "certificate", certificates: 1, scheme: "ed25519" },
    authorized: false,
    authorizationError: "no trusted CA",
  },
  degraded: [{ missing: "qkd", reason: "the KME is down\u001b[2J", code: "ERR_QKD_UNREACHABLE" }],
  serverName: null,
  alpn: null,
};

test("the table names each secret, its source and its standing, and says when a key is simulated", () => {
  expect(evidenceTable(whole).split("\n")).toEqual([
    "protocol     TLSv1.3  TLS_AES_256_GCM_SHA384  X25519MLKEM768",
    "handshake    full, after a HelloRetryRequest",
    "ECDH         yes  x25519 (preferred)",
    "ML-KEM       yes  ml-kem-768 (required)",
    "QKD          yes  etsi-qkd-014 (required)  SIMULATED: no physical link made this key",
    "  key_ID     bc490419-7d60-487f-adc1-4ddcc177c139",
    "  SAEs       sae-a (client) -> sae-b (server)",
    "  KMEs       kme-a -> kme-b",
    "  form       imported PSK (RFC 9258)",
    "we are       unknown (nothing was asked for)",
    "peer is      known by certificate (mldsa65, chain of 2), verified",
    "  SHA-256    0123456789abcdef",
    "policy       hybrid: ECDH preferred, ML-KEM required, QKD required",
    "degraded     no",
    "server name  localhost",
    "ALPN         h2",
    "computed by  ml-kem-768 noble, x25519 node:crypto",
  ]);
});

test("the table shows what is missing, why, and who was not verified", () => {
  const table = evidenceTable(lesser);
  expect(table).toMatch(/^QKD +NO {3}\(preferred\)$/m);
  expect(table).toMatch(/^DEGRADED +without QKD: the KME is down\uFFFD\[2J \(ERR_QKD_UNREACHABLE\)$/m);
  expect(table).toMatch(/^we are +known by pre-shared key "me"$/m);
  expect(table).toMatch(/^peer is +.*NOT VERIFIED: no trusted CA$/m);
  expect(table).toMatch(/^handshake +resumed/m);
  expect(table).not.toMatch(/key_ID|SIMULATED|ALPN/);
  expect(table).not.toContain("\u001b");
});

test("a key that a certificate delegated to is named as one", () => {
  const { peer } = whole.authentication;
  const authentication = { ...whole.authentication, peer: { ...peer, delegated: true } } as const;
  expect(evidenceTable({ ...whole, authentication })).toMatch(/^peer is .*by a key it delegated to/m);
});

test("the line holds the same in short", () => {
  expect(evidenceLine(whole)).toBe(
    "ECDH (x25519) + ML-KEM (ml-kem-768) + QKD (etsi-qkd-014) SIMULATED; TLS_AES_256_GCM_SHA384; " +
      "peer: known by certificate (mldsa65, chain of 2), verified; policy hybrid",
  );
  expect(evidenceLine(lesser)).toMatch(/NOT VERIFIED.*; DEGRADED without QKD: the KME is down\uFFFD\[2J$/);
});

test("columns are as wide as their widest cell", () => {
  expect(columns([["a", "bb", "c"], ["long", "b"], []])).toBe("a     bb  c\nlong  b\n");
});
