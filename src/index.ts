/** qkd-tls for Node: channels that depend on ECDH, ML-KEM and QKD keys at once. */
export { connect, upgradeClient } from "./node/connect.ts";
export { createServer, QkdTlsServer, upgradeServer } from "./node/server.ts";
export { QkdTlsSocket } from "./node/socket.ts";
export { createSecureContext, SecureContext } from "./node/context.ts";
export type {
  CertificateWanted,
  ConnectOptions,
  ContextOptions,
  ExternalSigner,
  PeerToVerify,
  QkdOptions,
  ServerOptions,
  TicketStore,
} from "./node/options.ts";
export type { SecurityRecord } from "./observe/evidence.ts";
export type { PolicyOption } from "./channel/options.ts";
export type { PskOption } from "./channel/psk.ts";
export type { Degradation, Policy, PolicyName, Standing } from "./handshake/policy.ts";
export {
  KeySourceError,
  LinkError,
  PeerAlert,
  ProtocolError,
  QkdTlsError,
  StoreError,
  TrustError,
  UsageError,
} from "./protocol/errors.ts";
export type { AlertName } from "./protocol/alert.ts";
export { nodeProvider } from "./crypto/node.ts";
export { nobleProvider } from "./crypto/noble.ts";
export type { CryptoProvider } from "./crypto/provider.ts";
export { etsi014 } from "./qkd/etsi014.ts";
export { inProcess } from "./qkd/in-process.ts";
export { inProcessPair } from "./qkd/pair.ts";
export { reserve } from "./qkd/reserve.ts";
export type { KeySource, QkdKey, SourceStatus } from "./qkd/source.ts";
