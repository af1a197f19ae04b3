import { concat } from "../protocol/bytes.ts";
import { HandshakeType } from "../protocol/iana.ts";
import type { HashAlgorithm, RunningHash } from "../crypto/provider.ts";

/** The handshake messages so far, as bytes until the hash is known and as a running hash after. RFC 9846 §4.1. */
export class Transcript {
  #messages: Uint8Array[] = [];
  #running: RunningHash | undefined;
  /** The hash of what was added so far, once somebody asked for it. */
  #current: Uint8Array | undefined;

  add(message: Uint8Array): void {
    this.#current = undefined;
    if (this.#running === undefined) this.#messages.push(message);
    else this.#running.update(message);
  }

  /** Replaces ClientHello1 by its message_hash once HelloRetryRequest has named the suite. RFC 9846 §4.1. */
  foldRetry(hash: HashAlgorithm): void {
    const digest = hash.digest(concat(this.#messages));
    this.#messages = [concat([Uint8Array.of(HandshakeType.message_hash, 0, 0, digest.length), digest])];
  }

  /** Fixes the hash; from here on the messages themselves are forgotten. */
  select(hash: HashAlgorithm): void {
    this.#running = hash.start();
    for (const message of this.#messages) this.#running.update(message);
    this.#messages = [];
  }

  /** Transcript-Hash of everything added so far, to be read only. */
  hash(): Uint8Array {
    if (this.#running === undefined) throw new Error("the transcript has no hash yet");
    this.#current ??= this.#running.peek();
    return this.#current;
  }

  /** Transcript-Hash under any hash of the messages before `select`, followed by a truncated ClientHello. */
  hashTruncated(hash: HashAlgorithm, truncatedHello: Uint8Array): Uint8Array {
    return hash.digest(concat([...this.#messages, truncatedHello]));
  }
}
