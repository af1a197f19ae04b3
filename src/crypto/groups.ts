import { NamedGroup, type NamedGroupName } from "../protocol/iana.ts";
import { combine, ecdhPart, kemPart } from "./hybrid.ts";
import type { CryptoProvider, CurveName, KemName } from "./provider.ts";

/** A client's half-done key exchange. */
export interface PendingExchange {
  /** KeyShareEntry.key_exchange as the client sends it. */
  readonly share: Uint8Array;
  /**
   * The asymmetric shared secret from the server's share; once. Throws a ProtocolError (illegal_parameter),
   * and a UsageError (ERR_STATE) the second time.
   */
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

/** What each group is made of, in the order of its shares and secrets, which differs by group. RFC 10024. */
const LAYOUTS: Readonly<Record<NamedGroupName, readonly (CurveName | KemName)[]>> = {
  secp256r1: ["secp256r1"],
  secp384r1: ["secp384r1"],
  secp521r1: ["secp521r1"],
  x25519: ["x25519"],
  MLKEM768: ["ml-kem-768"],
  MLKEM1024: ["ml-kem-1024"],
  SecP256r1MLKEM768: ["secp256r1", "ml-kem-768"],
  X25519MLKEM768: ["ml-kem-768", "x25519"],
  SecP384r1MLKEM1024: ["secp384r1", "ml-kem-1024"],
};

const made = new WeakMap<CryptoProvider, Map<NamedGroupName, KeyExchangeGroup>>();

/** The group of this name, computed by this provider; the same object each time. */
export function keyExchangeGroup(provider: CryptoProvider, name: NamedGroupName): KeyExchangeGroup {
  let groups = made.get(provider);
  if (groups === undefined) made.set(provider, (groups = new Map()));
  let group = groups.get(name);
  if (group === undefined) {
    const parts = LAYOUTS[name].map((part) =>
      isKem(part) ? kemPart(provider.kem(part)) : ecdhPart(provider.ecdh(part)),
    );
    group = combine({ name, code: NamedGroup[name] }, parts);
    groups.set(name, group);
  }
  return group;
}

/** The primitives that a group needs, for the self-test and the evidence. */
export function primitivesOf(name: NamedGroupName): readonly (CurveName | KemName)[] {
  return LAYOUTS[name];
}

const isKem = (part: CurveName | KemName): part is KemName => part.startsWith("ml-kem");
