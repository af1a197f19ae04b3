/** Which options of `node:tls` we take, which we refuse by name, and which are another layer's. */
import { UsageError } from "../protocol/errors.ts";

/** Options that make a context: what one side is, trusts and allows. */
export const CONTEXT_OPTIONS = [
  "ca",
  "cert",
  "key",
  "rawKey",
  "rawPublicKeys",
  "passphrase",
  "delegatedCredentials",
  "acceptDelegatedCredentials",
  "ocspResponse",
  "signedCertificateTimestampList",
  "credentials",
  "provider",
  "policy",
  "production",
  "dangerous",
  "psk",
  "pskKe",
  "qkd",
  "suites",
  "groups",
  "signatureSchemes",
  "ciphers",
  "ecdhCurve",
  "sigalgs",
  "minVersion",
  "maxVersion",
  "ALPNProtocols",
  "recordSizeLimit",
  "maxSendFragment",
  "padding",
  "certificateCompression",
  "grease",
  "limits",
  "rejectUnauthorized",
  "checkServerIdentity",
  "verifyPeer",
  "keylog",
] as const;

/** What a client's channel takes from the options of its connection, and not from the context. */
export const CONNECTION_OPTIONS = [
  "authentication",
  "clientCertificateTypes",
  "serverCertificateTypes",
  "insistsOnCertificate",
  "keyShares",
  "middleboxCompatibility",
  "permuteExtensions",
  "requestOCSP",
  "requestSCT",
  "resumption",
] as const;

export const CLIENT_OPTIONS = [
  ...CONTEXT_OPTIONS,
  ...CONNECTION_OPTIONS,
  "certificateCallback",
  "session",
  "servername",
  "secureContext",
  "pskCallback",
  "handshakeTimeout",
  "socket",
  "allowHalfOpen",
  "timeout",
  "highWaterMark",
  "signal",
] as const;

export const SERVER_OPTIONS = [
  ...CONTEXT_OPTIONS,
  "requestCert",
  "requestSCT",
  "clientCertificateTypes",
  "SNICallback",
  "pskCallback",
  "ticketKeys",
  "ticketStore",
  "tickets",
  "sessionTimeout",
  "honorCipherOrder",
  "demandsCookie",
  "secureContext",
  "handshakeTimeout",
  "allowHalfOpen",
  "highWaterMark",
  "signal",
] as const;

/** Options of `net.connect` and `net.Server`, handed on as they are. */
export const NET_OPTIONS = [
  "host",
  "port",
  "path",
  "localAddress",
  "localPort",
  "family",
  "hints",
  "lookup",
  "noDelay",
  "keepAlive",
  "keepAliveInitialDelay",
  "autoSelectFamily",
  "autoSelectFamilyAttemptTimeout",
  "blockList",
  "pauseOnConnect",
  "fd",
] as const;

/**
 * Options that http.request, https.Agent and their kin put into the object they hand to `createConnection`.
 * They steer HTTP and mean nothing to a socket.
 */
const HTTP_OPTIONS = new Set([
  "agent",
  "agentKeepAliveTimeoutBuffer",
  "auth",
  "createConnection",
  "defaultPort",
  "encoding",
  "hash",
  "headers",
  "hostname",
  "href",
  "httpSocket",
  "insecureHTTPParser",
  "joinDuplicateHeaders",
  "keepAliveMsecs",
  "maxCachedSessions",
  "maxFreeSockets",
  "maxHeaderSize",
  "maxSockets",
  "maxTotalSockets",
  "method",
  "origin",
  "pathname",
  "port",
  "proxyEnv",
  "protocol",
  "query",
  "scheduling",
  "search",
  "setDefaultHeaders",
  "setHost",
  "socketPath",
  "uniqueHeaders",
  "_agentKey",
  "_defaultAgent",
]); // prettier-ignore

/** Options of node:tls that we know and do not support; silence about them would weaken or surprise. */
const REFUSED: Readonly<Record<string, string>> = {
  ALPNCallback: "give ALPNProtocols instead",
  allowPartialTrustChain: "name the intermediate itself in ca",
  clientCertEngine: "engines are not supported",
  crl: "certificate revocation lists are not supported yet",
  dhparam: "finite-field groups are not supported",
  earlyData: "0-RTT data is never sent, because it can be replayed",
  enableTrace: "listen to the keylog event and use a dissector",
  minDHSize: "finite-field groups are not supported",
  onread: "the channel reads into a buffer of its own",
  pfx: "convert it to PEM and give cert and key",
  privateKeyEngine: "engines are not supported",
  privateKeyIdentifier: "engines are not supported",
  pskIdentityHint: "TLS 1.3 has no identity hint",
  secureOptions: "OpenSSL flags have no meaning here",
  secureProtocol: "only TLS 1.3 is spoken",
  sessionIdContext: "tickets belong to their server's keys",
};

/** Throws a UsageError for an option that is refused or that nobody knows. */
export function checkOptionNames(options: object, known: readonly string[], where: string): void {
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined || value === null || known.includes(option) || HTTP_OPTIONS.has(option)) continue;
    const why = REFUSED[option];
    if (why !== undefined) {
      throw new UsageError(
        "ERR_OPTION_UNSUPPORTED",
        `${where}: the option ${option} is not supported: ${why}`,
        { option },
      );
    }
    throw new UsageError("ERR_OPTION_UNKNOWN", `${where} has no option ${option}`, { option });
  }
}
