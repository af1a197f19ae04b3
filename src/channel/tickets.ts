/** Stateless tickets: the session sealed under keys that rotate. RFC 9846 §4.7.1, in the manner of RFC 5077 §4. */
import { concat, equal, plain, wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";
import type { AeadKey, CryptoProvider } from "../crypto/provider.ts";
import type { TicketSealer } from "../handshake/settings.ts";

const NAME_BYTES = 16;
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** Bytes of one exported set of ticket keys, for servers that share them. */
const TICKET_KEYS_BYTES = NAME_BYTES + KEY_BYTES;

interface TicketKey {
  readonly name: Uint8Array;
  readonly aead: AeadKey;
  readonly bornMs: number;
  sealed: number;
}

export interface TicketKeysOptions {
  readonly provider: CryptoProvider;
  readonly now: () => number;
  /** After this long a new key seals; the old one opens tickets for as long again. Default 12 hours. */
  readonly rotationMs?: number;
  /** 48 bytes shared by several servers, name first; random when absent. Given keys do not rotate by themselves. */
  readonly shared?: Uint8Array;
}

const ROTATION_MS = 12 * 3600 * 1000;
/** Random nonces stay far from colliding below this many tickets. NIST SP 800-38D §8.3. */
const SEALS_PER_KEY = 2 ** 28;

/** Seals and opens tickets with AES-256-GCM; the keys never leave this object. */
export class TicketKeys implements TicketSealer {
  readonly #provider: CryptoProvider;
  readonly #now: () => number;
  readonly #rotationMs: number;
  readonly #fixed: boolean;
  #current: TicketKey;
  #previous: TicketKey | undefined;

  /** Throws a UsageError when `shared` is not 48 bytes long. */
  constructor({ provider, now, rotationMs = ROTATION_MS, shared }: TicketKeysOptions) {
    this.#provider = provider;
    this.#now = now;
    this.#rotationMs = rotationMs;
    this.#fixed = shared !== undefined;
    this.#current = this.#make(shared);
  }

  /** Replaces the key by a shared one; tickets under the key before it are still opened. */
  replace(shared: Uint8Array): void {
    this.#previous = this.#current;
    this.#current = this.#make(shared);
  }

  seal(state: Uint8Array): Uint8Array {
    this.#rotate();
    const key = this.#current;
    key.sealed++;
    const nonce = this.#provider.random(NONCE_BYTES).slice();
    const data = concat([state, new Uint8Array(TAG_BYTES)]);
    key.aead.seal(nonce, key.name, data);
    return concat([key.name, nonce, data]);
  }

  open(ticket: Uint8Array): Uint8Array | undefined {
    if (ticket.length < NAME_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
    this.#rotate();
    const name = ticket.subarray(0, NAME_BYTES);
    const key = [this.#current, this.#previous].find((each) => each !== undefined && equal(each.name, name));
    if (key === undefined) return undefined;
    const nonce = ticket.subarray(NAME_BYTES, NAME_BYTES + NONCE_BYTES);
    const state = key.aead.open(nonce, key.name, ticket.subarray(NAME_BYTES + NONCE_BYTES));
    return state === undefined ? undefined : plain(state);
  }

  #rotate(): void {
    if (this.#fixed) return;
    const age = this.#now() - this.#current.bornMs;
    if (age >= 2 * this.#rotationMs) this.#previous = undefined;
    else if (age >= this.#rotationMs || this.#current.sealed >= SEALS_PER_KEY) this.#previous = this.#current;
    else return;
    this.#current = this.#make();
  }

  #make(shared?: Uint8Array): TicketKey {
    if (shared !== undefined && shared.length !== TICKET_KEYS_BYTES) {
      throw new UsageError(
        "ERR_OPTION_INVALID",
        `ticketKeys: ${shared.length} bytes instead of ${TICKET_KEYS_BYTES}`,
        {
          option: "ticketKeys",
        },
      );
    }
    // Uint8Array.from copies a Buffer as well, whose slice would be the caller's own bytes, wiped below.
    const material = Uint8Array.from(shared ?? this.#provider.random(TICKET_KEYS_BYTES));
    const raw = material.subarray(NAME_BYTES);
    const key = {
      name: material.slice(0, NAME_BYTES),
      aead: this.#provider.aead("aes-256-gcm").key(raw),
      bornMs: this.#now(),
      sealed: 0,
    };
    wipe(raw);
    return key;
  }
}
