import { EMPTY, wipe } from "../protocol/bytes.ts";
import type { AeadKey, CryptoProvider, HashAlgorithm } from "../crypto/provider.ts";
import type { Suite } from "../crypto/suites.ts";
import { deriveSecret, emptyHash, expandLabel } from "./label.ts";

/** What protects records in one direction until the next key change. RFC 9846 §7.3. */
export interface TrafficKeys {
  readonly key: AeadKey;
  /** 12 bytes. */
  readonly iv: Uint8Array;
}

/** Key and IV from a traffic secret. RFC 9846 §7.3. */
export function trafficKeys(provider: CryptoProvider, suite: Suite, secret: Uint8Array): TrafficKeys {
  const hash = provider.hash(suite.hash);
  const raw = expandLabel(hash, secret, "key", EMPTY, suite.keyBytes);
  const keys = {
    key: provider.aead(suite.aead).key(raw),
    iv: expandLabel(hash, secret, "iv", EMPTY, 12),
  };
  wipe(raw);
  return keys;
}

/** application_traffic_secret_N+1. RFC 9846 §7.2. */
export function nextTrafficSecret(hash: HashAlgorithm, secret: Uint8Array): Uint8Array {
  return expandLabel(hash, secret, "traffic upd", EMPTY, hash.outputBytes);
}

/** The PSK that a ticket stands for. RFC 9846 §4.7.1. */
export function ticketPsk(hash: HashAlgorithm, resumptionSecret: Uint8Array, nonce: Uint8Array): Uint8Array {
  return expandLabel(hash, resumptionSecret, "resumption", nonce, hash.outputBytes);
}

/** TLS-Exporter(label, context, length). RFC 9846 §7.5. */
export function exportKeyingMaterial(
  hash: HashAlgorithm,
  exporterSecret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const secret = deriveSecret(hash, exporterSecret, label, emptyHash(hash));
  const out = expandLabel(hash, secret, "exporter", hash.digest(context), length);
  wipe(secret);
  return out;
}
