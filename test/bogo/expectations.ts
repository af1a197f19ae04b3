/** What the runner has us look at, since it sees only its own end. */
import { createHash } from "node:crypto";
import type { Established } from "../../src/handshake/established.ts";
import { CertificateType, NamedGroup, SignatureScheme } from "../../src/protocol/iana.ts";
import { encode, opaque, vector } from "../../src/wire/codec.ts";
import { parseImportedIdentity } from "../../src/wire/psk.ts";
import { leafOf, type Numbered } from "./configure.ts";
import type { Flags } from "./flags.ts";

/** Throws an Error that says what is not as expected of a handshake. */
export function checkHandshake(
  established: Established,
  flags: Flags,
  credentials: readonly Numbered[],
  resumes: boolean,
): void {
  const { peer, group } = established;
  same("resumed", established.resumed, resumes && !flags.expectSessionMiss);
  same("version", 0x0304, flags.expectVersion ?? 0x0304);
  wanted("server name", established.serverName, flags.expectServerName);
  same("alpn", established.alpn ?? "", (flags.server ? flags.selectAlpn : flags.expectAlpn) ?? "");
  const scheme = peer.scheme === undefined ? 0 : SignatureScheme[peer.scheme];
  // Evidence is of this connection; who resumes was shown no signature.
  if (!established.resumed) wanted("peer's scheme", scheme, flags.expectScheme);
  wanted("group", group === undefined ? 0 : NamedGroup[group.name], flags.expectGroup);
  wanted("cipher suite", established.suite.code, flags.expectCipher);
  if (established.resumed)
    wanted("ticket age skew", (established.ticketAgeSkewMs ?? 0) / 1000, flags.expectTicketAgeSkew);
  wanted("retried", established.retried, flags.expectRetry);
  wanted("credential", usedCredential(established, credentials), flags.expectCredential);
  const certified = peer.chain.length > 0;
  if (flags.expectNoPeerCert || credentials.some(({ psk }) => psk !== undefined)) {
    if (peer.scheme === undefined) same("peer's certificate", certified, false);
  } else if (!flags.server || flags.requireClientCertificate) {
    same("peer's certificate", certified, true);
  }
  if (!established.resumed && flags.expectOcsp !== undefined) {
    same("OCSP answer", Buffer.from(peer.ocspResponse ?? []).toString("base64"), flags.expectOcsp);
  }
  wanted("peer's type", CertificateType[peer.certificateType], flags.expectPeerType);
  if (flags.expectPeerKeySha256 !== undefined) {
    const digest = createHash("sha256").update(peer.chain[0] ?? "");
    same("peer's raw key", digest.digest("base64"), flags.expectPeerKeySha256);
  }
  if (!established.resumed && flags.expectTimestamps !== undefined) {
    const list = encode(vector(2, opaque(2)), peer.signedCertificateTimestampList ?? []);
    same("timestamps", Buffer.from(list).toString("base64"), flags.expectTimestamps);
  }
  if (flags.expectPeerCertFile !== undefined) {
    same("peer's leaf", hex(peer.chain[0]), hex(leafOf(flags.expectPeerCertFile)));
  }
}

/** Throws an Error unless a client was given a session, or was not where none is due. */
export function checkEnd(gotSession: boolean, flags: Flags): void {
  if (flags.server || flags.shimShutsDown) return;
  same("a session", gotSession, !flags.expectNoSession);
}

function usedCredential({ local, externalPsk }: Established, credentials: readonly Numbered[]): number {
  const identity = externalPsk === undefined ? undefined : parseImportedIdentity(externalPsk);
  const used = credentials.find(({ credential, psk }) =>
    identity === undefined
      ? credential !== undefined &&
        hex(credential.chain[0]) === hex(local.chain[0]) &&
        credential.schemes.some((name) => name === local.scheme)
      : hex(psk?.identity as Uint8Array | undefined) === hex(identity.external_identity),
  );
  return used?.index ?? -1;
}

function wanted(what: string, is: unknown, should: unknown): void {
  if (should !== undefined) same(what, is, should);
}

function same(what: string, is: unknown, should: unknown): void {
  if (is !== should) throw new Error(`${what}: ${String(is)} instead of ${String(should)}`);
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
