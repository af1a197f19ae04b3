import { TransferError, type TransferErrorCode } from "./error.ts";

/** What became of one file. */
export interface FileReport {
  /** Relative, with `/` between names. */
  readonly path: string;
  readonly sizeBytes: number;
  /** `skipped`: the receiver had a file with this name and content. */
  readonly outcome: "stored" | "skipped" | "failed";
  /** Hexadecimal SHA-256 that both sides computed; absent when the file failed. */
  readonly sha256?: string;
  /** How many bytes the receiver held from an earlier connection. */
  readonly resumedBytes: number;
  readonly error?: { readonly code: TransferErrorCode; readonly message: string };
}

/** What a transfer did, file by file. */
export interface Report {
  readonly files: readonly FileReport[];
  readonly directories: number;
  /** Content in files stored or skipped. */
  readonly bytes: number;
  /** Content that went over the channel this time. */
  readonly carriedBytes: number;
  readonly seconds: number;
  /** What the sender left out: symbolic links, devices, remains of other transfers. */
  readonly omitted: readonly { readonly path: string; readonly reason: string }[];
}

/** How far a transfer is. */
export interface Progress {
  /** The file under way. */
  readonly path: string;
  readonly bytes: number;
  readonly totalBytes: number;
  /** What of it went over the channel, for the speed. */
  readonly carriedBytes: number;
  readonly files: number;
  readonly totalFiles: number;
}

/** Counts while a transfer goes on, and tells who asked. */
export class Tally {
  readonly #began = performance.now();
  readonly #files: FileReport[] = [];
  readonly #omitted: Report["omitted"];
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  #total = { files: 0, bytes: 0 };
  #bytes = 0;
  #carried = 0;
  directories = 0;

  constructor(onProgress?: (progress: Progress) => void, omitted: Report["omitted"] = []) {
    this.#onProgress = onProgress;
    this.#omitted = omitted;
  }

  expect(total: { readonly files: number; readonly bytes: number }): void {
    this.#total = total;
  }

  /** Bytes of a file that went over the channel. */
  carried(path: string, bytes: number): void {
    this.#carried += bytes;
    this.passed(path, bytes);
  }

  /** Bytes that need not go over the channel. */
  passed(path: string, bytes: number): void {
    this.#bytes += bytes;
    this.#onProgress?.({
      path,
      bytes: this.#bytes,
      totalBytes: this.#total.bytes,
      carriedBytes: this.#carried,
      files: this.#files.length,
      totalFiles: this.#total.files,
    });
  }

  add(file: FileReport): void {
    this.#files.push(file);
    this.passed(file.path, 0);
  }

  report(): Report {
    const whole = this.#files.filter((file) => file.outcome !== "failed");
    return {
      files: this.#files,
      directories: this.directories,
      bytes: whole.reduce((sum, file) => sum + file.sizeBytes, 0),
      carriedBytes: this.#carried,
      seconds: (performance.now() - this.#began) / 1000,
      omitted: this.#omitted,
    };
  }

  /** The report of a transfer without a failed file. Throws the TransferError of the failure otherwise. */
  complete(): Report {
    const report = this.report();
    const failed = report.files.filter((file) => file.outcome === "failed");
    const [first] = failed;
    if (first?.error === undefined) return report;
    const error =
      failed.length === 1
        ? new TransferError(first.error.code, first.error.message, { path: first.path })
        : new TransferError(
            "ERR_TRANSFER_INCOMPLETE",
            `${failed.length} of ${report.files.length} files failed; the first: ${first.error.message}`,
          );
    error.report = report;
    throw error;
  }
}

/** The report of a file that failed. */
export function failedFile(path: string, sizeBytes: number, error: TransferError): FileReport {
  const { code, message } = error;
  return { path, sizeBytes, outcome: "failed", resumedBytes: 0, error: { code, message } };
}
