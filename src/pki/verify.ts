import type { CryptoProvider, VerifyingKey } from "../crypto/provider.ts";
import { TrustError } from "../protocol/errors.ts";
import { MD5_WITH_RSA } from "./algorithm.ts";
import { bySubject, type TrustAnchors } from "./anchors.ts";
import { type Certificate, sameBytes, tailKey } from "./certificate.ts";
import { ComparisonBudget, checkConstraints } from "./constraints.ts";
import type { GeneralName } from "./general-name.ts";
import { matchesName, parseReference } from "./name.ts";
import { RecentMap } from "./recent.ts";
import {
  checkAny,
  checkIssuer,
  checkLeaf,
  checkValidity,
  countIntermediates,
  invalid,
  isSelfIssued,
  nameOf,
  type Purpose,
  unsupported,
} from "./rules.ts";

/** What is to be verified. */
export interface VerifyRequest {
  readonly provider: CryptoProvider;
  /** As the peer sent it: its own certificate first, the others in any order, unneeded ones allowed. RFC 9846 §4.5.1. */
  readonly chain: readonly Certificate[];
  readonly anchors: TrustAnchors;
  /** Which end the peer is. */
  readonly purpose: Purpose;
  /** Host name or IP address that the certificate must carry; none is asked for when absent. */
  readonly name?: string | undefined;
  readonly nowMs: number;
  /** How many CA certificates may stand between leaf and anchor, self-issued ones not counted. Default 8. */
  readonly maxDepth?: number | undefined;
}

/** Proof that a chain was verified; only this file makes one. */
export type VerifiedPath = Path;

/** Bounds on what a peer can make us compute. */
export const limits = { chainCertificates: 32, signatureChecks: 64, depth: 8 } as const;

/**
 * Finds a path from the peer's certificate to an anchor and checks it all (RFC 5280 §6, RFC 9525).
 * Throws a TrustError whose alert fits the fault (RFC 9846 §6.2), or a UsageError for a `name` that is none.
 */
export function verifyChain(request: VerifyRequest): VerifiedPath {
  const { provider, chain, purpose, nowMs } = request;
  const reference = request.name === undefined ? undefined : parseReference(request.name);
  const [leaf] = chain;
  if (leaf === undefined)
    throw new TrustError("ERR_CERT_REQUIRED", "certificate_required", "the peer sent no certificate");
  if (chain.length > limits.chainCertificates) {
    const message = `the peer sent ${chain.length} certificates; ${limits.chainCertificates} are accepted`;
    throw new TrustError("ERR_CERT_INVALID", "bad_certificate", message);
  }
  checkAny(leaf, purpose, nowMs);
  checkLeaf(leaf);
  const key = provider.verifyingKey(leaf.spki);
  if (key === undefined) throw unsupported(leaf, "has a key that is not supported or no valid key");
  const path = new Search(request).from(leaf);
  if (reference !== undefined && !matchesName(leaf, reference)) {
    const message = `the certificate ${nameOf(leaf)} is not for ${request.name} but for ${namesOf(leaf)}`;
    throw new TrustError("ERR_CERT_NAME_MISMATCH", "certificate_unknown", message);
  }
  return new Path({ chain: path, key, purpose, name: request.name });
}

/**
 * Verified paths by all that was asked: chain, name, purpose, anchors, depth and provider. Bounded per set of anchors;
 * the least recently used goes first. Validity is checked afresh at every use.
 */
export class VerifiedPathCache {
  readonly #byAnchors = new WeakMap<TrustAnchors, RecentMap<string, Known>>();
  readonly #limit: number;

  /** `limit` is how many paths are kept for each set of anchors. */
  constructor(limit = 256) {
    this.#limit = limit;
  }

  /** As `verifyChain`, whose signatures it spares when the same was verified before. */
  verify(request: VerifyRequest): VerifiedPath {
    const [leaf] = request.chain;
    if (leaf === undefined) return verifyChain(request);
    const paths = this.#pathsFor(request.anchors);
    const key = `${tailKey(leaf.der)}\0${request.purpose}\0${request.maxDepth ?? ""}\0${request.name ?? "\0"}`;
    const known = paths.get(key);
    if (known !== undefined && known.provider === request.provider && sameChain(known.sent, request.chain)) {
      if (isCurrent(known.path, request.nowMs)) return known.path;
      paths.delete(key); // Another path may still be in force.
    }
    const path = verifyChain(request);
    paths.set(key, { path, sent: [...request.chain], provider: request.provider });
    return path;
  }

