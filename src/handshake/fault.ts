import { ProtocolError } from "../protocol/errors.ts";

/** The refusals that several steps share; each names its alert once. */
export const illegalParameter = (what: string, cause?: unknown): ProtocolError =>
  new ProtocolError("ERR_TLS_ILLEGAL_PARAMETER", "illegal_parameter", what, { cause });

export const unexpectedMessage = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_UNEXPECTED_MESSAGE", "unexpected_message", what);

export const missingExtension = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_MISSING_EXTENSION", "missing_extension", what);

export const unsupportedExtension = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_UNSUPPORTED_EXTENSION", "unsupported_extension", what);

export const nothingInCommon = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_NO_COMMON_PARAMETERS", "handshake_failure", what);

export const decryptError = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_DECRYPT", "decrypt_error", what);

export const wrongVersion = (what: string): ProtocolError =>
  new ProtocolError("ERR_TLS_VERSION", "protocol_version", what);
