import { wipe } from "../protocol/bytes.ts";
import type { HashAlgorithm } from "../crypto/provider.ts";
import { deriveSecret, emptyHash, expandLabel, extract } from "./label.ts";

/** Which binder key a PSK has: external, resumption, or imported (RFC 9258 §5.2). */
export type BinderKind = "ext binder" | "res binder" | "imp binder";

/**
 * The key schedule of RFC 9846 §7.1, a type per stage, so that a secret of the wrong stage cannot be drawn.
 *
 *     EarlySecret     = HKDF-Extract(0, PSK)           <- here the QKD key enters
 *     HandshakeSecret = HKDF-Extract(Derive-Secret(EarlySecret, "derived", ""), ML-KEM and ECDH secret)
 *     MainSecret      = HKDF-Extract(Derive-Secret(HandshakeSecret, "derived", ""), 0)
 */
export class EarlySecret {
  readonly #hash: HashAlgorithm;
  readonly #secret: Uint8Array;
  readonly #withoutPsk: boolean;

  /** Without a PSK the input is a string of zeros as long as the hash. The PSK is left to its owner to wipe. */
  constructor(hash: HashAlgorithm, psk?: Uint8Array) {
    this.#hash = hash;
    this.#secret =
      psk === undefined ? extractZeros(hash).slice() : extract(hash, new Uint8Array(hash.outputBytes), psk);
    this.#withoutPsk = psk === undefined;
  }

  /** The binder over a truncated ClientHello. RFC 9846 §4.3.11.2. */
  binder(kind: BinderKind, truncatedTranscriptHash: Uint8Array): Uint8Array {
    const binderKey = deriveSecret(this.#hash, this.#secret, kind, emptyHash(this.#hash));
    const value = finishedData(this.#hash, binderKey, truncatedTranscriptHash);
    wipe(binderKey);
    return value;
  }

  /** Takes in the secret of the key exchange (zeros with psk_ke) and wipes both inputs. */
  intoHandshake(sharedSecret?: Uint8Array): HandshakeSecret {
    const derived = this.#withoutPsk
      ? derivedFromZeros(this.#hash).slice()
      : deriveSecret(this.#hash, this.#secret, "derived", emptyHash(this.#hash));
    const secret = extract(this.#hash, derived, sharedSecret ?? new Uint8Array(this.#hash.outputBytes));
    wipe(this.#secret, derived, sharedSecret);
    return new HandshakeSecret(this.#hash, secret);
  }

  wipe(): void {
    wipe(this.#secret);
  }
}

// Without a PSK the input is known to all, so its two secrets are none and are computed once.
const extractZeros = once((hash) =>
  extract(hash, new Uint8Array(hash.outputBytes), new Uint8Array(hash.outputBytes)),
);
const derivedFromZeros = once((hash) => deriveSecret(hash, extractZeros(hash), "derived", emptyHash(hash)));

/** Computes a constant of a hash at its first use. */
function once(compute: (hash: HashAlgorithm) => Uint8Array): (hash: HashAlgorithm) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  return (hash) => {
    let value = known.get(hash.name);
    if (value === undefined) known.set(hash.name, (value = compute(hash)));
    return value;
  };
}

/** The secrets under which the handshake itself is encrypted; `transcriptHash` is ClientHello..ServerHello. */
export class HandshakeSecret {
  readonly #hash: HashAlgorithm;
  readonly #secret: Uint8Array;

  constructor(hash: HashAlgorithm, secret: Uint8Array) {
    this.#hash = hash;
    this.#secret = secret;
  }

  clientTraffic(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "c hs traffic", transcriptHash);
  }

  serverTraffic(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "s hs traffic", transcriptHash);
  }

  wipe(): void {
    wipe(this.#secret);
  }

  intoMain(): MainSecret {
    const derived = deriveSecret(this.#hash, this.#secret, "derived", emptyHash(this.#hash));
    const secret = extract(this.#hash, derived, new Uint8Array(this.#hash.outputBytes));
    wipe(this.#secret, derived);
    return new MainSecret(this.#hash, secret);
  }
}

/** The secrets of the connection; `transcriptHash` is ClientHello..server Finished but for resumption. */
export class MainSecret {
  readonly #hash: HashAlgorithm;
  readonly #secret: Uint8Array;

  constructor(hash: HashAlgorithm, secret: Uint8Array) {
    this.#hash = hash;
    this.#secret = secret;
  }

  clientTraffic(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "c ap traffic", transcriptHash);
  }

  serverTraffic(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "s ap traffic", transcriptHash);
  }

  exporter(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "exp master", transcriptHash);
  }

  /** `transcriptHash` is ClientHello..client Finished. */
  resumption(transcriptHash: Uint8Array): Uint8Array {
    return deriveSecret(this.#hash, this.#secret, "res master", transcriptHash);
  }

  wipe(): void {
    wipe(this.#secret);
  }
}

/** verify_data of Finished, and the value of a binder. RFC 9846 §4.5.3. */
export function finishedData(
  hash: HashAlgorithm,
  baseKey: Uint8Array,
  transcriptHash: Uint8Array,
): Uint8Array {
  const finishedKey = expandLabel(hash, baseKey, "finished", new Uint8Array(0), hash.outputBytes);
  const value = hash.hmac(finishedKey, transcriptHash);
  wipe(finishedKey);
  return value;
}
