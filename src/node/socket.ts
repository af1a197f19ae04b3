/** A SecureStream with the face of tls.TLSSocket, so that what runs over node:tls runs over it. */
import { createPublicKey, X509Certificate, type KeyObject } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { PeerCertificate } from "node:tls";
import { EMPTY } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { Authentication } from "../handshake/established.ts";
import { decodeSession } from "../handshake/session.ts";
import { legacyCertificate } from "./host.ts";
import { isNetSocket } from "./options.ts";
import { SecureStream } from "./stream.ts";

/** A raw public key is no certificate. */
const certificates = (party: Authentication | undefined): readonly Uint8Array[] =>
  party?.certificateType === "X509" ? party.chain : [];

export class QkdTlsSocket extends SecureStream {
  /** Always true, as in node:tls. */
  readonly encrypted = true as const;

  /** Whether the peer was verified. */
  get authorized(): boolean {
    return this.channel.established?.verdict.authorized ?? false;
  }

  /** Why it was not; undefined when it was, or when nothing asked. */
  get authorizationError(): Error | undefined {
    return this.channel.established?.verdict.error;
  }

  /** The application protocol agreed on; false for none. */
  get alpnProtocol(): string | false | null {
    const established = this.channel.established;
    return established === undefined ? null : (established.alpn ?? false);
  }

  /** The server name that was asked for; false for none. */
  get servername(): string | false | null {
    const established = this.channel.established;
    return established === undefined ? null : (established.serverName ?? false);
  }

  getProtocol(): "TLSv1.3" | null {
    return this.channel.established === undefined ? null : "TLSv1.3";
  }

  getCipher(): { name: string; standardName: string; version: "TLSv1.3" } | undefined {
    const name = this.channel.established?.suite.name;
    return name === undefined ? undefined : { name, standardName: name, version: "TLSv1.3" };
  }

  /** The key exchange group, in the form that Node 26 gives it. */
  getEphemeralKeyInfo(): { type: "TLSGroup"; name: string } | Record<string, never> {
    const group = this.channel.established?.group;
    return group === undefined ? {} : { type: "TLSGroup", name: group.name };
  }

  getPeerCertificate(detailed = false): PeerCertificate | Record<string, never> {
    const chain = certificates(this.channel.established?.peer);
    const [leaf] = chain;
    if (leaf === undefined) return {};
    const certificate = legacyCertificate(leaf);
    if (!detailed) return certificate;
    // The chain as node:tls links it: each certificate to its issuer, the last one to itself.
    const linked = chain.map(legacyCertificate) as (PeerCertificate & {
      issuerCertificate?: PeerCertificate;
    })[];
    linked.forEach((each, index) => {
      each.issuerCertificate = linked[index + 1] ?? each;
    });
    return linked[0] as PeerCertificate;
  }

  getPeerX509Certificate(): X509Certificate | undefined {
    const [leaf] = certificates(this.channel.established?.peer);
    return leaf === undefined ? undefined : new X509Certificate(leaf);
  }

  /** The public key that the peer showed in place of a certificate. RFC 7250. */
  getPeerRawPublicKey(): KeyObject | undefined {
    const peer = this.channel.established?.peer;
    const [spki] = peer?.certificateType === "RawPublicKey" ? peer.chain : [];
    return spki === undefined
      ? undefined
      : createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  }

  getCertificate(): PeerCertificate | Record<string, never> {
    const [leaf] = certificates(this.channel.established?.local);
    return leaf === undefined ? {} : legacyCertificate(leaf);
  }

  getX509Certificate(): X509Certificate | undefined {
    const [leaf] = certificates(this.channel.established?.local);
    return leaf === undefined ? undefined : new X509Certificate(leaf);
  }

  /** The newest session, for the `session` option of a later `connect`. It holds a secret. */
  getSession(): Buffer | undefined {
    return this.session === undefined ? undefined : Buffer.from(this.session);
  }

  /** The ticket inside the newest session; undefined before one came, and on a server. As in node:tls. */
  getTLSTicket(): Buffer | undefined {
    return this.session === undefined ? undefined : Buffer.from(decodeSession(this.session).ticket);
  }

  /** verify_data of our Finished message. As in node:tls; for a channel binding see `getChannelBinding`. */
  getFinished(): Buffer | undefined {
    const finished = this.channel.established?.finished.local;
    return finished === undefined ? undefined : Buffer.from(finished);
  }

