import { asciiOf, type Der, expectTag, malformed, Tag } from "./der.ts";
import { type DistinguishedName, parseName } from "./distinguished-name.ts";

/** A GeneralName in the forms that are used here; any other keeps its tag alone. RFC 5280 §4.2.1.6. */
export type GeneralName =
  | { readonly form: "dns" | "email" | "uri"; readonly text: string }
  | { readonly form: "ip"; readonly octets: Uint8Array }
  | { readonly form: "directory"; readonly name: DistinguishedName }
  | { readonly form: "other"; readonly tag: number };

/** Reads one GeneralName. Throws a TrustError naming `field`. */
export function parseGeneralName({ tag, content, items }: Der, field: string): GeneralName {
  switch (tag) {
    case 0x81:
      return { form: "email", text: asciiOf(content, field) };
    case 0x82:
      return { form: "dns", text: asciiOf(content, field) };
    case 0x86:
      return { form: "uri", text: asciiOf(content, field) };
    case 0x87:
      return { form: "ip", octets: content };
    case 0xa4:
      return { form: "directory", name: parseName(items[0], field) };
    case 0xa0: // otherName
    case 0xa3: // x400Address
    case 0xa5: // ediPartyName
    case 0x88: // registeredID
      return { form: "other", tag };
    default:
      throw malformed(field, "has a name of an unknown form");
  }
}

/** Reads a SubjectAltName: at least one name, addresses of 4 or 16 octets. Throws a TrustError naming `field`. */
export function parseGeneralNames(value: Der, field: string): readonly GeneralName[] {
  const names = expectTag(value, Tag.sequence, field).items.map((name) => parseGeneralName(name, field));
  if (names.length === 0) throw malformed(field, "is empty");
  for (const name of names) {
    if (name.form === "ip" && name.octets.length !== 4 && name.octets.length !== 16) {
      throw malformed(field, "has an IP address that is neither 4 nor 16 octets long");
    }
  }
  return names;
}
