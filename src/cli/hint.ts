/** What to do about an error, by its stable code. */
import { CommanderError } from "commander";
import { PeerAlert, QkdTlsError, UsageError } from "../protocol/errors.ts";
import { causesOf, codeOf } from "./cause.ts";

/** One sentence that helps with this error; undefined when there is nothing to add. */
export function hintFor(error: unknown): string | undefined {
  if (error instanceof CommanderError) return undefined;
  if (error instanceof PeerAlert) return ALERTS[error.alert] ?? "the peer's own log says why";
  // What a UsageError says is complete, whatever caused it.
  if (error instanceof UsageError) return OPTIONS[error.option ?? ""] ?? CODES[error.code];
  // The innermost cause that we know something about is the one to mend; our own errors say more than the system's.
  const causes = [...causesOf(error)].reverse();
  const hints = (of: readonly unknown[]): string | undefined =>
    of.map((each) => CODES[codeOf(each) ?? ""]).find((hint) => hint !== undefined);
  return hints(causes.filter((each) => each instanceof QkdTlsError)) ?? hints(causes);
}

const CODES: Readonly<Record<string, string>> = {
  EACCES: "ports below 1024 and files of others need rights that this user lacks",
  EADDRINUSE: "another program listens there; choose another port, or 0 for a free one",
  EADDRNOTAVAIL: "this machine has no such address",
  EAI_AGAIN: "the name service does not answer; try the address itself",
  ECONNREFUSED: "nobody listens there; is the server running, and is the port right?",
  ECONNRESET: "the other side cut the connection; its log says why",
  EHOSTUNREACH: "no route leads there",
  ENETUNREACH: "no route leads there",
  ENOENT: "no such file or directory",
  ENOTFOUND: "no such host name; check the spelling",
  ENOSPC: "the disk is full",
  EPIPE: "the other side has closed",
  ETIMEDOUT: "no answer; a firewall may drop the packets",
  ERR_CERT_EXPIRED:
    "renew the certificate (`qkd-tls pki --force` for a test bed), or check this machine's clock",
  ERR_CERT_INVALID: "the certificate itself is faulty; make it anew",
  ERR_CERT_NAME_MISMATCH: "name the server as its certificate does: --servername NAME",
  ERR_CERT_NOT_YET_VALID: "check this machine's clock",
  ERR_CERT_REQUIRED: "the other side must show a certificate: --cert FILE --key FILE there",
  ERR_CERT_UNTRUSTED:
    "name the CA that issued the peer's certificate: --ca FILE; or its raw public key: --peer-key FILE",
  ERR_FILE_UNSAFE: "a file that holds a secret must be readable by you alone: chmod 600 FILE",
  ERR_CHAT_CUT: "the room's server ended or the network failed; join again",
  ERR_MAX_TIME: "--max-time ended it",
  ERR_POLICY_MLKEM_REQUIRED: "--policy qkd does without ML-KEM where a QKD key protects",
  ERR_POLICY_QKD_REQUIRED:
    "give both sides a KME (--kme, --sae), or --policy prefer-hybrid to go on without QKD",
  ERR_POLICY_SIMULATED_KEY: "leave out --production to accept keys from a simulated link",
  ERR_PSK_REFUSED: "both sides need the same key under the same identity, and each QKD key works once",
  ERR_PSK_UNKNOWN: "the server does not know this pre-shared key: compare --psk on both sides",
  ERR_QKD_BUSY: "too many look-ups at once; try again",
  ERR_QKD_EMPTY: "the KME has no keys left; wait until the link has made some",
  ERR_QKD_KEY_SIZE: "the KME does not deliver keys of 256 bits",
  ERR_QKD_KEY_USED: "a key was announced twice; each works once",
  ERR_QKD_MALFORMED: "the KME does not answer as ETSI GS QKD 014 says; is --kme its URL?",
  ERR_QKD_TIMEOUT: "the KME answers too slowly",
  ERR_QKD_UNAUTHORIZED: "the KME knows an SAE by its certificate: compare --sae, --kme-cert and --peer-sae",
  ERR_QKD_UNKNOWN_KEY: "the two KMEs are not linked, or the key was fetched before",
  ERR_QKD_UNREACHABLE:
    "is the KME running at --kme? `qkd-tls kme` starts a pair; --policy prefer-hybrid goes on without",
  ERR_QKD_UNTRUSTED:
    "name the CA of the KME's certificate: --kme-ca FILE; this is never a reason to go on without QKD",
  ERR_STORE_CORRUPT:
    "a damaged store could give a key twice: start with an empty directory, at both ends of the link",
  ERR_STORE_KEY: "each store opens with the key that it was made with: compare --store-key-file",
  ERR_STORE_LOCKED: "one process at a time: is another KME running on this directory?",
  ERR_STORE_MISMATCH: "use another --store for another link",
  ERR_STORE_UNWRITABLE: "is --store a directory or database of yours, on a disk with room?",
  ERR_STORE_UNREACHABLE: "is the database of --store up, and do its user, PGPASSWORD and sslmode fit?",
  ERR_STORE_VERSION: "use the version of qkd-tls that made this store, or an empty directory",
  ERR_TRANSFER_BUSY: "another connection is sending this file; --retry N waits for it",
  ERR_TRANSFER_CHANGED: "send it again once nobody writes to it",
  ERR_TRANSFER_CUT: "run the same command again: it goes on where it stopped; --retry N does so by itself",
  ERR_TRANSFER_DIGEST: "send it again; a disk or a memory may be faulty",
  ERR_TRANSFER_DISK_FULL: "make room at the receiver, then run the same command again",
  ERR_TRANSFER_EXISTS: "the receiver replaces files only with --overwrite",
  ERR_TRANSFER_MALFORMED: "the other side must be `qkd-tls send` or `qkd-tls receive`",
  ERR_TLS_NO_ALPN: "the two sides share no application protocol: compare --alpn",
  ERR_TLS_NO_COMMON_PARAMETERS:
    "the two sides share no group, suite or key: compare --groups, --suites and --policy",
  ERR_TLS_TIMEOUT: "does the other side speak TLS 1.3? --timeout SECONDS waits longer",
  ERR_TLS_TRUNCATED: "the connection was cut before its end; what arrived may not be all",
  ERR_TLS_VERSION: "the other side does not speak TLS 1.3",
};

