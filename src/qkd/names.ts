/** The names that travel: SAE IDs and key_IDs, checked before anything is asked or spent. */

import { KeySourceError, UsageError } from "../protocol/errors.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The key_ID in lower case, or undefined when the text is no UUID. ETSI GS QKD 014 §6.3. */
export function parseKeyId(text: unknown): string | undefined {
  if (typeof text !== "string" || text.length !== 36) return undefined;
  const id = text.toLowerCase();
  return UUID.test(id) ? id : undefined;
}

/** The key_ID in lower case. Throws ERR_QKD_REFUSED when the text is no UUID. */
export function keyId(text: string): string {
  const id = parseKeyId(text);
  if (id === undefined) throw new KeySourceError("ERR_QKD_REFUSED", "the key_ID is not a UUID");
  return id;
}

/** True for a name of 1 to 255 bytes of UTF-8 without control characters, and no path step. */
export function isSaeId(text: unknown): text is string {
  if (typeof text !== "string" || text === "" || text === "." || text === "..") return false;
  return !/[\p{Cc}\p{Cs}]/u.test(text) && Buffer.byteLength(text) <= 255;
}

/** The peer's SAE ID. Throws ERR_QKD_REFUSED when it cannot be one. */
export function peerSae(text: string): string {
  if (isSaeId(text)) return text;
  throw new KeySourceError("ERR_QKD_REFUSED", "the peer's SAE ID is not 1 to 255 bytes of printable text");
}

/** Our own SAE ID. Throws ERR_OPTION_INVALID when it cannot be one. */
export function ownSae(text: unknown, option = "sae"): string {
  if (isSaeId(text)) return text;
  const rule = "must be an SAE ID: 1 to 255 bytes of printable text";
  throw new UsageError("ERR_OPTION_INVALID", `${option} ${rule}`, { option });
}

/** Foreign text fit for an error message: one line, no control or format characters, at most 200 characters. */
export function tame(text: string): string {
  const plain = text
    .slice(0, 1000)
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  return plain.length > 200 ? `${plain.slice(0, 199)}…` : plain;
}
