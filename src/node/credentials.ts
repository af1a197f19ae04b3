/** Certificates, their keys and what is stapled to them, out of the options. */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { loadDelegatedIdentity } from "../pki/delegated-credential.ts";
import { loadIdentity, loadRawIdentity } from "../pki/identity.ts";
import { checkStapled, credentialsOf } from "../channel/credential.ts";
import type { Credential } from "../handshake/question.ts";
import { listOf, type ContextOptions, type ExternalSigner, type Pem } from "./options.ts";

/** Everything that a side may show. Throws a UsageError naming the option. */
export function readCredentials(
  provider: CryptoProvider,
  options: ContextOptions,
): readonly (Credential & { readonly sign?: ExternalSigner })[] {
  const certs = listOf<Pem>(options.cert);
  const keys = listOf<Pem | KeyObject>(options.key);
  if (certs.length !== keys.length) {
    const option = certs.length > keys.length ? "key" : "cert";
    throw new UsageError(
      "ERR_OPTION_MISSING",
      `${certs.length} cert and ${keys.length} key: each needs its other half`,
      { option },
    );
  }
  const { passphrase } = options;
  const certified = certs.map((cert, index) =>
    withPkcs8({ key: keys[index] as Pem | KeyObject, option: "key", passphrase }, (key) =>
      loadIdentity(provider, { cert, key }),
    ),
  );
  const raw = listOf<Pem | KeyObject>(options.rawKey).map((key) =>
    withPkcs8({ key, option: "rawKey", passphrase }, (pkcs8) => loadRawIdentity(provider, pkcs8)),
  );
  return [...delegated(provider, options), ...stapled(certified, options), ...raw, ...credentialsOf(options)];
}

function delegated(
  provider: CryptoProvider,
  { delegatedCredentials, passphrase }: ContextOptions,
): readonly Credential[] {
  return listOf(delegatedCredentials).map(({ cert, key, delegatedCredential }) => {
    try {
      return withPkcs8({ key, option: "key", passphrase }, (pkcs8) =>
        loadDelegatedIdentity(provider, { cert, key: pkcs8, delegatedCredential }),
      );
    } catch (cause) {
      if (!(cause instanceof UsageError)) throw cause;
      const option = "delegatedCredentials";
      throw new UsageError(cause.code, `${option}: ${cause.message}`, { option, cause });
    }
  });
}

/** Beside the one certificate of `cert`; of several, each one's stands in `credentials`. */
function stapled(certified: readonly Credential[], options: ContextOptions): readonly Credential[] {
  const { ocspResponse, signedCertificateTimestampList } = options;
  const beside = {
    ...(ocspResponse === undefined ? {} : { ocspResponse }),
    ...(signedCertificateTimestampList === undefined ? {} : { signedCertificateTimestampList }),
  };
  const [option] = Object.keys(beside);
  if (option === undefined) return certified;
  checkStapled(beside);
  if (certified.length === 1) return certified.map((credential) => ({ ...credential, ...beside }));
  const what = `${option}: it belongs to one cert, and there are ${certified.length}; see credentials`;
  throw new UsageError("ERR_OPTION_INVALID", what, { option });
}

interface OwnKey {
  readonly key: Pem | KeyObject;
  readonly option: "key" | "rawKey";
  readonly passphrase: string | undefined;
}

/** Uses a key as PKCS #8, and overwrites the bytes that had to be made for it. */
function withPkcs8<T>(own: OwnKey, use: (pkcs8: Pem) => T): T {
  const pkcs8 = toPkcs8(own);
  try {
    return use(pkcs8);
  } finally {
    if (pkcs8 !== own.key && typeof pkcs8 !== "string") wipe(pkcs8);
  }
}

/** PKCS #8 as PEM or DER. Encrypted keys and the older PEM forms go through OpenSSL. */
function toPkcs8({ key, option, passphrase }: OwnKey): Pem {
  if (typeof key === "object" && "export" in key) return key.export({ type: "pkcs8", format: "der" });
  const text = typeof key === "string" ? key : Buffer.from(key).toString("latin1");
  if (!/-----BEGIN (ENCRYPTED|EC|RSA) PRIVATE KEY-----/.test(text)) return key;
  try {
    const read = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
    return read.export({ type: "pkcs8", format: "der" });
  } catch (cause) {
    const unread =
      passphrase === undefined
        ? "is encrypted and needs a passphrase"
        : "cannot be decrypted with this passphrase";
    const what = text.includes("ENCRYPTED") ? `the key ${unread}` : "the key cannot be read";
    throw new UsageError("ERR_OPTION_INVALID", `${option}: ${what}`, { option, cause });
  }
}