/** Alerts say little; what they usually mean. RFC 9846 §6.2. */
const ALERTS: Readonly<Record<string, string>> = {
  access_denied: "the peer knows us and refuses us",
  bad_certificate: "the peer does not accept our certificate",
  certificate_expired: "our certificate has expired",
  certificate_required: "the peer wants a certificate: --cert FILE --key FILE",
  certificate_unknown: "the peer does not accept our certificate",
  decrypt_error: "the two sides hold different keys under one identity: compare --psk, or the KMEs",
  handshake_failure: "the two sides share no group, suite or key: compare --groups, --suites and --policy",
  insufficient_security:
    "the peer's policy asks for a source that this connection lacks: compare --policy and --kme",
  internal_error: "the peer failed; its own log says why",
  no_application_protocol: "the peer speaks none of these protocols: compare --alpn",
  protocol_version: "the peer does not speak TLS 1.3",
  unknown_ca: "the peer does not know the CA of our certificate",
  unknown_psk_identity: "the peer does not know this pre-shared key: compare --psk on both sides",
  unrecognized_name: "the peer serves no such name: compare --servername",
  unsupported_certificate: "the peer cannot use a certificate of this kind",
};

/** Options of the library under the names they have on the command line. */
const OPTIONS: Readonly<Record<string, string>> = {
  cert: "--cert FILE --key FILE; `qkd-tls pki` makes a set for a test bed; or --psk identity:hex",
  key: "--key names a private key in PEM; --passphrase-file FILE opens one that is encrypted",
  force: "--out DIRECTORY puts them elsewhere",
  groups: "see --groups and --policy; --dangerously-allow-classical permits groups without ML-KEM",
  policy: "--policy is one of hybrid, prefer-hybrid, pqc and qkd",
  qkd: "this policy needs a key source: --kme URL --sae ID --peer-sae ID",
  "qkd.peer": "--peer-sae ID names the SAE at the other end",
  "store-key-file": "`(umask 077; openssl rand -hex 32 > FILE)` makes one",
  ui: "--ui HOST:PORT says where; --ui-expose lets other machines look, without the controls",
  session: "remove the file named by --resume; the next connection makes a new one",
};
