import type { AlertName } from "./alert.ts";

/**
 * Whose fault it is, by class: the peer broke a rule (ProtocolError), the peer told us so (PeerAlert),
 * we do not trust it (TrustError), the caller misused us (UsageError), a key source failed (KeySourceError),
 * a QKD link stopped a block or itself (LinkError), a KME's store of keys cannot be used (StoreError).
 * `code` is stable and meant for programs; the message is for people and may change.
 */
export abstract class QkdTlsError<Code extends string = string> extends Error {
  /** What a peer can cause at will is not worth a stack: it shows our frames alone, and costs more than a record. */
  protected static readonly stackless: boolean = false;
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    const frames = Error.stackTraceLimit;
    if (new.target.stackless) Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = frames;
    this.code = code;
    this.name = new.target.name;
  }
}

export type ProtocolErrorCode =
  | "ERR_TLS_DECODE"
  | "ERR_TLS_UNEXPECTED_MESSAGE"
  | "ERR_TLS_ILLEGAL_PARAMETER"
  | "ERR_TLS_MISSING_EXTENSION"
  | "ERR_TLS_UNSUPPORTED_EXTENSION"
  | "ERR_TLS_BAD_RECORD_MAC"
  | "ERR_TLS_RECORD_OVERFLOW"
  | "ERR_TLS_DECRYPT"
  | "ERR_TLS_VERSION"
  | "ERR_TLS_NO_COMMON_PARAMETERS"
  | "ERR_TLS_NO_ALPN"
  | "ERR_TLS_UNRECOGNIZED_NAME"
  | "ERR_TLS_LIMIT"
  | "ERR_TLS_TIMEOUT"
  | "ERR_TLS_TRUNCATED"
  | "ERR_TLS_INTERNAL";

/** The peer (or the network) broke a rule of the protocol. `alert` is what we send it, once. */
export class ProtocolError extends QkdTlsError<ProtocolErrorCode> {
  protected static override readonly stackless = true;
  readonly alert: AlertName;

  constructor(code: ProtocolErrorCode, alert: AlertName, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.alert = alert;
  }
}

/** The peer ended the connection with a fatal alert. `alert` is its name, or its number in words. */
export class PeerAlert extends QkdTlsError<"ERR_TLS_PEER_ALERT"> {
  protected static override readonly stackless = true;
  readonly alert: AlertName | `alert ${number}`;

  constructor(alert: AlertName | `alert ${number}`) {
    super("ERR_TLS_PEER_ALERT", `the peer ended the connection with the alert ${alert}`);
    this.alert = alert;
  }
}

export type TrustErrorCode =
  | "ERR_CERT_UNTRUSTED"
  | "ERR_CERT_EXPIRED"
  | "ERR_CERT_NOT_YET_VALID"
  | "ERR_CERT_NAME_MISMATCH"
  | "ERR_CERT_INVALID"
  | "ERR_CERT_UNSUPPORTED"
  | "ERR_CERT_REVOKED"
  | "ERR_CERT_REQUIRED"
  | "ERR_POLICY_QKD_REQUIRED"
  | "ERR_POLICY_MLKEM_REQUIRED"
  | "ERR_POLICY_ECDH_REQUIRED"
  | "ERR_POLICY_SIMULATED_KEY"
  | "ERR_PSK_UNKNOWN"
  | "ERR_PSK_REFUSED";

/** We do not trust this peer, or the connection falls short of our policy. */
export class TrustError extends QkdTlsError<TrustErrorCode> {
  readonly alert: AlertName;
  /** The key source that policy asked for and the connection lacks. */
  readonly missing?: "qkd" | "mlkem" | "ecdh";

  constructor(
    code: TrustErrorCode,
    alert: AlertName,
    message: string,
    options: { cause?: unknown; missing?: "qkd" | "mlkem" | "ecdh" } = {},
  ) {
    super(code, message, options);
    this.alert = alert;
    if (options.missing !== undefined) this.missing = options.missing;
  }
}

export type UsageErrorCode =
  | "ERR_OPTION_UNKNOWN"
  | "ERR_OPTION_UNSUPPORTED"
  | "ERR_OPTION_INVALID"
  | "ERR_OPTION_MISSING"
  | "ERR_STATE"
  | "ERR_FILE_UNSAFE"
  | "ERR_FILE_INVALID";

/** The caller misused us; never caused by bytes from the network. `option` names the faulty field. */
export class UsageError extends QkdTlsError<UsageErrorCode> {
  readonly option?: string;