  #pathsFor(anchors: TrustAnchors): RecentMap<string, Known> {
    let paths = this.#byAnchors.get(anchors);
    if (paths === undefined) {
      paths = new RecentMap(this.#limit);
      this.#byAnchors.set(anchors, paths);
    }
    return paths;
  }
}

interface Known {
  readonly path: VerifiedPath;
  readonly sent: readonly Certificate[];
  readonly provider: CryptoProvider;
}

function sameChain(a: readonly Certificate[], b: readonly Certificate[]): boolean {
  if (a.length !== b.length) return false;
  return a.every(({ der }, at) => {
    const other = b[at];
    return other !== undefined && sameBytes(der, other.der);
  });
}

function isCurrent({ chain }: VerifiedPath, nowMs: number): boolean {
  try {
    for (const certificate of chain) checkValidity(certificate, nowMs);
    return true;
  } catch {
    return false;
  }
}

/** Not exported itself: whoever holds one got it from `verifyChain`. */
class Path {
  /** Leaf first, anchor last; the leaf alone when it is an anchor itself. */
  readonly chain: readonly Certificate[];
  readonly leaf: Certificate;
  readonly anchor: Certificate;
  /** The leaf's key, for CertificateVerify. */
  readonly key: VerifyingKey;
  readonly purpose: Purpose;
  /** The name that was asked for and matched. */
  readonly name: string | undefined;
  /** Makes the type nominal: an object of the same shape is no proof. */
  declare protected readonly proof: true;

  constructor(fields: {
    chain: readonly [Certificate, ...Certificate[]];
    key: VerifyingKey;
    purpose: Purpose;
    name: string | undefined;
  }) {
    this.chain = Object.freeze(fields.chain);
    this.leaf = fields.chain[0];
    this.anchor = fields.chain.at(-1) ?? fields.chain[0];
    this.key = fields.key;
    this.purpose = fields.purpose;
    this.name = fields.name;
    Object.freeze(this);
  }
}

type NonEmptyPath = readonly [Certificate, ...Certificate[]];

/** One depth-first search for a path, with its budgets and the first fault met on the way. */
class Search {
  readonly #request: VerifyRequest;
  readonly #pool: ReadonlyMap<string, readonly Certificate[]>;
  readonly #maxDepth: number;
  readonly #comparisons = new ComparisonBudget();
  #signatureChecks = 0;
  #fault: TrustError | undefined;

  constructor(request: VerifyRequest) {
    this.#request = request;
    this.#pool = bySubject(request.chain.slice(1));
    this.#maxDepth = request.maxDepth ?? limits.depth;
  }

  from(leaf: Certificate): NonEmptyPath {
    const trusted = this.#request.anchors.bySubject.get(leaf.subject.key) ?? [];
    if (trusted.some(({ der }) => sameBytes(der, leaf.der))) return [leaf];
    const path = this.#extend([leaf]);
    if (path !== undefined) return path;
    throw this.#fault ?? untrusted(leaf, this.#request.chain);
  }

  #extend(path: NonEmptyPath): NonEmptyPath | undefined {
    const tip = path.at(-1) ?? path[0];
    for (const anchor of this.#issuersIn(this.#request.anchors.bySubject, tip)) {
      const whole: NonEmptyPath = [...path, anchor];
      if (
        this.#passes(() => this.#checkStep(anchor, path, true)) &&
        this.#passes(() => this.#checkNames(whole))
      ) {
        return whole;
      }
    }
    for (const issuer of this.#issuersIn(this.#pool, tip)) {
      const longer: NonEmptyPath = [...path, issuer];
      if (isRepeated(issuer, path) || countIntermediates(longer) > this.#maxDepth) continue;
      if (
        longer.length > limits.chainCertificates ||
        !this.#passes(() => this.#checkStep(issuer, path, false))
      )
        continue;
      const found = this.#extend(longer);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Candidates for having issued `tip`, those whose key identifier agrees first. */
  #issuersIn(among: ReadonlyMap<string, readonly Certificate[]>, tip: Certificate): readonly Certificate[] {
    const candidates = among.get(tip.issuer.key) ?? [];
    const wanted = tip.authorityKeyId;
    if (candidates.length < 2 || wanted === undefined) return candidates;
    const agrees = ({ subjectKeyId }: Certificate) =>
      subjectKeyId !== undefined && sameBytes(subjectKeyId, wanted);
    return [...candidates.filter(agrees), ...candidates.filter((candidate) => !agrees(candidate))];
  }

  #passes(check: () => void): boolean {
    try {
      check();
      return true;
    } catch (error) {
      if (!(error instanceof TrustError) || this.#isExhausted()) throw error;
      this.#fault ??= error;
      return false;
    }
  }

  /** Then the whole search ends, not one branch alone. */
  #isExhausted(): boolean {
    return this.#signatureChecks > limits.signatureChecks;
  }

