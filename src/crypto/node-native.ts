import * as crypto from "node:crypto";

/** A raw key as newer Nodes take it where older ones want DER. */
interface RawKeyInput {
  readonly key: Uint8Array;
  readonly format: "raw-public";
  readonly asymmetricKeyType: string;
}

/** What Node gained after the version whose types we compile against; absent on older ones. */
interface NewerCrypto {
  readonly encapsulate?: (key: crypto.KeyObject | RawKeyInput) => {
    readonly sharedKey: Buffer;
    readonly ciphertext: Buffer;
  };
  readonly decapsulate?: (key: crypto.KeyObject, ciphertext: Uint8Array) => Buffer;
  generateKeyPairSync(
    type: string,
    options: { publicKeyEncoding: { format: "raw-public" } | { format: "der"; type: "spki" } },
  ): { readonly publicKey: Buffer; readonly privateKey: crypto.KeyObject };
  diffieHellman(keys: { privateKey: crypto.KeyObject; publicKey: crypto.KeyObject | RawKeyInput }): Buffer;
}

// The types are older than the Nodes we run on; each member is tried before it is used.
export const newer = crypto as unknown as NewerCrypto;

/** True when the attempt throws nothing: features are found by trying, not by version. */
function works(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** Whether keys go in and out as bare bytes (Node 24 and later). */
export const hasRawKeys = works(() =>
  newer.generateKeyPairSync("x25519", { publicKeyEncoding: { format: "raw-public" } }),
);

/** Whether this Node makes such keys at all. */
export const makesKeys = (type: string): boolean =>
  works(() => newer.generateKeyPairSync(type, { publicKeyEncoding: { format: "der", type: "spki" } }));

/** The same memory as a plain Uint8Array, whose `slice` copies. */
export const plain = (buffer: Buffer): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);

/** The same memory as a Buffer. */
export const bufferOn = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** `transfer` of ES2024, absent before Node 22. */
interface Transferable {
  transfer?(newLength: number): unknown;
}
/** Below this size, what a collection costs is less than the call. */
const RELEASE_FROM_BYTES = 1024;

/**
 * Gives the memory of a buffer back at once, where that can be done and is worth it. Megabytes a second of buffers
 * that die young cost more in collections than the cipher that filled them.
 */
export function release({ buffer, byteLength }: Buffer): void {
  if (byteLength < RELEASE_FROM_BYTES || buffer.byteLength !== byteLength) return;
  (buffer as ArrayBufferLike & Transferable).transfer?.(0);
}
