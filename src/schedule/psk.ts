/** The one place where a QKD key (or any external PSK) enters the key schedule. RFC 9258, RFC 9846 §4.3.11. */
import { utf8, wipe } from "../protocol/bytes.ts";
import { TargetKdf, TLS13 } from "../protocol/iana.ts";
import { encode } from "../wire/codec.ts";
import { ImportedIdentity, QkdContext } from "../wire/psk.ts";
import type { CryptoProvider, HashName } from "../crypto/provider.ts";
import { expandLabel, extract } from "./label.ts";
import type { BinderKind } from "./stages.ts";

/** A PSK as the schedule takes it, with the identity that stands for it on the wire. */
export interface ReadyPsk {
  readonly identity: Uint8Array;
  readonly secret: Uint8Array;
  /** The hash of the suites it may be used with, which is also the hash of its binder. */
  readonly hash: HashName;
  readonly binder: BinderKind;
}

/** An external PSK as it was provisioned. */
export interface ExternalPsk {
  readonly identity: Uint8Array;
  readonly key: Uint8Array;
  /** The hash the PSK was provisioned with; SHA-256 unless said otherwise. RFC 9258 §3. */
  readonly hash: HashName;
}

/** The KDF identifier of each hash and the length of what is derived for it. RFC 9258 §3.1. */
const TARGETS = {
  sha256: { kdf: TargetKdf.HKDF_SHA256, bytes: 32 },
  sha384: { kdf: TargetKdf.HKDF_SHA384, bytes: 48 },
} as const;

/** The hash that a target_kdf stands for, or undefined for one that we do not speak. */
export function hashOfTarget(targetKdf: number): HashName | undefined {
  if (targetKdf === TargetKdf.HKDF_SHA256) return "sha256";
  return targetKdf === TargetKdf.HKDF_SHA384 ? "sha384" : undefined;
}

/** ipskx for one target hash. RFC 9258 §3.1. The external key is left to its owner to wipe. */
export function importPsk(
  provider: CryptoProvider,
  psk: ExternalPsk,
  context: Uint8Array,
  target: HashName,
): ReadyPsk {
  const { kdf, bytes } = TARGETS[target];
  const identity = encode(ImportedIdentity, {
    external_identity: psk.identity,
    context,
    target_protocol: TLS13,
    target_kdf: kdf,
  });
  const hash = provider.hash(psk.hash);
  const epskx = extract(hash, new Uint8Array(hash.outputBytes), psk.key);
  const secret = expandLabel(hash, epskx, "derived psk", hash.digest(identity), bytes);
  wipe(epskx);
  return { identity, secret, hash: target, binder: "imp binder" };
}

/** An external PSK used as it is, for peers without an importer. */
export function rawPsk(psk: ExternalPsk): ReadyPsk {
  return { identity: psk.identity, secret: Uint8Array.from(psk.key), hash: psk.hash, binder: "ext binder" };
}

const SCHEME = "etsi-qkd-014:";

/** external_identity of a QKD key: the kind of source, then the key_ID. */
export const qkdIdentity = (keyId: string): Uint8Array => utf8(SCHEME + keyId);

/** The importer context of a QKD key: the SAE IDs of the TLS client and the TLS server. */
export const qkdContext = (initiator: string, responder: string): Uint8Array =>
  encode(QkdContext, { initiator: utf8(initiator), responder: utf8(responder) });

/** The raw identity of a QKD key for peers without an importer. */
export const rawQkdIdentity = (initiator: string, responder: string, keyId: string): Uint8Array =>
  utf8(`${SCHEME}${encodeURIComponent(initiator)}/${encodeURIComponent(responder)}/${keyId}`);

/** The key_ID inside an imported identity's external_identity; undefined when it is none of ours. */
export function parseQkdIdentity(text: string): string | undefined {
  return text.startsWith(SCHEME) ? text.slice(SCHEME.length) : undefined;
}

/** The parts of a raw QKD identity; undefined for any other identity. */
export function parseRawQkdIdentity(
  text: string,
): { readonly initiator: string; readonly responder: string; readonly keyId: string } | undefined {
  const parts = parseQkdIdentity(text)?.split("/");
  if (parts?.length !== 3) return undefined;
  const [initiator, responder, keyId] = parts as [string, string, string];
  try {
    return { initiator: decodeURIComponent(initiator), responder: decodeURIComponent(responder), keyId };
  } catch {
    return undefined;
  }
}
