import { asciiOf, type Der, malformed, Tag } from "./der.ts";

/** A Time in milliseconds since 1970. RFC 5280 §4.1.2.5: seconds, `Z`, no fraction. Throws a TrustError naming `field`. */
export function timeOf(value: Der | undefined, field: string): number {
  if (value === undefined) throw malformed(field, "is missing");
  const text = asciiOf(value.content, field);
  if (value.tag === Tag.utcTime && /^\d{12}Z$/.test(text)) {
    return millisecondsOf(`${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}`, field);
  }
  if (value.tag === Tag.generalizedTime && /^\d{14}Z$/.test(text)) return millisecondsOf(text, field);
  throw malformed(field, "is no time in the form that certificates use");
}

function millisecondsOf(digits: string, field: string): number {
  const iso = digits.replace(/^(....)(..)(..)(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6.000Z");
  const time = new Date(iso);
  // Date accepts the 30th of February and moves it; such a date is none.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso)
    throw malformed(field, "is no date of the calendar");
  return time.getTime();
}
