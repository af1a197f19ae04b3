/** What a bootstrap is told, and what it says on the wire. */
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Scheme } from "../crypto/schemes.ts";
import type { TrustAnchors } from "../pki/anchors.ts";
import type { Identity } from "../pki/identity.ts";
import type { VerifiedPath } from "../pki/verify.ts";
import { concat, utf8 } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import { bytes, encode, opaque, struct, u16, u8, vector } from "../wire/codec.ts";
import type { AuthenticationMethod } from "./authentication.ts";
import type { Ledger, Party } from "./ledger.ts";
import { messages } from "./message.ts";

export const STAGE = "bootstrap";
export const NONCE_BYTES = 32;
const MIN_PSK_BYTES = 32;
export const DEFAULT_KEY_BYTES = 8192;
export const PARTIES: readonly Party[] = ["alice", "bob"];
export const MODES = ["psk", "psk-exchange", "pki"] as const;

export const Chain = vector(3, opaque(3, 1), 0, 2 ** 18);
export const BootstrapMessages = messages(STAGE, {
  hello: {
    code: 1,
    body: struct({
      party: u8,
      mode: u8,
      method: u8,
      key_bytes: u16,
      /** 0 where there is no exchange. */
      group: u16,
      psk_identity: opaque(1),
      nonce: bytes(NONCE_BYTES),
      share: opaque(2),
    }),
  },
  /** Chain, scheme and signature are empty where a pre-shared key proves it all. */
  proof: { code: 2, body: struct({ chain: Chain, scheme: u16, signature: opaque(2), mac: opaque(1) }) },
});
export type Hello = Parameters<typeof BootstrapMessages.write<"hello">>[1];
export type Proof = Parameters<typeof BootstrapMessages.write<"proof">>[1];

/** A secret that both parties were given, of 32 bytes or more. */
export interface PskTrust {
  readonly kind: "psk";
  readonly identity: string;
  readonly key: Uint8Array;
  /** Whether an ephemeral exchange is mixed in; default true. */
  readonly exchange?: boolean | undefined;
}

/** Certificates: ours, and what the peer's must be: for a host, of a common name (a KME's ID), or both. */
export interface PkiTrust {
  readonly kind: "pki";
  readonly identity: Identity;
  readonly anchors: TrustAnchors;
  readonly peerName?: string | undefined;
  readonly peerCommonName?: string | undefined;
  readonly nowMs: number;
}

export interface BootstrapSettings {
  readonly provider: CryptoProvider;
  readonly party: Party;
  readonly trust: PskTrust | PkiTrust;
  /** How the classical channel will be authenticated; both parties must say the same. */
  readonly method: AuthenticationMethod;
  /** Authentication key for each way, in bytes; default 8192, at most 12240. Enough for the first block is needed. */
  readonly keyBytes?: number | undefined;
}

export interface Bootstrapped {
  readonly ledger: Ledger;
  /** The transcript's hash: a value of this session's own, for the classical channel. */
  readonly context: Uint8Array;
  /** Who the peer is, where certificates say it, and how it signs. */
  readonly peer: { readonly path: VerifiedPath; readonly scheme: Scheme } | undefined;
}

/** Scheme and signature of a proof, as they stand in the transcript before its MAC. */
export const signaturePart = (signed: {
  readonly scheme: number;
  readonly signature: Uint8Array;
}): Uint8Array => concat([encode(u16, signed.scheme), encode(opaque(2), signed.signature)]);

/** Throws a UsageError for settings that cannot be. */
export function demandSettings(
  { trust, method }: BootstrapSettings,
  keyBytes: number,
  maxKeyBytes: number,
): void {
  if (!(Number.isInteger(keyBytes) && keyBytes >= 64 && keyBytes <= maxKeyBytes)) {
    throw invalid("keyBytes", `must be 64 to ${maxKeyBytes}`);
  }
  if (method === "signature" && trust.kind !== "pki") throw invalid("method", "needs certificates to sign");
  if (trust.kind === "pki") {
    if (trust.peerName === undefined && trust.peerCommonName === undefined)
      throw invalid("trust", "does not say who the peer is");
    return;
  }
  if (trust.key.length < MIN_PSK_BYTES)
    throw invalid("trust", `holds a key shorter than ${MIN_PSK_BYTES} bytes`);
  if (utf8(trust.identity).length > 255) throw invalid("trust", "names its key in more than 255 bytes");
}

const invalid = (option: string, fault: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `\`${option}\` ${fault}`, { option });
