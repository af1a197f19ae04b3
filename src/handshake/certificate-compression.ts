/** Certificate messages in fewer bytes, by algorithms that the host brings along. RFC 8879. */
import { EMPTY } from "../protocol/bytes.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { CertificateCompressionAlgorithm, HandshakeType, nameOf } from "../protocol/iana.ts";
import { decode } from "../wire/codec.ts";
import { CompressedCertificate, encodeHandshake } from "../wire/handshake.ts";
import type { HandshakeMessage } from "../record/framer.ts";
import { sameBytes } from "../pki/certificate.ts";
import { illegalParameter, unexpectedMessage } from "./fault.ts";
import type { Credential } from "./question.ts";
import type { CertificateCompressor, Settings } from "./settings.ts";

const HEADER_BYTES = 4;

/** What we ask the peer for: the algorithms that we can undo. */
export function compressionOffer({ certificateCompression }: Settings): {
  readonly compress_certificate?: readonly number[];
} {
  const algorithms = certificateCompression
    .filter(({ decompress }) => decompress !== undefined)
    .map(({ algorithm }) => algorithm);
  return algorithms.length === 0 ? {} : { compress_certificate: algorithms };
}

/** Refuses a list that names an algorithm twice (illegal_parameter), whether or not it is of use to us. */
export function checkCompressionOffer(offered: readonly number[] | undefined, message: string): void {
  if (offered !== undefined && new Set(offered).size !== offered.length) {
    throw illegalParameter(`${message}: compress_certificate names an algorithm twice`);
  }
}

/** The message of a credential of ours as it goes to a peer that offered these algorithms; ours go by our order. */
export function compressCertificate(
  message: Uint8Array,
  credential: Credential,
  offered: readonly number[] | undefined,
  { certificateCompression }: Settings,
): Uint8Array {
  const compressor = certificateCompression.find(
    ({ algorithm, compress }) => compress !== undefined && offered?.includes(algorithm),
  );
  if (compressor?.compress === undefined) return message;
  const kept = results.get(credential) ?? [];
  results.set(credential, kept);
  const known = kept.find((each) => each.compressor === compressor && sameBytes(each.message, message));
  if (known !== undefined) return known.sent;
  const certificate = message.subarray(HEADER_BYTES);
  const compressed = compressor.compress(certificate);
  const sent =
    compressed === undefined
      ? message
      : encodeHandshake("compressed_certificate", CompressedCertificate, {
          algorithm: compressor.algorithm,
          uncompressed_length: certificate.length,
          compressed_certificate_message: compressed,
        });
  kept.unshift({ compressor, message, sent });
  kept.length = Math.min(kept.length, RESULTS_KEPT);
  return sent;
}

/** A credential has one message with an OCSP answer and one without; an answer that is renewed drives the old one out. */
const RESULTS_KEPT = 4;
const results = new WeakMap<
  Credential,
  { readonly compressor: CertificateCompressor; readonly message: Uint8Array; readonly sent: Uint8Array }[]
>();

/** The body of the Certificate that came, compressed or not. Throws a ProtocolError. RFC 8879 §4. */
export function certificateBody({ type, body }: HandshakeMessage, settings: Settings): Uint8Array {
  return type === HandshakeType.compressed_certificate ? decompressCertificate(body, settings) : body;
}

function decompressCertificate(body: Uint8Array, settings: Settings): Uint8Array {
  const { certificateCompression, maxCertificateBytes } = settings;
  if (compressionOffer(settings).compress_certificate === undefined) {
    throw unexpectedMessage("compressed_certificate: compression was not offered");
  }
  const { algorithm, uncompressed_length, compressed_certificate_message } = decode(
    CompressedCertificate,
    body,
  );
  const name = nameOf(CertificateCompressionAlgorithm, algorithm);
  const decompress = certificateCompression.find((each) => each.algorithm === algorithm)?.decompress;
  if (decompress === undefined) throw illegalParameter(`compressed_certificate: ${name} was not offered`);
  // The same bound as on a Certificate that is not compressed, before anything is made of it.
  if (uncompressed_length > maxCertificateBytes) {
    throw badCertificate(
      "ERR_TLS_LIMIT",
      `${uncompressed_length} bytes, at most ${maxCertificateBytes} are read`,
    );
  }
  let certificate: Uint8Array = EMPTY;
  try {
    certificate = decompress(compressed_certificate_message, uncompressed_length);
  } catch (cause) {
    throw badCertificate("ERR_TLS_DECODE", `${name} cannot decompress it`, cause);
  }
  if (certificate.length !== uncompressed_length) {
    const what = `${certificate.length} bytes came out instead of ${uncompressed_length}`;
    throw badCertificate("ERR_TLS_DECODE", what);
  }
  return certificate;
}

const badCertificate = (
  code: "ERR_TLS_DECODE" | "ERR_TLS_LIMIT",
  what: string,
  cause?: unknown,
): ProtocolError => new ProtocolError(code, "bad_certificate", `compressed_certificate: ${what}`, { cause });
