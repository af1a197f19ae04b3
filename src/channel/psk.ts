/** Static pre-shared keys as options, checked. */
import type { HashName } from "../crypto/provider.ts";
import type { StaticPsk } from "../handshake/settings.ts";
import { utf8 } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import { isBytes, isObject, isText, onlyKnown } from "../protocol/options.ts";

/** A static external PSK. RFC 9257: at least 16 bytes of entropy, for one client and one server. */
export interface PskOption {
  readonly identity: string | Uint8Array;
  readonly key: Uint8Array;
  /** The hash it was provisioned with; default sha256. */
  readonly hash?: HashName;
  /** Import it by RFC 9258 with this context; without, it is used raw. */
  readonly importContext?: Uint8Array;
}

/** An identity with its context; well below what a ClientHello can hold. */
const IDENTITY_BYTES = 16_384;
/** All identities of a client, which share the 64 KiB of its extensions with its key shares. */
const OFFERED_BYTES = 49_152;

/** Throws a UsageError when these do not fit one ClientHello. */
export function checkOfferable(psks: readonly StaticPsk[]): void {
  let bytes = 0;
  for (const { identity, importContext } of psks) {
    // An imported key is offered once for each hash; around it stand its lengths, its age and its binder.
    const copies = importContext === undefined ? 1 : 2;
    bytes += copies * (identity.length + (importContext?.length ?? 0) + 64);
  }
  if (bytes > OFFERED_BYTES) throw invalid("psks", "are too many or too long for one ClientHello");
}

export const isPsk = (value: unknown): value is PskOption => isObject(value);

/** The PSK as the handshake takes it. Throws a UsageError naming the field. */
export function pskOf(psk: PskOption): StaticPsk {
  onlyKnown(psk, ["identity", "key", "hash", "importContext"], "psk");
  const identity = isText(psk.identity) ? utf8(psk.identity) : psk.identity;
  if (!isBytes(identity)) throw invalid("psk.identity", "is neither text nor bytes");
  if (identity.length === 0) throw invalid("psk.identity", "is empty");
  if (!isBytes(psk.key)) throw invalid("psk.key", "is not made of bytes");
  if (psk.key.length < 16)
    throw invalid("psk.key", `has ${psk.key.length} bytes; 16 are the least (RFC 9257)`);
  const hash = hashOf(psk.hash, "psk.hash");
  if (psk.importContext !== undefined && !isBytes(psk.importContext))
    throw invalid("psk.importContext", "is not made of bytes");
  // Together they become one identity on the wire. RFC 9258 §3.1.
  if (identity.length + (psk.importContext?.length ?? 0) > IDENTITY_BYTES)
    throw invalid("psk.identity", `has more than ${IDENTITY_BYTES} bytes, its context included`);
  return {
    identity,
    key: psk.key,
    hash,
    ...(psk.importContext === undefined ? {} : { importContext: psk.importContext }),
  };
}

/** External PSKs go with SHA-256 unless said otherwise. RFC 9846 §4.3.11. */
export function hashOf(hash: HashName = "sha256", option: string): HashName {
  if (hash !== "sha256" && hash !== "sha384") throw invalid(option, "is neither sha256 nor sha384");
  return hash;
}

/** The refusal of an option's value. */
export const invalid = (option: string, what: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `${option}: ${what}`, { option });

/** The refusal of options without one that they need. */
export const missing = (option: string, what: string): UsageError =>
  new UsageError("ERR_OPTION_MISSING", what, { option });
