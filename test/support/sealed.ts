import { concat } from "../../src/protocol/bytes.ts";
import type { AeadKey } from "../../src/crypto/provider.ts";

/** Ciphertext and tag of a plaintext, in memory of their own. */
export function sealed(key: AeadKey, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array {
  const data = concat([plain, new Uint8Array(16)]);
  key.seal(nonce, aad, data);
  return data;
}
