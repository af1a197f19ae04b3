import { TrustError } from "../protocol/errors.ts";
import { type Der, expectTag, malformed, Tag } from "./der.ts";
import { type GeneralName, parseGeneralName } from "./general-name.ts";
import { isDnsName, isDnsPattern } from "./name.ts";

/** What names a CA may certify. RFC 5280 §4.2.1.10. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** A certificate's names, as constraints see them. */
export interface ConstrainedNames {
  readonly names: readonly GeneralName[];
  /** Shown in errors. */
  readonly subject: string;
}

/** How many comparisons one path may cost; a CA that needs more is out to exhaust us. */
export class ComparisonBudget {
  #left = 250_000;

  /** Throws a TrustError (bad_certificate) once the budget is spent. */
  spend(comparisons: number): void {
    this.#left -= comparisons;
    if (this.#left < 0) {
      throw new TrustError(
        "ERR_CERT_INVALID",
        "bad_certificate",
        "the name constraints are too large to check",
      );
    }
  }
}

/** Reads NameConstraints. Throws a TrustError for empty ones and for bases that are not well formed. */
export function parseNameConstraints(value: Der): NameConstraints {
  const { items } = expectTag(value, Tag.sequence, "name constraints");
  if (items.length === 0) throw malformed("name constraints", "are empty");
  const constraints = { permitted: [] as readonly GeneralName[], excluded: [] as readonly GeneralName[] };
  for (const { tag, items: subtrees } of items) {
    if (subtrees.length === 0) throw malformed("name constraints", "are empty");
    if (tag === 0xa0) constraints.permitted = subtrees.map(readSubtree);
    else if (tag === 0xa1) constraints.excluded = subtrees.map(readSubtree);
    else throw malformed("name constraints", "have an unknown field");
  }
  return constraints;
}

/** Throws a TrustError (ERR_CERT_INVALID, bad_certificate) when `names` fall outside the constraints. */
export function checkConstraints(
  constraints: NameConstraints,
  { names, subject }: ConstrainedNames,
  budget: ComparisonBudget,
): void {
  budget.spend(names.length * (constraints.permitted.length + constraints.excluded.length));
  for (const name of names) {
    const permitted = constraints.permitted.filter((base) => sameForm(base, name));
    const excluded = constraints.excluded.filter((base) => sameForm(base, name));
    if (permitted.length + excluded.length === 0) continue;
    if (!isComparable(name)) throw violation(subject, name, "cannot be compared with");
    if (excluded.some((base) => touches(base, name))) throw violation(subject, name, "is excluded by");
    if (permitted.length > 0 && !permitted.some((base) => covers(base, name))) {
      throw violation(subject, name, "is not among those permitted by");
    }
  }
}

function readSubtree(subtree: Der): GeneralName {
  const [base, ...distances] = expectTag(subtree, Tag.sequence, "name constraint").items;
  if (base === undefined) throw malformed("name constraint", "is empty");
  // minimum is 0 and maximum absent in every profile; DER then leaves both out.
  if (distances.length > 0) throw malformed("name constraint", "limits distances, which is not supported");
  const name = parseGeneralName(base, "name constraint");
  if (!isBase(name)) throw malformed("name constraint", "is not well formed");
  return name;
}

function isBase(name: GeneralName): boolean {
  switch (name.form) {
    case "dns":
      return name.text === "" || isDnsName(name.text);
    case "email":
      return /^([^@\s]+@)?[^@\s]+$/.test(name.text) && isDnsName(hostPart(name.text).replace(/^\./, ""));
    case "uri":
      return isDnsName(name.text.replace(/^\./, ""));
    case "ip":
      return (name.octets.length === 8 || name.octets.length === 32) && isMask(halves(name.octets)[1]);
    case "directory":
    case "other":
      break;
  }
  return true;
}

function sameForm(base: GeneralName, name: GeneralName): boolean {
  if (base.form === "other") return name.form === "other" && base.tag === name.tag;
  return base.form === name.form;
}

