import type { Certificate } from "./certificate.ts";

/** The certificates that are trusted as given, ready to be searched. RFC 5280 §6.1.1 (d). */
export interface TrustAnchors {
  readonly certificates: readonly Certificate[];
  readonly bySubject: ReadonlyMap<string, readonly Certificate[]>;
}

/** Trusts these certificates: CAs as issuers, any of them as the peer's own certificate. */
export function trustAnchors(certificates: readonly Certificate[]): TrustAnchors {
  return Object.freeze({
    certificates: Object.freeze([...certificates]),
    bySubject: bySubject(certificates),
  });
}

/** Certificates grouped by `subject.key`, in the order given. */
export function bySubject(certificates: readonly Certificate[]): ReadonlyMap<string, readonly Certificate[]> {
  const groups = new Map<string, Certificate[]>();
  for (const certificate of certificates) {
    const group = groups.get(certificate.subject.key);
    if (group === undefined) groups.set(certificate.subject.key, [certificate]);
    else group.push(certificate);
  }
  return groups;
}
