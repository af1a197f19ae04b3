/** The runtime-neutral core: a channel without I/O and a portable provider. Nothing behind it needs Node. */
export { Channel, type ChannelEvent } from "./channel/channel.ts";
export { clientConfig, forConnection, serverConfig } from "./channel/config.ts";
export type { ClientOptions, PolicyOption, ServerOptions } from "./channel/options.ts";
export type { PskOption } from "./channel/psk.ts";
export { TicketKeys } from "./channel/tickets.ts";
export type { Question, Verdict } from "./handshake/question.ts";
export type { CertificateCompressor } from "./handshake/settings.ts";
export { decodeSession, encodeSession } from "./handshake/session.ts";
export type { Policy, PolicyName, Standing } from "./handshake/policy.ts";
export { nobleProvider } from "./crypto/noble.ts";
export type { CryptoProvider } from "./crypto/provider.ts";
export { trustAnchors } from "./pki/anchors.ts";
export { parseCertificate } from "./pki/certificate.ts";
export { loadIdentity, loadRawIdentity } from "./pki/identity.ts";
export { publicKeysFromPem } from "./pki/raw-public-key.ts";
export { certificatesFromPem } from "./pki/pem.ts";
export { verifyChain } from "./pki/verify.ts";
export * from "./protocol/errors.ts";
