import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeProvider } from "../crypto/node.ts";
import { generateKeyPair } from "../crypto/node-generate.ts";
import type { CryptoProvider, KeyKind, SigningKey } from "../crypto/provider.ts";
import { type Certificate, parseCertificate } from "../pki/certificate.ts";
import { type CertificateRequest, issueCertificate } from "../pki/issue.ts";
import { isDnsPattern, parseIpAddress } from "../pki/name.ts";
import { toPem } from "../pki/pem.ts";
import { wipe } from "../protocol/bytes.ts";
import { UsageError } from "../protocol/errors.ts";

/** The key algorithms offered, and the key kinds they stand for. */
export const pkiAlgorithms = {
  ecdsa: "secp256r1",
  "ml-dsa": "ml-dsa-65",
  ed25519: "ed25519",
  rsa: "rsa",
} as const satisfies Record<string, KeyKind>;
export type PkiAlgorithm = keyof typeof pkiAlgorithms;

export interface PkiOptions {
  readonly directory: string;
  readonly algorithm?: PkiAlgorithm | undefined;
  /** Lifetime of every certificate, 1 to 3650. */
  readonly days?: number | undefined;
  /** Host names and addresses of the server and of the KMEs. */
  readonly hosts?: readonly string[] | undefined;
  /** One client certificate each; the ID is its common name. */
  readonly saeIds?: readonly string[] | undefined;
  /** One certificate each, to serve SAEs with and to speak to the other KME. */
  readonly kmeIds?: readonly string[] | undefined;
  /** Replaces files that exist. */
  readonly force?: boolean | undefined;
}

export type PkiRole = "ca" | "server" | "client" | "kme" | "sae";

/** One certificate that was made. */
export interface PkiEntry {
  readonly role: PkiRole;
  readonly commonName: string;
  readonly certificatePath: string;
  /** Absent for the CA, whose key is not kept. */
  readonly keyPath?: string;
  /** Subject alternative names. */
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly notAfter: string;
}

/** What `makePki` uses when not told otherwise. */
export const pkiDefaults = {
  algorithm: "ecdsa",
  days: 365,
  hosts: ["localhost", "127.0.0.1", "::1"],
  kmeIds: ["kme-a", "kme-b"],
  saeIds: ["sae-a", "sae-b"],
} as const satisfies Partial<PkiOptions>;

/**
 * Makes a CA and the certificates it issues: `ca.crt`, and `.crt` with `.key` (PKCS #8, mode 0600) for `server`,
 * `client`, each KME and each SAE. The CA's key signs these and is then forgotten.
 * Throws a UsageError for options that make no sense, and for files that exist unless `force` is set.
 */
export function makePki(options: PkiOptions): readonly PkiEntry[] {
  const { directory, force = false } = options;
  const { algorithm = pkiDefaults.algorithm, days = pkiDefaults.days } = options;
  const plans = plansFor(options);
  if (!Number.isInteger(days) || days < 1 || days > 3650)
    throw refused("days", "must be a whole number from 1 to 3650");
  if (!force) refuseExisting(directory, plans);
  const made = issueAll(nodeProvider(), plans, pkiAlgorithms[algorithm], days);
  mkdirSync(directory, { recursive: true });
  return made.map((item) => write(directory, item));
}

interface Plan {
  readonly role: PkiRole;
  /** Of the files, without ending; also the common name but for the CA's. */
  readonly name: string;
  readonly hosts: readonly string[];
  readonly usage: CertificateRequest["extendedKeyUsage"];
}

interface Made {
  readonly plan: Plan;
  readonly certificate: Certificate;
  readonly pkcs8?: Uint8Array;
}

function plansFor(options: PkiOptions): readonly Plan[] {
  const { hosts = pkiDefaults.hosts, kmeIds = pkiDefaults.kmeIds, saeIds = pkiDefaults.saeIds } = options;
  if (hosts.length === 0) throw refused("host", "needs at least one name or address");
  const odd = hosts.find((host) => !isHost(host));
  if (odd !== undefined)
    throw refused("host", `${JSON.stringify(odd)} is neither a host name nor an IP address`);
  const both = ["serverAuth", "clientAuth"] as const;
  const plans: readonly Plan[] = [
    { role: "ca", name: "ca", hosts: [], usage: undefined },
    { role: "server", name: "server", hosts, usage: ["serverAuth"] },
    { role: "client", name: "client", hosts: [], usage: ["clientAuth"] },
    ...kmeIds.map((name) => ({ role: "kme", name, hosts, usage: both }) as const),
    ...saeIds.map((name) => ({ role: "sae", name, hosts: [], usage: ["clientAuth"] }) as const),
  ];
  checkNames(plans);
  return plans;
}