/** Whether a name is well formed enough to be held against a constraint; others must not slip past one. */
function isComparable(name: GeneralName): boolean {
  switch (name.form) {
    case "dns":
      return isDnsPattern(name.text);
    case "email":
      return /^[^@\s]+@[^@\s]+$/.test(name.text) && isDnsName(hostPart(name.text));
    case "uri":
      return isDnsName(hostOfUri(name.text));
    case "ip":
    case "directory":
      return true;
    case "other":
      break;
  }
  return false;
}

/** Whether every name that `name` stands for lies within `base`. */
function covers(base: GeneralName, name: GeneralName): boolean {
  if (base.form === "dns" && name.form === "dns") return within(name.text, base.text);
  if (base.form === "email" && name.form === "email") return coversMailbox(base.text, name.text);
  if (base.form === "uri" && name.form === "uri") return coversHost(base.text, hostOfUri(name.text));
  if (base.form === "ip" && name.form === "ip") return coversAddress(base.octets, name.octets);
  if (base.form === "directory" && name.form === "directory") {
    return base.name.keys.every((key, at) => name.name.keys[at] === key);
  }
  return false;
}

/** Whether any name that `name` stands for lies within `base`: a wildcard touches more than it is covered by. */
function touches(base: GeneralName, name: GeneralName): boolean {
  if (covers(base, name)) return true;
  if (base.form !== "dns" || name.form !== "dns" || !name.text.startsWith("*.")) return false;
  const [, ...parent] = base.text.toLowerCase().split(".");
  return parent.join(".") === name.text.slice(2).toLowerCase();
}

/** RFC 5280: adding labels on the left of the base satisfies it; an empty base covers all. */
function within(name: string, base: string): boolean {
  if (base === "") return true;
  const [lower, end] = [name.toLowerCase(), base.toLowerCase()];
  return lower === end || lower.endsWith(`.${end}`);
}

/** RFC 5280 §4.2.1.10: a mailbox, a host, or (with a leading period) the hosts of a domain. */
function coversMailbox(base: string, mailbox: string): boolean {
  if (!base.includes("@")) return coversHost(base, hostPart(mailbox));
  const at = base.lastIndexOf("@");
  return (
    base.slice(0, at) === mailbox.slice(0, mailbox.lastIndexOf("@")) &&
    coversHost(hostPart(base), hostPart(mailbox))
  );
}

function coversHost(base: string, host: string): boolean {
  const [lower, end] = [host.toLowerCase(), base.toLowerCase()];
  return end.startsWith(".") ? lower.endsWith(end) : lower === end;
}

function coversAddress(base: Uint8Array, address: Uint8Array): boolean {
  const [network, mask] = halves(base);
  if (network.length !== address.length) return false;
  return address.every((octet, at) => ((octet ^ (network[at] ?? 0)) & (mask[at] ?? 0)) === 0);
}

const halves = (octets: Uint8Array): [Uint8Array, Uint8Array] => [
  octets.subarray(0, octets.length / 2),
  octets.subarray(octets.length / 2),
];

/** Ones, then zeros. */
function isMask(mask: Uint8Array): boolean {
  const bits = Array.from(mask, (octet) => octet.toString(2).padStart(8, "0")).join("");
  return !bits.includes("01");
}

const hostPart = (mailbox: string): string => mailbox.slice(mailbox.lastIndexOf("@") + 1);

/** The host of a URI with an authority; empty when it has none. RFC 3986 §3.2. */
function hostOfUri(uri: string): string {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1] ?? "";
  return authority.replace(/^.*@/, "").replace(/:\d*$/, "");
}

function violation(subject: string, name: GeneralName, how: string): TrustError {
  const shown =
    name.form === "directory" ? name.name.text : "text" in name ? JSON.stringify(name.text) : name.form;
  return new TrustError(
    "ERR_CERT_INVALID",
    "bad_certificate",
    `a name of the certificate ${subject} (${shown}) ${how} a CA's name constraints`,
  );
}
