import { fromUtf8 } from "../protocol/bytes.ts";
import { decode, opaque, struct, u16, type Of } from "./codec.ts";

/** RFC 9258 §3.1: its bytes are the PskIdentity.identity on the wire. */
export const ImportedIdentity = struct({
  external_identity: opaque(2, 1),
  context: opaque(2),
  target_protocol: u16,
  target_kdf: u16,
});
export type ImportedIdentity = Of<typeof ImportedIdentity>;

/** The context of an imported QKD key: both SAE IDs, the TLS client's first. */
export const QkdContext = struct({
  initiator: opaque(1, 1),
  responder: opaque(1, 1),
});
export type QkdContext = Of<typeof QkdContext>;

/** An identity that an importer made, or undefined for any other bytes. */
export function parseImportedIdentity(identity: Uint8Array): ImportedIdentity | undefined {
  try {
    return decode(ImportedIdentity, identity);
  } catch {
    return undefined;
  }
}

/** The two SAE IDs, or undefined when the bytes are no such context or not UTF-8. */
export function parseQkdContext(
  context: Uint8Array,
): { readonly initiator: string; readonly responder: string } | undefined {
  try {
    const { initiator, responder } = decode(QkdContext, context);
    return { initiator: fromUtf8(initiator), responder: fromUtf8(responder) };
  } catch {
    return undefined;
  }
}
