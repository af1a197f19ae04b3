/** Records as they are on the wire, and records that a peer of ours would never send. */

import { createCipheriv } from "node:crypto";
import { EMPTY } from "../../src/protocol/bytes.ts";
import { AlertDescription, type AlertName } from "../../src/protocol/alert.ts";
import { ContentType, type CipherSuiteName } from "../../src/protocol/iana.ts";
import { expandLabel } from "../../src/schedule/label.ts";
import { provider } from "./credentials.ts";
import type { Pair, Side } from "./pair.ts";

export interface WireRecord {
  readonly type: number;
  readonly fragment: Uint8Array;
}

/** Cuts what one side sent into its records. */
export function recordsOf(bytes: Uint8Array): readonly WireRecord[] {
  const records: WireRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + ((bytes[at + 3]! << 8) | bytes[at + 4]!);
    records.push({ type: bytes[at]!, fragment: bytes.slice(at + 5, end) });
    at = end;
  }
  return records;
}

/** A record in the clear. */
export const clear = (type: keyof typeof ContentType, fragment: Uint8Array): Uint8Array =>
  Uint8Array.from([ContentType[type], 3, 3, fragment.length >> 8, fragment.length & 0xff, ...fragment]);

const AEADS = {
  TLS_AES_128_GCM_SHA256: { cipher: "aes-128-gcm", keyBytes: 16, hash: "sha256" },
  TLS_AES_256_GCM_SHA384: { cipher: "aes-256-gcm", keyBytes: 32, hash: "sha384" },
  TLS_CHACHA20_POLY1305_SHA256: { cipher: "chacha20-poly1305", keyBytes: 32, hash: "sha256" },
} as const;

/**
 * Seals under one side's application key whatever a test wants. It counts from 0 on, so it is right only as long as
 * that side itself sends nothing under this key.
 */
export function forger(pair: Pair, from: Side) {
  const { suite, secrets } = pair[from].established!;
  return forgerFor(suite.name, secrets[`${from}Traffic`]);
}

/** The same under any traffic secret. */
export function forgerFor(suite: CipherSuiteName, secret: Uint8Array) {
  const { cipher, keyBytes, hash } = AEADS[suite];
  const key = expandLabel(provider.hash(hash), secret, "key", EMPTY, keyBytes);
  const iv = Buffer.from(expandLabel(provider.hash(hash), secret, "iv", EMPTY, 12));
  let count = 0;
  const seal = (inner: Uint8Array): Uint8Array => {
    const nonce = Buffer.from(iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ count++) >>> 0, 8);
    const header = Uint8Array.of(
      ContentType.application_data,
      3,
      3,
      (inner.length + 16) >> 8,
      (inner.length + 16) & 0xff,
    );
    const sealing = createCipheriv(cipher as "aes-256-gcm", key, nonce, { authTagLength: 16 });
    sealing.setAAD(header, { plaintextLength: inner.length });
    const sealed = Buffer.concat([sealing.update(inner), sealing.final()]);
    return Uint8Array.from([...header, ...sealed, ...sealing.getAuthTag()]);
  };
  return {
    /** A record whose inner plaintext is exactly this. */
    inner: seal,
    record: (type: keyof typeof ContentType, content: Uint8Array, zeros = 0): Uint8Array =>
      seal(Uint8Array.from([...content, ContentType[type], ...new Uint8Array(zeros)])),
    alert: (name: AlertName | number, level = 2): Uint8Array =>
      seal(Uint8Array.of(level, typeof name === "number" ? name : AlertDescription[name], ContentType.alert)),
    keyUpdate: (request: number): Uint8Array =>
      seal(Uint8Array.of(24, 0, 0, 1, request, ContentType.handshake)),
  };
}
