/** What protects a connection, for people: a table, or one line. */
import type { PartyEvidence, SecretEvidence, SecurityRecord } from "../observe/evidence.ts";
import { printable } from "./output.ts";

/** The record as an aligned table, without a line end. */
export function evidenceTable(security: SecurityRecord): string {
  const { secrets, policy, authentication } = security;
  const rows: (readonly string[])[] = [
    [
      "protocol",
      [security.protocol, security.suite, security.group ?? "no key exchange (psk_ke)"].join("  "),
    ],
    ["handshake", handshake(security)],
    ["ECDH", secretText(secrets.ecdh)],
    ["ML-KEM", secretText(secrets.mlkem)],
    [
      "QKD",
      `${secretText(secrets.qkd)}${security.simulated ? "  SIMULATED: no physical link made this key" : ""}`,
    ],
    ...qkdRows(security),
    ["we are", partyText(authentication.local)],
    ["peer is", peerText(security)],
    ...(authentication.peer.sha256 === undefined ? [] : [["  SHA-256", authentication.peer.sha256]]),
    ["policy", `${policy.name}: ECDH ${policy.ecdh}, ML-KEM ${policy.mlkem}, QKD ${policy.qkd}`],
    ...degradedRows(security),
    ...(security.serverName === null ? [] : [["server name", security.serverName]]),
    ...(security.alpn === null ? [] : [["ALPN", security.alpn]]),
    [
      "computed by",
      Object.entries(security.backends)
        .map(([name, backend]) => `${name} ${backend}`)
        .join(", "),
    ],
  ];
  return columns(rows);
}

/** The record in one line: the secrets, the suite, who the peer is, and what is degraded. */
export function evidenceLine(security: SecurityRecord): string {
  const { secrets } = security;
  const named = [
    ["ECDH", secrets.ecdh],
    ["ML-KEM", secrets.mlkem],
    ["QKD", secrets.qkd],
  ] as const;
  const present = named
    .filter(([, secret]) => secret.present)
    .map(([name, { source }]) => `${name} (${source ?? "?"})`);
  const parts = [
    `${present.join(" + ") || (security.resumed ? "resumed session" : "pre-shared key")}${security.simulated ? " SIMULATED" : ""}`,
    security.suite,
    `peer: ${peerText(security)}`,
    `policy ${security.policy.name}`,
    ...security.degraded.map(({ missing, reason }) => `DEGRADED without ${LEGS[missing]}: ${reason}`),
  ];
  return printable(parts.join("; "));
}

/** Rows as lines with aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd();
  return rows.map((row) => printable(line(row))).join("\n");
}

const LEGS = { ecdh: "ECDH", mlkem: "ML-KEM", qkd: "QKD" } as const;

function secretText({ standing, present, source }: SecretEvidence): string {
  if (present) return `yes  ${source ?? ""} (${standing})`;
  return standing === "off" ? "no   (off)" : `NO   (${standing})`;
}

function handshake({ resumed, retried }: SecurityRecord): string {
  return `${resumed ? "resumed from an earlier session" : "full"}${retried ? ", after a HelloRetryRequest" : ""}`;
}

function qkdRows({ qkd }: SecurityRecord): readonly (readonly string[])[] {
  if (qkd === null) return [];
  const { keyId, initiator, responder, kmes, form } = qkd;
  return [
    ["  key_ID", keyId],
    ["  SAEs", `${initiator} (client) -> ${responder} (server)`],
    ...(kmes === null ? [] : [["  KMEs", `${kmes.source} -> ${kmes.target}`]]),
    ["  form", form === "imported" ? "imported PSK (RFC 9258)" : "plain external PSK"],
  ];
}

function degradedRows({ degraded }: SecurityRecord): readonly (readonly string[])[] {
  if (degraded.length === 0) return [["degraded", "no"]];
  return degraded.map(({ missing, reason, code }) => [
    "DEGRADED",
    `without ${LEGS[missing]}: ${reason}${code === undefined ? "" : ` (${code})`}`,
  ]);
}

function peerText(security: SecurityRecord): string {
  const { peer, authorized, authorizationError } = security.authentication;
  if (peer.by === "none") return "unknown (it showed nothing)";
  if (authorizationError !== null) return `${partyText(peer)}, NOT VERIFIED: ${authorizationError}`;
  return `${partyText(peer)}${isShown(peer) ? (authorized ? ", verified" : ", NOT VERIFIED") : ""}`;
}

/** Whether it is up to a verdict who the party is. */
const isShown = ({ by }: PartyEvidence): boolean => by === "certificate" || by === "rawPublicKey";

function partyText({ by, scheme, pskIdentity, certificates, delegated }: PartyEvidence): string {
  const identity = pskIdentity === undefined ? "" : ` ${JSON.stringify(pskIdentity)}`;
  const words = {
    certificate: `known by certificate (${scheme ?? "?"}${delegated === true ? " by a key it delegated to" : ""}, chain of ${certificates})`,
    rawPublicKey: `known by raw public key (${scheme ?? "?"})`,
    psk: `known by pre-shared key${identity}`,
    resumption: "known from an earlier session",
    none: "unknown (nothing was asked for)",
  };
  return words[by];
}
