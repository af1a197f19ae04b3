/** From what the two parties share to the first authentication keys, and to nothing else. */
import type { HashAlgorithm, RunningHash } from "../crypto/provider.ts";
import { concat, EMPTY, equal, utf8, wipe } from "../protocol/bytes.ts";
import { deriveSecret, emptyHash, expandLabel, extract } from "../schedule/label.ts";
import type { Party, TwoWayKey } from "./ledger.ts";

/**
 * The key schedule of a bootstrap, shaped like that of RFC 9846 §7.1: the pre-shared key first, the exchange's secret
 * next, every message in the transcript. Labels of its own keep its secrets apart from those of any TLS connection.
 */
export class BootstrapKeys {
  readonly #hash: HashAlgorithm;
  readonly #transcript: RunningHash;
  #main: Uint8Array | undefined;

  constructor(hash: HashAlgorithm) {
    this.#hash = hash;
    this.#transcript = hash.start();
  }

  /** Adds a message, or a part of one, to the transcript. */
  hear(bytes: Uint8Array): void {
    this.#transcript.update(bytes);
  }

  /** The transcript's hash so far. */
  heard(): Uint8Array {
    return this.#transcript.peek();
  }

  /** Mixes what is shared; a source that is not used counts as zeros. The exchange's secret is wiped. */
  mix(psk: Uint8Array | undefined, exchanged: Uint8Array | undefined): void {
    const zeros = new Uint8Array(this.#hash.outputBytes);
    const early = extract(this.#hash, zeros, psk ?? zeros);
    const salt = deriveSecret(this.#hash, early, "derived", emptyHash(this.#hash));
    this.#main = extract(this.#hash, salt, exchanged ?? zeros);
    wipe(early, salt, exchanged);
  }

  /** The MAC by which a party shows that it has the secrets and saw this transcript. */
  mac(party: Party): Uint8Array {
    const key = this.#expand(`qkd link ${party} finished`, EMPTY, this.#hash.outputBytes);
    const mac = this.#hash.hmac(key, this.heard());
    wipe(key);
    return mac;
  }

  isMac(party: Party, given: Uint8Array): boolean {
    const wanted = this.mac(party);
    const same = equal(wanted, given);
    wipe(wanted);
    return same;
  }

  /** The first authentication keys, bound to the whole transcript; `byteCount` for each way. */
  keys(byteCount: number): TwoWayKey {
    const whole = this.heard();
    return {
      aliceToBob: this.#expand("qkd link auth alice to bob", whole, byteCount),
      bobToAlice: this.#expand("qkd link auth bob to alice", whole, byteCount),
    };
  }

  wipe(): void {
    wipe(this.#main);
    this.#main = undefined;
  }

  #expand(label: string, context: Uint8Array, length: number): Uint8Array {
    if (this.#main === undefined) throw new RangeError("nothing was mixed yet");
    return expandLabel(this.#hash, this.#main, label, context, length);
  }
}

/** What a party signs: as in RFC 9846 §4.5.2, with a context of the link's own. */
export function signedTranscript(party: Party, transcriptHash: Uint8Array): Uint8Array {
  return concat([new Uint8Array(64).fill(0x20), utf8(`qkd-tls link bootstrap, ${party}\0`), transcriptHash]);
}
