/** QKD identities in a ClientHello, and the PSK that a redeemed key becomes. RFC 9258; RFC 9846 §4.3.11. */
import { fromUtf8, wipe } from "../protocol/bytes.ts";
import { TLS13 } from "../protocol/iana.ts";
import { parseImportedIdentity, parseQkdContext } from "../wire/psk.ts";
import type { HashName } from "../crypto/provider.ts";
import {
  hashOfTarget,
  importPsk,
  parseQkdIdentity,
  parseRawQkdIdentity,
  qkdContext,
  qkdIdentity,
  rawPsk,
  rawQkdIdentity,
} from "../schedule/psk.ts";
import type { DeliveredKey } from "./question.ts";
import type { Draft, FoundPsk } from "./server-state.ts";
import type { ServerSettings } from "./settings.ts";

/** A QKD key that a client announced. */
export interface Announced {
  readonly form: "imported" | "raw";
  readonly initiator: string;
  readonly responder: string;
  readonly keyId: string;
}

/** The key behind an identity; undefined when it is none of a QKD key for this suite. */
export function readQkdIdentity(
  draft: Draft,
  identity: Uint8Array,
  settings: ServerSettings,
): Announced | undefined {
  const imported = parseImportedIdentity(identity);
  if (imported !== undefined) {
    const keyId = parseQkdIdentity(textOf(imported.external_identity));
    const saes = parseQkdContext(imported.context);
    const fits = imported.target_protocol === TLS13 && hashOfTarget(imported.target_kdf) === draft.suite.hash;
    return keyId !== undefined && saes !== undefined && fits
      ? { form: "imported", keyId, ...saes }
      : undefined;
  }
  if (settings.qkd?.acceptRaw !== true || settings.qkd.rawHash !== draft.suite.hash) return undefined;
  const raw = parseRawQkdIdentity(textOf(identity));
  return raw === undefined ? undefined : { form: "raw", ...raw };
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}

/** What the key of an announcement gives to the key schedule; wipes the delivered key. */
export function redeemedPsk(
  { form, initiator, keyId }: Omit<Announced, "responder">,
  delivered: DeliveredKey,
  hash: HashName,
  settings: ServerSettings,
): Pick<FoundPsk, "ready" | "qkd"> {
  const responder = settings.qkd?.sae ?? "";
  const key = delivered.key;
  const ready =
    form === "imported"
      ? importPsk(
          settings.provider,
          { identity: qkdIdentity(keyId), key, hash: "sha256" },
          qkdContext(initiator, responder),
          hash,
        )
      : rawPsk({ identity: rawQkdIdentity(initiator, responder, keyId), key, hash });
  wipe(key);
  return {
    ready,
    qkd: {
      keyId,
      initiator,
      responder,
      simulated: delivered.simulated,
      kind: delivered.kind,
      form,
      ...(delivered.kmes === undefined ? {} : { kmes: delivered.kmes }),
    },
  };
}
