import type { NamedGroupName } from "../protocol/iana.ts";

/** A client's half-done key exchange. */
export interface PendingExchange {
  /** KeyShareEntry.key_exchange as the client sends it. */
  readonly share: Uint8Array;
  /** The asymmetric shared secret from the server's share. Throws a ProtocolError (illegal_parameter). */
  complete(serverShare: Uint8Array): Uint8Array;
}

/** A named group: a key exchange with its code point and layout. RFC 9846 §4.3.8, RFC 10024. */
export interface KeyExchangeGroup {
  readonly name: NamedGroupName;
  readonly code: number;
  /** Which of the sources that policy speaks of are in it. */
  readonly ecdh: boolean;
  readonly mlkem: boolean;
  start(): PendingExchange;
  /** The server's share and the secret. Throws a ProtocolError (illegal_parameter) for a bad client share. */
  respond(clientShare: Uint8Array): { readonly share: Uint8Array; readonly secret: Uint8Array };
}
