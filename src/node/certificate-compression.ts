/** The algorithms of RFC 8879, as this Node has them in node:zlib. */
import * as zlib from "node:zlib";
import { UsageError } from "../protocol/errors.ts";
import { CertificateCompressionAlgorithm } from "../protocol/iana.ts";
import type { CertificateCompressor } from "../handshake/settings.ts";

export type CertificateCompressionName = keyof typeof CertificateCompressionAlgorithm;

type Pass = (bytes: Uint8Array, options: object) => unknown;

/** zstd came with Node 22.15 and 23.8, and is unknown to the types of Node 20. */
const zstd = zlib as unknown as {
  readonly zstdCompressSync?: Pass;
  readonly zstdDecompressSync?: Pass;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number; readonly ZSTD_d_windowLogMax?: number };
};
const { BROTLI_PARAM_QUALITY, BROTLI_MAX_QUALITY } = zlib.constants;
const { ZSTD_c_compressionLevel, ZSTD_d_windowLogMax } = zstd.constants;
/** The best that is not meant for offline use, since each chain is compressed once. */
const ZSTD_LEVEL = 19;
/** 8 MiB, which RFC 8878 §3.1.1.1.2 has every decoder take; zstd's own default would be 128. */
const ZSTD_WINDOW_LOG = 23;

const compressors: { readonly [K in CertificateCompressionName]?: CertificateCompressor } = {
  zlib: compressor("zlib", zlib.deflateSync, { level: 9 }, zlib.inflateSync, {}),
  brotli: compressor(
    "brotli",
    zlib.brotliCompressSync,
    { params: { [BROTLI_PARAM_QUALITY]: BROTLI_MAX_QUALITY } },
    zlib.brotliDecompressSync,
    {},
  ),
  ...(zstd.zstdCompressSync === undefined ||
  zstd.zstdDecompressSync === undefined ||
  ZSTD_c_compressionLevel === undefined ||
  ZSTD_d_windowLogMax === undefined
    ? {}
    : {
        zstd: compressor(
          "zstd",
          zstd.zstdCompressSync,
          { params: { [ZSTD_c_compressionLevel]: ZSTD_LEVEL } },
          zstd.zstdDecompressSync,
          { params: { [ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } },
        ),
      }),
};

function compressor(
  name: CertificateCompressionName,
  deflate: Pass,
  thoroughly: object,
  inflate: Pass,
  sparingly: object,
): CertificateCompressor {
  return {
    algorithm: CertificateCompressionAlgorithm[name],
    compress(message) {
      const compressed = deflate(message, thoroughly) as Uint8Array; // What each of them returns.
      return compressed.length < message.length ? compressed : undefined;
    },
    decompress(compressed, lengthBytes) {
      // With `info` each returns its engine too, which tells how much of the input it took.
      const { buffer, engine } = inflate(compressed, {
        ...sparingly,
        maxOutputLength: lengthBytes,
        info: true,
      }) as { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };
      if (engine.bytesWritten !== compressed.length) throw new RangeError("more bytes behind its end");
      return buffer;
    },
  };
}

/** The compressors of these names. Throws a UsageError for what is no name, or is none of this Node's. */
export function compressorsNamed(names: readonly string[]): readonly CertificateCompressor[] {
  const option = "certificateCompression";
  const known = Object.keys(CertificateCompressionAlgorithm);
  if (!Array.isArray(names)) {
    throw new UsageError("ERR_OPTION_INVALID", `${option} must be a list of ${known.join(", ")}`, { option });
  }
  return names.map((name: string) => {
    if (!Object.hasOwn(CertificateCompressionAlgorithm, name)) {
      throw new UsageError("ERR_OPTION_INVALID", `${option}: ${name} is none of ${known.join(", ")}`, {
        option,
      });
    }
    const found = compressors[name as CertificateCompressionName];
    if (found !== undefined) return found;
    throw new UsageError("ERR_OPTION_UNSUPPORTED", `${option}: node:zlib of this Node has no ${name}`, {
      option,
    });
  });
}
