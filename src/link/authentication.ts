/**
 * The ways to authenticate the classical channel, behind one interface: tags are made and checked in the order of the
 * messages, each way for itself.
 */
import { GHASH } from "@noble/ciphers/_polyval.js";
import type { AeadAlgorithm, HashAlgorithm, SigningKey, VerifyingKey } from "../crypto/provider.ts";
import type { Scheme } from "../crypto/schemes.ts";
import { concat, equal, utf8, wipe } from "../protocol/bytes.ts";
import { LinkError, UsageError } from "../protocol/errors.ts";
import type { Direction, KeyOrigin, Ledger, Party } from "./ledger.ts";

export type AuthenticationMethod = "wegman-carter" | "hmac" | "gmac" | "signature";
/** The number of each method on the wire. */
export const AUTHENTICATION_METHODS: readonly AuthenticationMethod[] = [
  "wegman-carter",
  "hmac",
  "gmac",
  "signature",
];

export interface Authenticator {
  readonly method: AuthenticationMethod;
  /** The tag of the next message to send. Throws a LinkError (ERR_LINK_KEY_EXHAUSTED) rather than reuse a key. */
  tag(data: Uint8Array): Uint8Array;
  /** Whether this is the tag of the next message to receive. Once for each message: the key is spent in either case. */
  check(data: Uint8Array, tag: Uint8Array): boolean;
  /** Overwrites its keys, those in the ledger not among them. */
  wipe(): void;
}

const TAG_BYTES = 16;
/** Messages under one key before the ledger pays for another. */
const KEY_USES = { "wegman-carter": 64, hmac: 2 ** 16, gmac: 2 ** 16 } as const;

/**
 * Wegman and Carter: a polynomial hash over GF(2^128), the same for some messages, plus 128 bits that are used once.
 * A forger succeeds with a chance of (blocks + 1) 2^-128 per message, whatever can be computed. The hash key is replaced
 * every `hashKeyUses` tags (default 64), since key from a QKD link is not perfect (Abidin and Larsson, arXiv:1109.5168).
 */
export function wegmanCarter(ledger: Ledger, hashKeyUses: number = KEY_USES["wegman-carter"]): Authenticator {
  return keyed("wegman-carter", ledger, TAG_BYTES, hashKeyUses, ({ direction, key }) => ({
    tag(data) {
      const { key: pad } = ledger.take(direction, TAG_BYTES);
      const length = new Uint8Array(TAG_BYTES);
      new DataView(length.buffer).setUint32(TAG_BYTES - 4, data.length);
      // The hash pads its input with zeros: the length says where the data ended.
      const tag = new GHASH(key, data.length).update(data).update(length).digest();
      for (let at = 0; at < TAG_BYTES; at++) tag[at] = (tag[at] as number) ^ (pad[at] as number);
      wipe(pad);
      return tag;
    },
  }));
}

/** HMAC under keys of the hash's length. RFC 2104. */
export function hmacAuthentication(hash: HashAlgorithm, ledger: Ledger): Authenticator {
  return keyed("hmac", ledger, hash.outputBytes, KEY_USES.hmac, ({ key }) => ({
    tag: (data) => hash.hmac(key, data),
  }));
}

/** GMAC: AES-GCM with nothing to encrypt; the nonce counts the messages under a key. NIST SP 800-38D. */
export function gmac(aead: AeadAlgorithm, ledger: Ledger): Authenticator {
  if (aead.name === "chacha20-poly1305") {
    throw new UsageError("ERR_OPTION_INVALID", "GMAC is made with AES-GCM", { option: "aead" });
  }
  return keyed("gmac", ledger, aead.keyBytes, KEY_USES.gmac, ({ key }) => {
    const prepared = aead.key(key);
    return {
      tag(data, uses) {
        const nonce = new Uint8Array(12);
        new DataView(nonce.buffer).setUint32(8, uses);
        const tag = new Uint8Array(TAG_BYTES);
        prepared.seal(nonce, data, tag);
        return tag;
      },
    };
  });
}

/** One key, ready for tags; `uses` counts those made before. */
interface PreparedKey {
  tag(data: Uint8Array, uses: number): Uint8Array;
}

interface KeyInUse {
  readonly bytes: Uint8Array;
  readonly origin: KeyOrigin;
  readonly prepared: PreparedKey;
  uses: number;
}

/**
 * Tags under keys from the ledger. A key is replaced after `maxUses` tags, and one from the bootstrap as soon as the
 * link's own key can follow it: from then on the bootstrap's secret opens nothing.
 */
function keyed(
  method: AuthenticationMethod,
  ledger: Ledger,
  keyBytes: number,
  maxUses: number,
  prepare: (given: { readonly direction: Direction; readonly key: Uint8Array }) => PreparedKey,
): Authenticator {
  if (!(Number.isInteger(maxUses) && maxUses >= 1))
    throw new RangeError(`a key that is used ${maxUses} times`);
  const inUse: Partial<Record<Direction, KeyInUse>> = {};
  let isOpen = true;
  const drop = (direction: Direction) => {
    wipe(inUse[direction]?.bytes);
    delete inUse[direction];
  };
  // Decided by the order of the key alone, not by when it was put in or drawn: both sides come to the same.
  const current = (direction: Direction): KeyInUse => {
    for (;;) {
      const held = inUse[direction];
      const isOutlived = held?.origin === "bootstrap" && ledger.nextOrigin(direction) === "link";
      if (held !== undefined && held.uses < maxUses && !isOutlived) return held;
      const { key, origin } = ledger.take(direction, keyBytes);
      drop(direction);
      inUse[direction] = { bytes: key, origin, prepared: prepare({ direction, key }), uses: 0 };
    }
  };
  const next = (direction: Direction, data: Uint8Array): Uint8Array => {
    if (!isOpen) throw new LinkError("ERR_LINK_CLOSED", "the authentication keys were wiped");
    const key = current(direction);
    const tag = key.prepared.tag(data, key.uses);
    key.uses += 1;
    return tag;
  };
  return {
    method,
    tag: (data) => next("send", data),
    check(data, tag) {
      const wanted = next("receive", data);
      const same = equal(wanted, tag);
      wipe(wanted);
      return same;
    },
    wipe() {
      isOpen = false;
      drop("send");
      drop("receive");
    },
  };
}

/** Who signs for whom. */
export interface SignatureKeys {
  readonly party: Party;
  readonly key: SigningKey;
  readonly scheme: Scheme;
  readonly peerKey: VerifyingKey;
  readonly peerScheme: Scheme;
}

/** A signature under each message, ECDSA or ML-DSA: no key is spent, and it holds as long as the scheme does. */
export function signatures({ party, key, scheme, peerKey, peerScheme }: SignatureKeys): Authenticator {
  const [ours, theirs] = (party === "alice" ? ["alice", "bob"] : ["bob", "alice"]).map(
    (signer) => (data: Uint8Array) => concat([utf8(`qkd-tls link message, ${signer}\0`), data]),
  ) as [(data: Uint8Array) => Uint8Array, (data: Uint8Array) => Uint8Array];
  let isOpen = true;
  return {
    method: "signature",
    tag(data) {
      if (!isOpen) throw new LinkError("ERR_LINK_CLOSED", "the authentication key was given up");
      return key.sign(scheme.algorithm, ours(data));
    },
    check: (data, tag) =>
      isOpen && peerKey.kind === peerScheme.kind && peerKey.verify(peerScheme.algorithm, theirs(data), tag),
    wipe() {
      isOpen = false;
    },
  };
}
