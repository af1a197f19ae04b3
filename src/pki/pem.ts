import { UsageError } from "../protocol/errors.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";

/** One textual block. RFC 7468. */
export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
}

/**
 * The blocks of a PEM text in their order; text around them is skipped. `option` is the field that errors name.
 * Throws a UsageError (ERR_FILE_INVALID) for a block that does not end or is not base64.
 */
export function pemBlocks(text: string, option: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { readonly label: string; readonly lines: string[] } | undefined;
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [, edge, label = ""] = /^\s*-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/.exec(line) ?? [];
    if (edge === undefined) open?.lines.push(line.trim());
    else if (edge === "BEGIN" && open === undefined) open = { label, lines: [] };
    else if (edge === "END" && open?.label === label) {
      blocks.push({ label, der: fromBase64(open.lines, label, option) });
      open = undefined;
    } else throw unreadable(option, `has a PEM line "${edge} ${label}" out of place`);
  }
  if (open !== undefined) throw unreadable(option, `has a PEM block "${open.label}" without an end`);
  return blocks;
}

/**
 * The certificates of a PEM text, or the one of a DER file. Throws a UsageError (ERR_FILE_INVALID) naming `option`
 * when there is none or one of them cannot be read.
 */
export function certificatesFromPem(source: string | Uint8Array, option: string): readonly Certificate[] {
  const ders = isDer(source)
    ? [source]
    : pemBlocks(textOf(source), option)
        .filter(({ label }) => label === "CERTIFICATE" || label === "X509 CERTIFICATE")
        .map(({ der }) => der);
  if (ders.length === 0) throw unreadable(option, "holds no certificate");
  return ders.map((der, at) => {
    try {
      return parseCertificate(der);
    } catch (cause) {
      const fault = cause instanceof Error ? cause.message : String(cause);
      throw unreadable(option, `holds a certificate (number ${at + 1}) that cannot be read: ${fault}`, cause);
    }
  });
}

/**
 * The DER PKCS #8 of a PEM text's first private key, or a DER file as it is. Throws a UsageError (ERR_FILE_INVALID)
 * naming `option`; older forms and encrypted keys are not for this room, and the error says so.
 */
export function privateKeyFromPem(source: string | Uint8Array, option: string): Uint8Array {
  if (isDer(source)) return source;
  const block = pemBlocks(textOf(source), option).find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined) throw unreadable(option, "holds no private key");
  if (block.label === "PRIVATE KEY") return block.der;
  block.der.fill(0);
  const fault =
    block.label === "ENCRYPTED PRIVATE KEY"
      ? "holds an encrypted private key"
      : `holds a key in the form "${block.label}"`;
  throw unreadable(option, `${fault}; an unencrypted PKCS #8 key ("PRIVATE KEY") is needed here`);
}

/** A PEM block with lines of 64 characters. RFC 7468 §2. */
export function toPem(label: string, der: Uint8Array): string {
  let binary = "";
  for (const octet of der) binary += String.fromCharCode(octet);
  const lines = btoa(binary).match(/.{1,64}/g) ?? [];
  return `${[`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join("\n")}\n`;
}

/** A DER certificate or key starts with a SEQUENCE, and no PEM text with a "0" byte. */
export function isDer(source: string | Uint8Array): source is Uint8Array {
  return typeof source !== "string" && source[0] === 0x30;
}

/** PEM is text, whatever it comes in. */
export function textOf(source: string | Uint8Array): string {
  return typeof source === "string" ? source : new TextDecoder().decode(source);
}

function fromBase64(lines: readonly string[], label: string, option: string): Uint8Array {
  // RFC 1421 headers would precede an encrypted key of the old form.
  if (lines.some((line) => /^(Proc-Type|DEK-Info):/.test(line))) {
    throw unreadable(option, `holds an encrypted "${label}"; an unencrypted PKCS #8 key is needed here`);
  }
  const text = lines.join("").replace(/\s/g, "");
  if (text === "" || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    throw unreadable(option, `has a PEM block "${label}" that is not base64`);
  }
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** The refusal of a file. */
export function unreadable(option: string, fault: string, cause?: unknown): UsageError {
  return new UsageError("ERR_FILE_INVALID", `\`${option}\` ${fault}`, { option, cause });
}
