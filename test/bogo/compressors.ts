/** The runner's made-up ways to compress a certificate: one makes it shorter, one longer, and one never the same twice. */
import { randomBytes } from "node:crypto";
import type { CertificateCompressor } from "../../src/handshake/settings.ts";
import { concat } from "../../src/protocol/bytes.ts";

/** How every Certificate of a handshake begins: an empty context, and a list of less than 64 KiB. */
const BEGINNING = new Uint8Array(2);
const MARK = Uint8Array.of(1, 2, 3, 4);

const EXPANDING: CertificateCompressor = {
  algorithm: 0xff02,
  compress: (message) => concat([MARK, message]),
  decompress: (compressed) => after(MARK, compressed),
};
const SHRINKING: CertificateCompressor = {
  algorithm: 0xff01,
  compress: (message) => after(BEGINNING, message),
  decompress: (compressed) => concat([BEGINNING, compressed]),
};
const RANDOM: CertificateCompressor = {
  algorithm: 0xff03,
  compress: (message) => concat([randomBytes(1), message]),
  decompress: (compressed) => compressed.subarray(1),
};

/** In the order in which the runner expects them to be preferred. */
export const COMPRESSORS = [EXPANDING, SHRINKING, RANDOM];

function after(beginning: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (!beginning.every((byte, at) => byte === bytes[at])) throw new Error("it begins with something else");
  return bytes.subarray(beginning.length);
}
