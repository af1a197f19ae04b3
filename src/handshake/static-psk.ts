/** Static external PSKs, and the identities that announce them. RFC 9846 §4.3.11, RFC 9258. */
import { equal } from "../protocol/bytes.ts";
import { TLS13 } from "../protocol/iana.ts";
import { parseImportedIdentity } from "../wire/psk.ts";
import { hashOfTarget, importPsk, rawPsk, type ReadyPsk } from "../schedule/psk.ts";
import type { ServerSettings, StaticPsk } from "./settings.ts";

/** Whether this is the identity of that PSK, for TLS 1.3. RFC 9258 §3.1. */
export function announces(identity: Uint8Array, psk: StaticPsk): boolean {
  if (psk.importContext === undefined) return equal(identity, psk.identity);
  const imported = parseImportedIdentity(identity);
  return (
    imported?.target_protocol === TLS13 &&
    equal(imported.external_identity, psk.identity) &&
    equal(imported.context, psk.importContext)
  );
}

/** The PSK as the key schedule takes it; undefined when the identity is another's, or for a KDF that is not ours. */
export function readyPsk(
  identity: Uint8Array,
  psk: StaticPsk,
  { provider }: ServerSettings,
): ReadyPsk | undefined {
  if (!announces(identity, psk)) return undefined;
  if (psk.importContext === undefined) return rawPsk(psk);
  const imported = parseImportedIdentity(identity);
  const target = imported === undefined ? undefined : hashOfTarget(imported.target_kdf);
  return target === undefined ? undefined : importPsk(provider, psk, psk.importContext, target);
}