  constructor(code: UsageErrorCode, message: string, options: { cause?: unknown; option?: string } = {}) {
    super(code, message, options);
    if (options.option !== undefined) this.option = options.option;
  }
}

export type KeySourceErrorCode =
  | "ERR_QKD_UNREACHABLE"
  | "ERR_QKD_TIMEOUT"
  | "ERR_QKD_EMPTY"
  | "ERR_QKD_UNKNOWN_KEY"
  | "ERR_QKD_UNAUTHORIZED"
  | "ERR_QKD_REJECTED"
  | "ERR_QKD_MALFORMED"
  | "ERR_QKD_KEY_SIZE"
  | "ERR_QKD_KEY_USED"
  | "ERR_QKD_UNTRUSTED"
  | "ERR_QKD_BUSY"
  | "ERR_QKD_REFUSED"
  | "ERR_QKD_CLOSED";

/**
 * A key source failed. `fatal` means that no policy may degrade past it
 * (a KME whose certificate we do not trust may be an attacker asking for a downgrade).
 */
export class KeySourceError extends QkdTlsError<KeySourceErrorCode> {
  readonly fatal: boolean;
  /** HTTP status, where the source speaks HTTP and answered. */
  readonly status?: number;

  constructor(
    code: KeySourceErrorCode,
    message: string,
    options: { cause?: unknown; fatal?: boolean; status?: number } = {},
  ) {
    super(code, message, options);
    this.fatal = options.fatal ?? code === "ERR_QKD_UNTRUSTED";
    if (options.status !== undefined) this.status = options.status;
  }
}

export type LinkErrorCode =
  /** Bytes that are no message, or one whose fields contradict what both sides know. */
  | "ERR_LINK_MALFORMED"
  /** A message that nothing asked for at this point. */
  | "ERR_LINK_UNEXPECTED"
  /** A message of the classical channel whose tag does not match: altered, or from somebody without the key. */
  | "ERR_LINK_FORGED"
  /** A message replayed, out of order, after a missing one, of another block, or sent back to its sender. */
  | "ERR_LINK_SEQUENCE"
  /** The peer asks for more than a bound allows. */
  | "ERR_LINK_LIMIT"
  /** The two keys still differ after reconciliation. */
  | "ERR_LINK_MISMATCH"
  /** The statistics of the block leave no secret key: too many errors, too few detections. */
  | "ERR_LINK_ABORTED"
  /** No authentication key is left, and none is used twice. */
  | "ERR_LINK_KEY_EXHAUSTED"
  /** The link or the block was stopped before. */
  | "ERR_LINK_CLOSED";

/** A QKD link stopped a block or itself; no key comes of that block. `figures` say what was measured, never key. */
export class LinkError extends QkdTlsError<LinkErrorCode> {
  protected static override readonly stackless = true;
  readonly figures: Readonly<Record<string, number>>;

  constructor(
    code: LinkErrorCode,
    message: string,
    options: { cause?: unknown; figures?: Readonly<Record<string, number>> } = {},
  ) {
    super(code, message, options);
    this.figures = options.figures ?? {};
  }
}

export type StoreErrorCode =
  /** The key given is not the one that this store was made with. */
  | "ERR_STORE_KEY"
  /** What is there is no store, or was damaged or rolled back: some key might be given twice. */
  | "ERR_STORE_CORRUPT"
  /** Written by another version of this software. */
  | "ERR_STORE_VERSION"
  /** Another process, or another part of this one, has it open. */
  | "ERR_STORE_LOCKED"
  /** The directory or the database cannot be made, read or written, or the disk is full. */
  | "ERR_STORE_UNWRITABLE"
  /** It holds the keys of another kind of link: another size of block, or simulated instead of real. */
  | "ERR_STORE_MISMATCH"
  /** The database cannot be reached or did not answer in time. What was asked failed; what is asked later may not. */
  | "ERR_STORE_UNREACHABLE"
  | "ERR_STORE_CLOSED";

/** A KME's store of keys cannot be used. Unless it was only unreachable it gives out nothing from then on. */
export class StoreError extends QkdTlsError<StoreErrorCode> {}

/** The alert that an error sends. One place: anything that names none is our own fault. */
export function alertFor(error: unknown): AlertName {
  if (error instanceof ProtocolError || error instanceof TrustError) return error.alert;
  return "internal_error";
}
