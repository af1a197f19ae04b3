/** Raw public keys: a SubjectPublicKeyInfo in the place of a certificate. RFC 7250 §3, RFC 9846 §4.5.1. */
import type { KeyKind } from "../crypto/provider.ts";
import { ProtocolError, QkdTlsError } from "../protocol/errors.ts";
import { publicKeyInfo } from "./algorithm.ts";
import { sameBytes } from "./certificate.ts";
import { parseDer } from "./der.ts";
import { isDer, pemBlocks, textOf, unreadable } from "./pem.ts";

/**
 * What kind of key a DER SubjectPublicKeyInfo from the network holds; undefined for one that is not used here.
 * Throws a ProtocolError (decode_error) for what is none.
 */
export function readRawPublicKey(spki: Uint8Array): KeyKind | undefined {
  try {
    return publicKeyInfo(parseDer(spki, "public key")).kind;
  } catch (cause) {
    if (!(cause instanceof QkdTlsError)) throw cause;
    throw new ProtocolError(
      "ERR_TLS_DECODE",
      "decode_error",
      `certificate: no SubjectPublicKeyInfo: ${cause.message}`,
      { cause },
    );
  }
}

/**
 * The public keys of a PEM text ("PUBLIC KEY"), or the one of a DER file, as DER SubjectPublicKeyInfo. Throws a
 * UsageError (ERR_FILE_INVALID) naming `option` when there is none or one of them cannot be read.
 */
export function publicKeysFromPem(source: string | Uint8Array, option: string): readonly Uint8Array[] {
  const ders = isDer(source)
    ? [Uint8Array.from(source)]
    : pemBlocks(textOf(source), option)
        .filter(({ label }) => label === "PUBLIC KEY")
        .map(({ der }) => der);
  if (ders.length === 0) throw unreadable(option, 'holds no public key (PEM "PUBLIC KEY", or DER)');
  for (const [at, der] of ders.entries()) checkKey(der, at + 1, option);
  return ders;
}

function checkKey(der: Uint8Array, number: number, option: string): void {
  const which = `holds a public key (number ${number}) that`;
  let kind: KeyKind | undefined;
  try {
    kind = readRawPublicKey(der);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw unreadable(option, `${which} cannot be read: ${cause.message}`, cause);
  }
  if (kind === undefined) throw unreadable(option, `${which} is of no supported kind`);
}

/** Whether this very key is among those. */
export const holdsKey = (keys: readonly Uint8Array[], spki: Uint8Array): boolean =>
  keys.some((key) => sameBytes(key, spki));