  /** verify_data of the peer's Finished message. As in node:tls. */
  getPeerFinished(): Buffer | undefined {
    const finished = this.channel.established?.finished.peer;
    return finished === undefined ? undefined : Buffer.from(finished);
  }

  /** The most content of a record that we send from here on, 512 to 16384 bytes; false for any other. As in node:tls. */
  setMaxSendFragment(bytes: number): boolean {
    try {
      this.channel.setMaxSendFragment(bytes);
      return true;
    } catch {
      return false;
    }
  }

  isSessionReused(): boolean {
    return this.channel.established?.resumed ?? false;
  }

  /** TLS-Exporter; `length` in bytes. Throws a UsageError before the handshake is done. RFC 9846 §7.5. */
  exportKeyingMaterial(length: number, label: string, context?: Uint8Array): Buffer {
    if (!Number.isInteger(length) || length < 1 || length > 8160) {
      throw new UsageError("ERR_OPTION_INVALID", "length: 1 to 8160 bytes can be exported", {
        option: "length",
      });
    }
    return Buffer.from(this.channel.exportKeyingMaterial(label, context ?? EMPTY, length));
  }

  /** The channel binding `tls-exporter`, 32 bytes. RFC 9266 §4. */
  getChannelBinding(): Buffer {
    return this.exportKeyingMaterial(32, "EXPORTER-Channel-Binding");
  }

  /** Moves our direction to its next traffic secret and, when asked, the peer's. RFC 9846 §4.7.3. */
  updateKeys(options: { readonly requestPeer?: boolean } = {}): void {
    this.handle(this.channel.updateKeys(options));
  }

  /** TLS 1.3 has no renegotiation; the callback learns so. As in node:tls. */
  renegotiate(_options: object, callback?: (error: Error) => void): false {
    const error = new UsageError("ERR_OPTION_UNSUPPORTED", "renegotiate: TLS 1.3 has none; see updateKeys");
    if (callback !== undefined) process.nextTick(callback, error);
    return false;
  }

  disableRenegotiation(): void {}

  ref(): this {
    if (isNetSocket(this.transport)) this.transport.ref();
    return this;
  }

  unref(): this {
    if (isNetSocket(this.transport)) this.transport.unref();
    return this;
  }

  setNoDelay(on = true): this {
    if (isNetSocket(this.transport)) this.transport.setNoDelay(on);
    return this;
  }

  setKeepAlive(on = false, delayMs = 0): this {
    if (isNetSocket(this.transport)) this.transport.setKeepAlive(on, delayMs);
    return this;
  }

  /** Ends after what was written has gone out, then closes. As in node:net. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Closes the transport with a reset. As in node:net. */
  resetAndDestroy(): this {
    if (isNetSocket(this.transport)) this.transport.resetAndDestroy();
    return this.destroy();
  }

  address(): AddressInfo | Record<string, never> {
    return isNetSocket(this.transport) ? this.transport.address() : {};
  }

  get remoteAddress(): string | undefined {
    return isNetSocket(this.transport) ? this.transport.remoteAddress : undefined;
  }
  get remotePort(): number | undefined {
    return isNetSocket(this.transport) ? this.transport.remotePort : undefined;
  }
  get remoteFamily(): string | undefined {
    return isNetSocket(this.transport) ? this.transport.remoteFamily : undefined;
  }
  get localAddress(): string | undefined {
    return isNetSocket(this.transport) ? this.transport.localAddress : undefined;
  }
  get localPort(): number | undefined {
    return isNetSocket(this.transport) ? this.transport.localPort : undefined;
  }
  get localFamily(): string | undefined {
    return isNetSocket(this.transport) ? this.transport.localFamily : undefined;
  }
  /** True until the transport is connected. As in node:net. */
  get pending(): boolean {
    return this.connecting;
  }
  /** As in node:net. */
  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }
  get connecting(): boolean {
    return isNetSocket(this.transport) && this.transport.connecting;
  }
  /** Bytes on the wire, as in node:tls. */
  get bytesRead(): number {
    return isNetSocket(this.transport) ? this.transport.bytesRead : 0;
  }
  get bytesWritten(): number {
    return isNetSocket(this.transport) ? this.transport.bytesWritten : this.bytesSent;
  }
}
