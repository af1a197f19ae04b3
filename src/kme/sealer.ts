/** Records encrypted under the key of a store: AES-256-GCM, and where a record belongs is authenticated with it. */

import type { AeadKey, CryptoProvider } from "../crypto/provider.ts";
import { concat, toHex, utf8, wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";

const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What sealing adds to a record. */
const OVERHEAD_BYTES = SALT_BYTES + NONCE_BYTES + TAG_BYTES;
export const STORE_KEY_BYTES = 32;

/** A sealer under the key of a store, which is copied. Throws UsageError when it has another length than 32 bytes. */
export function storeSealer(crypto: CryptoProvider, key: Uint8Array): Sealer {
  if (key.length === STORE_KEY_BYTES) return new Sealer(crypto, key);
  const text = `the key of a store has ${STORE_KEY_BYTES} bytes, not ${key.length}`;
  throw new UsageError("ERR_OPTION_INVALID", text, { option: "key" });
}

/**
 * Seals with a key that no earlier run had: derived from the store's key and a fresh random salt, which stands in
 * front of the record. So nonces can count from zero, even on a store that was copied back from a backup.
 */
export class Sealer {
  readonly #crypto: CryptoProvider;
  readonly #key: Uint8Array;
  readonly #keys = new Map<string, AeadKey>();
  readonly #salt: Uint8Array;
  readonly #sealing: AeadKey;
  #sealed = 0n;

  /** `key` has 32 bytes and is copied. */
  constructor(crypto: CryptoProvider, key: Uint8Array) {
    this.#crypto = crypto;
    this.#key = new Uint8Array(key);
    this.#salt = crypto.random(SALT_BYTES);
    this.#sealing = this.#keyOf(this.#salt);
  }

  /** A value that only the store's key gives for these words; it tells nothing about the key. */
  check(words: string): string {
    const mac = this.#crypto.hash("sha256").hmac(this.#key, utf8(`qkd-tls store check ${words}`));
    return toHex(mac.subarray(0, SALT_BYTES));
  }

  /** salt ‖ nonce ‖ ciphertext ‖ tag. Wipes `plaintext`. */
  seal(plaintext: Uint8Array, place: string): Uint8Array {
    const out = new Uint8Array(plaintext.length + OVERHEAD_BYTES);
    out.set(this.#salt);
    const nonce = out.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
    new DataView(out.buffer).setBigUint64(SALT_BYTES + NONCE_BYTES - 8, this.#sealed++);
    const data = out.subarray(SALT_BYTES + NONCE_BYTES);
    data.set(plaintext);
    wipe(plaintext);
    this.#sealing.seal(nonce, utf8(place), data);
    return out;
  }

  /** The plaintext, which the caller wipes; undefined when it was not sealed so, under this key and for this place. */
  open(sealed: Uint8Array, place: string): Uint8Array | undefined {
    if (sealed.length < OVERHEAD_BYTES) return undefined;
    const nonce = sealed.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
    const key = this.#keyOf(sealed.subarray(0, SALT_BYTES));
    return key.open(nonce, utf8(place), sealed.subarray(SALT_BYTES + NONCE_BYTES));
  }

  close(): void {
    wipe(this.#key);
    this.#keys.clear();
  }

  #keyOf(salt: Uint8Array): AeadKey {
    const name = toHex(salt);
    let key = this.#keys.get(name);
    if (key === undefined) {
      const info = concat([utf8("qkd-tls store record "), salt]);
      const derived = this.#crypto.hash("sha256").hmac(this.#key, info);
      key = this.#crypto.aead("aes-256-gcm").key(derived);
      wipe(derived);
      this.#keys.set(name, key);
    }
    return key;
  }
}

/** A number of 48 bits that stands for a sealed record: from its tag, so no two records are likely to share it. */
export function fingerprint(sealed: Uint8Array): number {
  let out = 0;
  for (const byte of sealed.subarray(sealed.length - 6)) out = 256 * out + byte;
  return out;
}

/** Sums of fingerprints stay exact below this. */
const SUMS = 2 ** 48;
export const addPrint = (sum: number, print: number): number => (sum + print) % SUMS;
export const dropPrint = (sum: number, print: number): number => (sum - print + SUMS) % SUMS;
