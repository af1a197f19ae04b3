/** Values of the command line, checked: what is wrong is a UsageError that names the option and the fault. */
import { constants, closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { UsageError } from "../protocol/errors.ts";
import { codeOf } from "./cause.ts";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, with IPv6 addresses in brackets. Port 0, a free one, only where `listens`. */
export function parseEndpoint(text: string, option = "host:port", listens = true): Endpoint {
  const { bracketed, plain, port } =
    /^(?:\[(?<bracketed>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?<plain>[^\s:[\]/@]+)):(?<port>\d{1,5})$/.exec(text)
      ?.groups ?? {};
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) {
    throw bad(option, `${JSON.stringify(text)} is not host:port, as in localhost:4433 or [::1]:4433`);
  }
  const number = Number(port);
  if (number > 65_535 || (number === 0 && !listens)) throw bad(option, `there is no port ${port}`);
  return { host, port: number };
}

/** As `parseEndpoint` reads it. */
export const formatEndpoint = (host: string | undefined, port: number | undefined): string =>
  `${host?.includes(":") === true ? `[${host}]` : (host ?? "?")}:${port ?? "?"}`;

/** A whole number in bounds. */
export function wholeNumber(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw bad(option, `${JSON.stringify(text)} is not a whole number from ${min} to ${max}`);
}

/** Seconds, also with a fraction, as milliseconds; at most a day. */
export function seconds(text: string, option: string): number {
  const value = /^\d{1,5}(?:\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : Number.NaN;
  if (value >= 1 && value <= 86_400_000) return value;
  throw bad(option, `${JSON.stringify(text)} is not a number of seconds above 0 and up to 86400`);
}

/** Bytes, also as `64k`, `64M` or `2G` (powers of 1024). */
export function byteCount(text: string, option: string, max: number): number {
  const { digits, unit = "" } = /^(?<digits>\d{1,12})(?<unit>[kKmMgG]?)(?:iB|B)?$/.exec(text)?.groups ?? {};
  const value =
    digits === undefined ? Number.NaN : Number(digits) * 1024 ** " kmg".indexOf(unit.toLowerCase() || " ");
  if (value <= max) return value;
  throw bad(option, `${JSON.stringify(text)} is not a size up to ${max} bytes, as in 65536, 64k, 64M or 2G`);
}

/** One of these words; letter case does not matter. */
export function oneOf<T extends string>(text: string, option: string, words: readonly T[]): T {
  const found = words.find((word) => word.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw bad(option, `${JSON.stringify(text)} is none of ${words.join(", ")}`);
}

const MAX_PEM_BYTES = 2 ** 20;

/** A PEM file. Throws a UsageError when it is missing, no file, empty or longer than 1 MiB. */
export function readPem(path: string, option: string): Buffer {
  const { bytes } = readRegular(path, option, MAX_PEM_BYTES);
  if (!bytes.includes("-----BEGIN ")) throw badFile(option, `${path} holds nothing in PEM (-----BEGIN …)`);
  return bytes;
}

const MAX_OCSP_BYTES = 2 ** 16;

/** An OCSP response in DER. Throws a UsageError when it is missing, none, or longer than 64 KiB. */
export function readOcspResponse(path: string, option: string): Buffer {
  const { bytes } = readRegular(path, option, MAX_OCSP_BYTES);
  if (bytes[0] !== 0x30) throw badFile(option, `${path} holds no OCSP response in DER`);
  return bytes;
}

const MAX_PASSPHRASE_BYTES = 1024;

/**
 * The passphrase that is the only line of a file. Throws a UsageError: ERR_FILE_UNSAFE when others may read it,
 * ERR_FILE_INVALID when it holds none, or more than one line.
 */
export function readPassphrase(path: string, option: string): string {
  const { bytes, mode } = readRegular(path, option, MAX_PASSPHRASE_BYTES);
  // Windows keeps no such bits.
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const text = `${option}: ${path} is open to others (mode 0${(mode & 0o777).toString(8)})`;
    throw new UsageError("ERR_FILE_UNSAFE", text, { option });
  }
  const line = bytes.toString("utf8").replace(/\r?\n$/, "");
  if (line === "") throw badFile(option, `${path} is empty`);
  if (/[\r\n]/.test(line)) throw badFile(option, `${path} has more than one line`);
  return line;
}

function readRegular(path: string, option: string, maxBytes: number): { bytes: Buffer; mode: number } {
  let file: number;
  try {
    // Without O_NONBLOCK a named pipe would hold us here.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw unreadable(option, path, cause);
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw badFile(option, `${path} is not a regular file`);
    if (found.size > maxBytes) throw badFile(option, `${path} is longer than ${maxBytes} bytes`);
    return { bytes: readFileSync(file), mode: found.mode };
  } finally {
    closeSync(file);
  }
}

/** The error for a value that cannot be. */
export const bad = (option: string, fault: string): UsageError =>
  new UsageError("ERR_OPTION_INVALID", `${option}: ${fault}`, { option });

/** The error for an option that another one needs. */
export const needed = (option: string, why: string): UsageError =>
  new UsageError("ERR_OPTION_MISSING", `${option} is missing: ${why}`, { option });

/** The error for a file whose content cannot be. */
export const badFile = (option: string, fault: string): UsageError =>
  new UsageError("ERR_FILE_INVALID", `${option}: ${fault}`, { option });

/** The error for a file that the system does not let us have. */
export function unreadable(option: string, path: string, cause: unknown): UsageError {
  const why = READING[codeOf(cause) ?? ""] ?? `cannot be read (${codeOf(cause) ?? "unknown"})`;
  return new UsageError("ERR_FILE_INVALID", `${option}: ${path} ${why}`, { option, cause });
}

const READING: Readonly<Record<string, string>> = {
  EACCES: "may not be read by this user",
  EISDIR: "is a directory",
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
};

/** For options that may be repeated. */
export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];