  #checkStep(issuer: Certificate, path: NonEmptyPath, isAnchor: boolean): void {
    checkAny(issuer, this.#request.purpose, this.#request.nowMs);
    checkIssuer(issuer, path, isAnchor);
    this.#checkSignature(path.at(-1) ?? path[0], issuer);
  }

  #checkSignature(certificate: Certificate, issuer: Certificate): void {
    const { algorithm, oid, bytes } = certificate.signature;
    if (algorithm === undefined) {
      // RFC 9846 §4.5.1.3 asks for an alert of its own where MD5 is met.
      const refusal = oid === MD5_WITH_RSA ? invalid : unsupported;
      throw refusal(certificate, `is signed by an algorithm that is not accepted (${oid})`);
    }
    this.#signatureChecks += 1;
    if (this.#isExhausted()) {
      throw new TrustError(
        "ERR_CERT_UNTRUSTED",
        "unknown_ca",
        "the peer's certificates allow too many paths to try",
      );
    }
    const key = this.#request.provider.verifyingKey(issuer.spki);
    if (key === undefined) throw unsupported(issuer, "has a key that is not supported or no valid key");
    if (!key.verify(algorithm, certificate.tbs, bytes))
      throw invalid(certificate, `is not signed by ${nameOf(issuer)}`);
  }

  /** Every CA's constraints against every certificate beneath it. RFC 5280 §6.1.3 (b), (c). */
  #checkNames(path: NonEmptyPath): void {
    for (const [at, { nameConstraints }] of path.entries()) {
      if (nameConstraints === undefined) continue;
      for (const [below, certificate] of path.slice(0, at).entries()) {
        if (below > 0 && isSelfIssued(certificate)) continue;
        const names = { names: constrainedNames(certificate), subject: nameOf(certificate) };
        checkConstraints(nameConstraints, names, this.#comparisons);
      }
    }
  }
}

/** RFC 5280 §4.2.1.10: the alternative names, the subject, and its mailbox where no alternative names exist. */
function constrainedNames({ subject, subjectAltNames }: Certificate): readonly GeneralName[] {
  const names = [...subjectAltNames];
  if (subject.attributes.length > 0) names.push({ form: "directory", name: subject });
  if (subjectAltNames.length > 0) return names;
  for (const { type, value } of subject.attributes) {
    if (type === "emailAddress") names.push({ form: "email", text: value });
  }
  return names;
}

/** Whether the path already passed through this CA, by name and key: going round again cannot help. */
function isRepeated(issuer: Certificate, path: NonEmptyPath): boolean {
  return path.some(({ subject, spki }) => subject.key === issuer.subject.key && sameBytes(spki, issuer.spki));
}

function untrusted(leaf: Certificate, chain: readonly Certificate[]): TrustError {
  const last = chain.at(-1) ?? leaf;
  const message = isSelfIssued(leaf)
    ? `the certificate ${nameOf(leaf)} is self-signed and not among the trusted ones`
    : `no trusted CA issued the certificate ${nameOf(leaf)} (its chain ends at an issuer "${last.issuer.text}")`;
  return new TrustError("ERR_CERT_UNTRUSTED", "unknown_ca", message);
}

function namesOf({ dnsNames, ipAddresses }: Certificate): string {
  const addresses = ipAddresses.map((octets) => (octets.length === 4 ? octets.join(".") : "an IPv6 address"));
  return (
    [...dnsNames, ...addresses]
      .slice(0, 8)
      .map((name) => JSON.stringify(name))
      .join(", ") || "no name at all"
  );
}
