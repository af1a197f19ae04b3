import { equal } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";

/** What the peer must prove to be. RFC 9525 §6.1. */
export type Reference =
  | { readonly kind: "dns"; readonly name: string }
  | { readonly kind: "ip"; readonly octets: Uint8Array };

/** The names of a certificate that are compared. */
export interface PresentedNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
}

/**
 * Whether one of the certificate's subject alternative names is the reference: IP-ID by exact octets, DNS-ID by
 * labels without regard to case, `*` as the whole left-most label only. The common name is not asked. RFC 9525 §6.
 */
export function matchesName(presented: PresentedNames, reference: Reference | string): boolean {
  const wanted = typeof reference === "string" ? parseReference(reference) : reference;
  if (wanted.kind === "ip") return presented.ipAddresses.some((address) => equal(address, wanted.octets));
  return presented.dnsNames.some((pattern) => matchesPattern(pattern, wanted.name));
}

/**
 * A host name or an IP address literal (IPv6 with or without brackets). U-labels become A-labels, a final dot goes.
 * Throws a UsageError (ERR_OPTION_INVALID, `servername`) for anything else.
 */
export function parseReference(text: string): Reference {
  const octets = parseIpAddress(text.replace(/^\[(.*)\]$/, "$1"));
  if (octets !== undefined) return { kind: "ip", octets };
  const name = toAscii(text).toLowerCase().replace(/\.$/, "");
  if (!isDnsName(name) || /(^|\.)\d+$/.test(name)) {
    throw new UsageError(
      "ERR_OPTION_INVALID",
      `${JSON.stringify(text)} is neither a host name nor an IP address`,
      {
        option: "servername",
      },
    );
  }
  return { kind: "dns", name };
}

/** A host name as `server_name` carries it: A-labels and no final dot. RFC 6066 §3. */
export const asciiHostName = (text: string): string => toAscii(text).replace(/\.$/, "");

/** The 4 or 16 octets of an address literal (no zone, no shorthand IPv4); undefined when it is none. RFC 4291 §2.2. */
export function parseIpAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Letters, digits, hyphen and (as hosts in the field do) underscore; labels of 1 to 63, 253 in all. RFC 1123 §2.1. */
export function isDnsName(text: string): boolean {
  return text.length <= 253 && text.split(".").every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i.test(label));
}

/** A DNS name, or one whose whole left-most label is `*`. RFC 9525 §6.3. */
export function isDnsPattern(text: string): boolean {
  return isDnsName(text.startsWith("*.") ? text.slice(2) : text);
}

function matchesPattern(pattern: string, name: string): boolean {
  if (!isDnsPattern(pattern)) return false;
  const presented = pattern.toLowerCase();
  if (!presented.startsWith("*.")) return presented === name;
  const parent = presented.slice(1);
  // `*.com` would speak for a whole registry; two labels must follow the star (RFC 9525 §7.1).
  if (!parent.slice(1).includes(".")) return false;
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot) === parent;
}

/** IDNA's ASCII form, by the URL parser that every runtime carries; the text itself when it has none. */
function toAscii(text: string): string {
  if (!/[^\0-\x7f]/.test(text) || /[/?#@:\\\s]/.test(text)) return text;
  try {
    return new URL(`http://${text}`).hostname;
  } catch {
    return text;
  }
}

function parseIpv4(text: string): Uint8Array | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/.test(text)) return undefined;
  const octets = text.split(".").map(Number);
  return octets.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half, at) => parseGroups(half, at === halves.length - 1));
  const [head, tail = []] = groups;
  if (head === undefined || groups.includes(undefined) || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...Array.from({ length: missing }, () => 0), ...tail]);
}

/** The octets of `a:b:c`, whose last group may be an IPv4 address when it ends the whole. */
function parseGroups(text: string, isLast: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const octets: number[] = [];
  const groups = text.split(":");
  for (const [at, group] of groups.entries()) {
    const dotted = isLast && at === groups.length - 1 && group.includes(".") ? parseIpv4(group) : undefined;
    if (dotted !== undefined) octets.push(...dotted);
    else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      octets.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return octets;
}
