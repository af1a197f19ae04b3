/** Certificates made for one test: a CA and what it issues. */
import { nodeProvider } from "../../src/crypto/node.ts";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import type { KeyKind, SigningKey } from "../../src/crypto/provider.ts";
import { type TrustAnchors, trustAnchors } from "../../src/pki/anchors.ts";
import { type Certificate, parseCertificate } from "../../src/pki/certificate.ts";
import { type CertificateRequest, issueCertificate } from "../../src/pki/issue.ts";
import { type VerifyRequest, verifyChain } from "../../src/pki/verify.ts";

export const provider = nodeProvider();
export const now = Date.UTC(2026, 10, 24, 12);
export const period = { notBeforeMs: now - 86_400_000, notAfterMs: now + 86_400_000 };

export interface Party {
  readonly certificate: Certificate;
  readonly key: SigningKey;
  readonly pkcs8: Uint8Array;
}

export type Wishes = Partial<Omit<CertificateRequest, "spki" | "issuer" | "signingKey">>;

/** A certificate with a fresh key, issued by `issuer` or by itself. */
export function issue(issuer: Party | undefined, wishes: Wishes, kind: KeyKind = "secp256r1"): Party {
  const { pkcs8, spki } = generateKeyPair(kind);
  return issueFor({ pkcs8, spki }, issuer, wishes);
}

/** The same with a key that exists. */
export function issueFor(
  { pkcs8, spki }: { readonly pkcs8: Uint8Array; readonly spki: Uint8Array },
  issuer: Party | undefined,
  wishes: Wishes,
): Party {
  const key = provider.signingKey(pkcs8);
  const der = issueCertificate(provider, {
    ...period,
    subject: { CN: "someone" },
    ...wishes,
    spki,
    issuer: issuer?.certificate,
    signingKey: issuer?.key ?? key,
  });
  return { certificate: parseCertificate(der), key, pkcs8 };
}

export const authority = (wishes: Wishes = {}, kind?: KeyKind): Party =>
  issue(undefined, { subject: { CN: "root" }, isCa: true, ...wishes }, kind);

export const server: Wishes = {
  subject: { CN: "server" },
  dnsNames: ["server.example"],
  extendedKeyUsage: ["serverAuth"],
};

/** Verifies a chain as a client would, unless told otherwise. */
export function check(
  chain: readonly Party[],
  trusted: readonly Party[],
  changes: Partial<VerifyRequest> = {},
) {
  return verifyChain({
    provider,
    chain: chain.map(({ certificate }) => certificate),
    anchors: anchorsOf(...trusted),
    purpose: "server",
    name: "server.example",
    nowMs: now,
    ...changes,
  });
}

export const anchorsOf = (...trusted: readonly Party[]): TrustAnchors =>
  trustAnchors(trusted.map(({ certificate }) => certificate));
