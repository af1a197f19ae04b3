import { QkdTlsError } from "../../protocol/errors.ts";
import { codeOf } from "../cause.ts";
import type { Report } from "./report.ts";

/** Each fault and its number in `refused`, `abandon` and `abort`. */
export const TransferFault = {
  ERR_TRANSFER_MALFORMED: 1,
  ERR_TRANSFER_UNEXPECTED: 2,
  ERR_TRANSFER_VERSION: 3,
  ERR_TRANSFER_CUT: 4,
  ERR_TRANSFER_TIMEOUT: 5,
  ERR_TRANSFER_ABORTED: 6,
  ERR_TRANSFER_PATH: 7,
  ERR_TRANSFER_EXISTS: 8,
  ERR_TRANSFER_BUSY: 9,
  ERR_TRANSFER_CHANGED: 10,
  ERR_TRANSFER_DIGEST: 11,
  ERR_TRANSFER_DISK_FULL: 12,
  ERR_TRANSFER_FILE: 13,
  ERR_TRANSFER_LIMIT: 14,
  ERR_TRANSFER_INCOMPLETE: 15,
  ERR_TRANSFER_PEER: 16,
} as const;
export type TransferErrorCode = keyof typeof TransferFault;

/** A file transfer failed. `code` is stable; `path` is relative, as the sender spells it. */
export class TransferError extends QkdTlsError<TransferErrorCode> {
  readonly path?: string;
  /** True when the other side found the fault and told us. */
  readonly fromPeer: boolean;
  /** What had been done by then. */
  report?: Report;

  constructor(
    code: TransferErrorCode,
    message: string,
    options: { cause?: unknown; path?: string; fromPeer?: boolean } = {},
  ) {
    super(code, message, options.cause === undefined ? {} : { cause: options.cause });
    if (options.path !== undefined) this.path = options.path;
    this.fromPeer = options.fromPeer ?? false;
  }

  /** True when a new connection may go on where this one stopped. */
  get resumable(): boolean {
    // The receiver may not have noticed yet that an earlier connection of ours is gone.
    const busy = this.report?.files.some((file) => file.error?.code === "ERR_TRANSFER_BUSY") ?? false;
    return this.code === "ERR_TRANSFER_CUT" || this.code === "ERR_TRANSFER_TIMEOUT" || busy;
  }
}

/** The code behind a number from the wire; one we do not know is ERR_TRANSFER_PEER. */
export function faultCode(fault: number): TransferErrorCode {
  for (const [code, number] of Object.entries(TransferFault)) {
    if (number === fault) return code as TransferErrorCode; // keys of the table above
  }
  return "ERR_TRANSFER_PEER";
}

/** A failure of the file system in our words: `what` names the file by its relative path, never an absolute one. */
export function fileFault(cause: unknown, what: string, path: string): TransferError {
  if (cause instanceof TransferError) return cause;
  const system = codeOf(cause);
  const full = system === "ENOSPC" || system === "EDQUOT";
  const why = full ? "the disk is full" : (system ?? "unknown cause");
  const code = full ? "ERR_TRANSFER_DISK_FULL" : "ERR_TRANSFER_FILE";
  return new TransferError(code, `${what}: ${why}`, { cause, path });
}
