import { chacha20 } from "@noble/ciphers/chacha.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "../protocol/bytes.ts";

const NONCE_BYTES = 12;
const BLOCK_BYTES = 64;

/**
 * Bytes that look random and are the same for the same seed: the key stream of ChaCha20 (RFC 8439) under the hash of
 * the seed. For simulations that are to be repeatable; whoever knows the seed knows every byte.
 */
export function repeatableRandom(seed: string): (length: number) => Uint8Array {
  const key = sha256(utf8(`qkd-tls repeatable random: ${seed}`));
  let nonce = 0;
  return (length) => {
    const out = new Uint8Array(Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES);
    const numbered = new Uint8Array(NONCE_BYTES);
    new DataView(numbered.buffer).setFloat64(0, nonce++);
    return chacha20(key, numbered, out, out).subarray(0, length);
  };
}
