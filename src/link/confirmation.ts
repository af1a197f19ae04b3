/**
 * Whether reconciliation has worked: Alice sends a 2-universal hash of her key under a seed that is drawn only now, and
 * Bob says whether his has the same. The hash is told to everybody: its bits count as leaked (log2(2/eps_cor) of them
 * are in the length of the secret key).
 */
import { ghash } from "@noble/ciphers/_polyval.js";
import { wipe } from "../protocol/bytes.ts";
import { LinkError } from "../protocol/errors.ts";
import { bytes, opaque, struct, u8, u32 } from "../wire/codec.ts";
import { Bits } from "./bits.ts";
import { messages, unexpected } from "./message.ts";

const STAGE = "confirmation";
const BLOCK_BITS = 128;
/** Two elements of GF(2^128). */
export const CONFIRMATION_SEED_BYTES = 32;

const Messages = messages(STAGE, {
  confirm: {
    code: 1,
    body: struct({ seed: bytes(CONFIRMATION_SEED_BYTES), key_bits: u32, fingerprint: opaque(1, 1, 16) }),
  },
  verdict: { code: 2, body: struct({ same: u8 }) },
});

/**
 * Bits of hash for which different keys of this length pass for equal with a chance of at most `epsilon`: the least t
 * with 2^-t + blocks 2^-128 <= epsilon, which is ceil(log2(1/epsilon)) but at the very edge.
 * Throws a RangeError for an epsilon that is not below 1, or that 128 bits cannot give.
 */
export function confirmationBits(keyBits: number, epsilon: number): number {
  const polynomial = Math.ceil(keyBits / BLOCK_BITS) * 2 ** -BLOCK_BITS;
  if (!(epsilon < 1 && epsilon > 2 * polynomial && epsilon >= 2 ** -100)) {
    throw new RangeError(`a chance of ${epsilon} that different keys pass for equal`);
  }
  let bits = 1;
  // At an exact power of two the sum rounds to it.
  while (2 ** -bits >= epsilon || 2 ** -bits + polynomial > epsilon) bits += 1;
  return bits;
}

/**
 * The hash: a polynomial in GF(2^128) at a secret-free random point, then times a random factor and cut to `bits`.
 * The first is blocks/2^128-almost universal, the second exactly 2-universal. Keys of one length only are compared.
 */
export function keyFingerprint(key: Bits, seed: Uint8Array, bits: number): Bits {
  const octets = key.toBytes();
  const whole = ghash(octets, seed.subarray(0, 16));
  const cut = Bits.fromBytes(ghash(whole, seed.subarray(16, 32)), bits);
  wipe(octets, whole);
  return cut;
}

/** Alice's question. `seed` is 32 random bytes, drawn now. Throws a RangeError for another length or epsilon. */
export function askConfirmation(key: Bits, epsilon: number, seed: Uint8Array): Uint8Array {
  if (seed.length !== CONFIRMATION_SEED_BYTES) throw new RangeError(`a seed of ${seed.length} bytes`);
  const fingerprint = keyFingerprint(key, seed, confirmationBits(key.length, epsilon));
  return Messages.write("confirm", { seed, key_bits: key.length, fingerprint: fingerprint.toBytes() });
}

/**
 * Bob's answer. Where the keys differ, his is wiped, and `fault` is to be thrown once the answer is sent.
 * Throws a LinkError for a message that is none, after wiping the key too.
 */
export function answerConfirmation(
  key: Bits,
  epsilon: number,
  message: Uint8Array,
): { readonly reply: Uint8Array; readonly fault: LinkError | undefined } {
  return orWiped(key, () => {
    const { kind, body } = Messages.read(message);
    if (kind !== "confirm") throw unexpected(STAGE, kind, "confirm");
    const bits = confirmationBits(key.length, epsilon);
    if (body.key_bits !== key.length || body.fingerprint.length !== Math.ceil(bits / 8)) {
      const what = `${body.fingerprint.length} bytes of hash of ${body.key_bits} bits, for a key of ${key.length}`;
      throw new LinkError("ERR_LINK_MALFORMED", `${STAGE}: ${what}`);
    }
    const told = Bits.fromBytes(body.fingerprint, bits);
    const same = told.xor(keyFingerprint(key, body.seed, bits)).weight() === 0;
    if (!same) key.wipe();
    return { reply: Messages.write("verdict", { same: same ? 1 : 0 }), fault: same ? undefined : mismatch() };
  });
}

/** Takes Bob's verdict. Throws a LinkError (ERR_LINK_MISMATCH), after wiping the key, when the keys differ. */
export function takeVerdict(key: Bits, message: Uint8Array): void {
  orWiped(key, () => {
    const { kind, body } = Messages.read(message);
    if (kind !== "verdict") throw unexpected(STAGE, kind, "verdict");
    if (body.same > 1) throw new LinkError("ERR_LINK_MALFORMED", `${STAGE}: a verdict of ${body.same}`);
    if (body.same === 0) throw mismatch();
  });
}

function orWiped<T>(key: Bits, act: () => T): T {
  try {
    return act();
  } catch (error) {
    key.wipe();
    throw error;
  }
}

const mismatch = (): LinkError =>
  new LinkError(
    "ERR_LINK_MISMATCH",
    "the two keys still differ after reconciliation: the block is thrown away",
  );