/** IDs become file names, so they must be harmless as such and different also where letter case is ignored. */
function checkNames(plans: readonly Plan[]): void {
  const seen = new Set<string>();
  for (const { role, name } of plans) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
      throw refused(
        role,
        `${JSON.stringify(name)} is no ID: 1 to 64 letters, digits, dots, hyphens and underscores`,
      );
    }
    if (seen.has(name.toLowerCase()))
      throw refused(role, `"${name}" is used twice (ca, server and client are taken)`);
    seen.add(name.toLowerCase());
  }
}

function refuseExisting(directory: string, plans: readonly Plan[]): void {
  const names = plans.flatMap(({ role, name }) =>
    role === "ca" ? ["ca.crt"] : [`${name}.crt`, `${name}.key`],
  );
  const existing = names.filter((name) => existsSync(join(directory, name)));
  if (existing.length === 0) return;
  const message = `${directory} already holds ${existing.join(", ")}; --force replaces them`;
  throw new UsageError("ERR_FILE_UNSAFE", message, { option: "force" });
}

function issueAll(
  provider: CryptoProvider,
  plans: readonly Plan[],
  kind: KeyKind,
  days: number,
): readonly Made[] {
  // A little before now, for clocks that are behind.
  const notBeforeMs = Date.now() - 300_000;
  const period = { notBeforeMs, notAfterMs: notBeforeMs + days * 86_400_000 };
  let authority: { readonly signingKey: SigningKey; readonly issuer: Certificate } | undefined;
  return plans.map((plan): Made => {
    const { pkcs8, spki } = generateKeyPair(kind);
    if (authority === undefined) {
      const signingKey = provider.signingKey(pkcs8);
      wipe(pkcs8);
      const subject = { O: "qkd-tls test bed", CN: "qkd-tls test bed CA" };
      const der = issueCertificate(provider, {
        ...period,
        subject,
        spki,
        signingKey,
        isCa: true,
        pathLength: 0,
      });
      const issuer = parseCertificate(der);
      authority = { signingKey, issuer };
      return { plan, certificate: issuer };
    }
    const der = issueCertificate(provider, {
      ...period,
      ...authority,
      spki,
      subject: { O: "qkd-tls test bed", CN: plan.name },
      dnsNames: plan.hosts.filter((host) => !isAddress(host)),
      ipAddresses: plan.hosts.filter(isAddress),
      extendedKeyUsage: plan.usage,
    });
    return { plan, certificate: parseCertificate(der), pkcs8 };
  });
}

const isAddress = (host: string): boolean => parseIpAddress(host) !== undefined;
const isHost = (host: string): boolean => isAddress(host) || (isDnsPattern(host) && !/^[\d.]+$/.test(host));

function write(directory: string, { plan, certificate, pkcs8 }: Made): PkiEntry {
  const certificatePath = join(directory, `${plan.name}.crt`);
  const keyPath = join(directory, `${plan.name}.key`);
  if (pkcs8 !== undefined) {
    replace(keyPath, toPem("PRIVATE KEY", pkcs8), 0o600);
    wipe(pkcs8);
  }
  replace(certificatePath, toPem("CERTIFICATE", certificate.der), 0o644);
  return {
    role: plan.role,
    commonName: certificate.subject.commonName ?? plan.name,
    certificatePath,
    ...(pkcs8 === undefined ? {} : { keyPath }),
    names: plan.hosts,
    notAfter: new Date(certificate.notAfterMs).toISOString(),
  };
}

/** Never leaves half a file, nor a key in a file that was readable for others before. */
function replace(path: string, text: string, mode: number): void {
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode, flag: "wx" });
  renameSync(draft, path);
}

function refused(option: string, fault: string): UsageError {
  return new UsageError("ERR_OPTION_INVALID", `--${option}: ${fault}`, { option });
}
