import { randomBytes } from "node:crypto";
import { nodeProvider } from "../../src/crypto/node.ts";
import { generateKeyPair } from "../../src/crypto/node-generate.ts";
import type { KeyKind } from "../../src/crypto/provider.ts";
import { trustAnchors, type TrustAnchors } from "../../src/pki/anchors.ts";
import { parseCertificate, type Certificate } from "../../src/pki/certificate.ts";
import { loadIdentity, type Identity } from "../../src/pki/identity.ts";
import { issueCertificate } from "../../src/pki/issue.ts";
import { toPem } from "../../src/pki/pem.ts";

export const provider = nodeProvider();

/** A CA and what it issued, in the forms that tests need. */
export interface Credentials {
  readonly caPem: string;
  readonly ca: Certificate;
  readonly anchors: TrustAnchors;
  readonly certPem: string;
  readonly keyPem: string;
  readonly identity: Identity;
}

const made = new Map<string, Credentials>();
const DAY_MS = 86_400_000;

/** A CA of ECDSA P-256 and a leaf of the given kind for localhost and 127.0.0.1; made once per kind and name. */
export function credentials(kind: KeyKind = "secp256r1", commonName = "localhost"): Credentials {
  const known = made.get(`${kind} ${commonName}`);
  if (known !== undefined) return known;
  const [notBeforeMs, notAfterMs] = [Date.now() - DAY_MS, Date.now() + 30 * DAY_MS];
  const caKeys = authority();
  const leafKeys = generateKeyPair(kind);
  const der = issueCertificate(provider, {
    subject: { CN: commonName },
    issuer: caKeys.certificate,
    spki: leafKeys.spki,
    signingKey: caKeys.signingKey,
    serial: Uint8Array.from([0x40, ...randomBytes(8)]),
    notBeforeMs,
    notAfterMs,
    dnsNames: ["localhost", "example.test"],
    ipAddresses: ["127.0.0.1"],
    extendedKeyUsage: ["serverAuth", "clientAuth"],
  });
  const certPem = toPem("CERTIFICATE", der);
  const keyPem = toPem("PRIVATE KEY", leafKeys.pkcs8);
  const result: Credentials = {
    caPem: toPem("CERTIFICATE", caKeys.certificate.der),
    ca: caKeys.certificate,
    anchors: trustAnchors([caKeys.certificate]),
    certPem,
    keyPem,
    identity: loadIdentity(provider, { cert: certPem, key: keyPem }),
  };
  made.set(`${kind} ${commonName}`, result);
  return result;
}

let root: { certificate: Certificate; signingKey: ReturnType<typeof provider.signingKey> } | undefined;
function authority() {
  if (root !== undefined) return root;
  const keys = generateKeyPair("secp256r1");
  const signingKey = provider.signingKey(keys.pkcs8);
  const der = issueCertificate(provider, {
    subject: { CN: "test CA" },
    spki: keys.spki,
    signingKey,
    notBeforeMs: Date.now() - DAY_MS,
    notAfterMs: Date.now() + 30 * DAY_MS,
    isCa: true,
  });
  root = { certificate: parseCertificate(der), signingKey };
  return root;
}
