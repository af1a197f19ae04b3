/** Raw public keys as options: which a peer may show, and who vouches for them. RFC 7250. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { TrustError, UsageError } from "../protocol/errors.ts";
import type { CertificateTypeName } from "../protocol/iana.ts";
import { isBytes, isObject, isText } from "../protocol/options.ts";
import { X509_ALONE } from "../handshake/certificate-type.ts";
import { holdsKey, publicKeysFromPem } from "../pki/raw-public-key.ts";
import type { ContextOptions, Pem } from "./options.ts";

/** DER SubjectPublicKeyInfo of each. Throws a UsageError naming `rawPublicKeys`. */
export function readPublicKeys(keys: readonly (Pem | KeyObject)[]): readonly Uint8Array[] {
  return keys.flatMap((key) => {
    if (isText(key) || isBytes(key)) return publicKeysFromPem(key, "rawPublicKeys");
    if (!isKeyObject(key) || key.type === "secret") {
      const what = "is neither PEM, DER nor an asymmetric KeyObject";
      throw new UsageError("ERR_OPTION_INVALID", `rawPublicKeys: ${what}`, { option: "rawPublicKeys" });
    }
    const half = key.type === "public" ? key : createPublicKey(key);
    return publicKeysFromPem(half.export({ type: "spki", format: "der" }), "rawPublicKeys");
  });
}

const isKeyObject = (value: unknown): value is KeyObject => isObject(value) && "asymmetricKeyType" in value;

/**
 * What a peer may show, best first: what `option` says, or else what the context can judge. Keys that are trusted mean
 * that nothing weaker will do, unless there are anchors too. Throws a UsageError naming the option.
 */
export function peerTypes(
  { rawPublicKeys, ca, verifyPeer, rejectUnauthorized }: ContextOptions,
  option: string,
  given: readonly CertificateTypeName[] | undefined,
): readonly CertificateTypeName[] {
  const judged: readonly CertificateTypeName[] =
    ca === undefined ? ["RawPublicKey"] : ["RawPublicKey", "X509"];
  const types = given ?? (rawPublicKeys === undefined ? X509_ALONE : judged);
  const takesRaw = Array.isArray(types) && types.includes("RawPublicKey");
  if (takesRaw && rawPublicKeys === undefined && verifyPeer === undefined && rejectUnauthorized !== false) {
    throw new UsageError(
      "ERR_OPTION_MISSING",
      `${option}: nobody vouches for raw public keys: give rawPublicKeys or verifyPeer`,
      {
        option: "rawPublicKeys",
      },
    );
  }
  if (!takesRaw && rawPublicKeys !== undefined) {
    throw new UsageError(
      "ERR_OPTION_INVALID",
      `${option}: without RawPublicKey the rawPublicKeys would serve nothing`,
      { option },
    );
  }
  return types;
}

/** Throws a TrustError for a key that is none of those we trust; undefined where there is no list of them. */
export function checkRawKey(trusted: readonly Uint8Array[] | undefined, spki: Uint8Array): void {
  if (trusted === undefined || holdsKey(trusted, spki)) return;
  throw new TrustError(
    "ERR_CERT_UNTRUSTED",
    "unknown_ca",
    "the peer's raw public key is none of those that are trusted",
  );
}
