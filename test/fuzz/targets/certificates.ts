/** Certificates, changed after they were signed and before; and PEM. The first byte picks which of these it is. */
import { expect } from "vitest";
import { concat, equal, utf8 } from "../../../src/protocol/bytes.ts";
import { TrustError, UsageError } from "../../../src/protocol/errors.ts";
import { signatureIdentifier } from "../../../src/pki/algorithm.ts";
import { trustAnchors } from "../../../src/pki/anchors.ts";
import { parseCertificate, type Certificate } from "../../../src/pki/certificate.ts";
import { certificatesFromPem, pemBlocks, privateKeyFromPem, toPem } from "../../../src/pki/pem.ts";
import { verifyChain } from "../../../src/pki/verify.ts";
import { anchorsOf, authority, issue, now, provider, server } from "../../pki/bed.ts";
import type { Target } from "../guided/search.ts";

const root = authority();
/** May issue for one domain and one network only, and says so. */
const constrained = issue(root, {
  subject: { CN: "issuer", O: "Example", C: "CH" },
  isCa: true,
  pathLength: 0,
  extensions: [
    {
      oid: "2.5.29.30",
      critical: true,
      value: wrapped(
        0x30,
        wrapped(
          0xa0,
          subtree(0x82, utf8("example")),
          subtree(0x87, Uint8Array.of(192, 0, 2, 0, 255, 255, 255, 0)),
        ),
        wrapped(0xa1, subtree(0x82, utf8("bad.example"))),
      ),
    },
  ],
});
const wishes = { ...server, dnsNames: ["server.example", "*.example"], ipAddresses: ["192.0.2.1"] };
const leaf = issue(constrained, { ...wishes, uris: ["urn:sae:a"] });
const others = [issue(root, server, "ed25519"), issue(root, server, "rsa"), issue(root, server, "ml-dsa-44")];
const anchors = anchorsOf(root);
const genuine = [root, constrained, leaf, ...others].map(({ certificate }) => certificate);

/** A general name of a tag within name constraints. */
function subtree(tag: number, name: Uint8Array): Uint8Array {
  return wrapped(0x30, wrapped(tag, name));
}

/** DER around a body. */
function wrapped(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  const size = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return concat([Uint8Array.of(tag, ...size), body]);
}

/** As a CA that signs whatever it is given. */
function signed(tbs: Uint8Array, by = root.key): Uint8Array {
  const signature = by.sign("ecdsa-sha256", tbs);
  return wrapped(0x30, tbs, signatureIdentifier("ecdsa-sha256"), wrapped(0x03, Uint8Array.of(0), signature));
}

function parsed(der: Uint8Array): Certificate | undefined {
  try {
    const certificate = parseCertificate(der);
    expect(equal(certificate.der, der)).toBe(true);
    return certificate;
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    expect(error).toMatchObject({ code: "ERR_CERT_INVALID", alert: "bad_certificate" });
    return undefined;
  }
}

/** The path, or undefined where the chain is not trusted. */
function verified(chain: readonly Certificate[], trusted = anchors): readonly Certificate[] | undefined {
  try {
    return verifyChain({
      provider,
      chain,
      anchors: trusted,
      purpose: "server",
      name: "server.example",
      nowMs: now,
    }).chain;
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    return undefined;
  }
}

/** Nobody signed what was changed: all that is believed was said by the CA. */
function changedAfterwards(der: Uint8Array): void {
  const certificate = parsed(der);
  if (certificate === undefined) return;
  for (const chain of [
    [certificate, constrained.certificate],
    [leaf.certificate, certificate],
  ]) {
    for (const each of verified(chain) ?? []) {
      expect(genuine.some(({ tbs }) => equal(tbs, each.tbs))).toBe(true);
    }
  }
  // As an anchor it may say what it likes; the search has to end all the same.
  verified([leaf.certificate, constrained.certificate], trustAnchors([certificate]));
}

/** The CA signed it, however odd it is; as the leaf, and as the issuer of the leaf. */
function signedAsItIs(tbs: Uint8Array): void {
  const certificate = parsed(signed(tbs));
  if (certificate === undefined) return;
  verified([certificate, constrained.certificate]);
  const path = verified([leaf.certificate, certificate]);
  if (path !== undefined) expect(equal(path[0]!.der, leaf.certificate.der)).toBe(true);
}

/** The issuer that the CA limited goes beyond it: no other name than it may give is believed. */
function signedByLimited(tbs: Uint8Array): void {
  const certificate = parsed(signed(tbs, constrained.key));
  if (certificate === undefined || verified([certificate, constrained.certificate]) === undefined) return;
  for (const name of certificate.dnsNames) {
    expect(name.toLowerCase()).toMatch(/(^|\.)example\.?$/);
    expect(name.toLowerCase()).not.toMatch(/(^|\.)bad\.example\.?$/);
  }
  for (const octets of certificate.ipAddresses) expect([...octets.subarray(0, 3)]).toEqual([192, 0, 2]);
}

function asPem(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString("latin1");
  for (const read of [pemBlocks, certificatesFromPem, privateKeyFromPem]) {
    try {
      read(text, "cert");
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      expect(error.code).toBe("ERR_FILE_INVALID");
    }
  }
}

const WAYS = [changedAfterwards, signedAsItIs, signedByLimited, asPem];
const seed = (way: (typeof WAYS)[number], bytes: Uint8Array): Uint8Array =>
  concat([Uint8Array.of(WAYS.indexOf(way)), bytes]);

export const certificates: Target = {
  name: "certificates",
  seeds: () => [
    ...genuine.flatMap(({ der, tbs }) => [seed(changedAfterwards, der), seed(signedAsItIs, tbs)]),
    seed(signedByLimited, leaf.certificate.tbs),
    seed(
      asPem,
      utf8(`text\n${toPem("CERTIFICATE", root.certificate.der)}${toPem("PRIVATE KEY", root.pkcs8)}`),
    ),
  ],
  run: (input) => WAYS[(input[0] ?? 0) % WAYS.length]!(input.subarray(1)),
  cheap: true,
};
