/** The handshakes that a search begins with: those that other tests change, and all else that two ends may agree on. */
// Before what it stands in for is loaded.
import { afterwards, scenarios, sealer } from "../scenarios.ts";
import { generateKeyPair } from "../../../src/crypto/node-generate.ts";
import type { Question } from "../../../src/handshake/question.ts";
import { compressorsNamed } from "../../../src/node/certificate-compression.ts";
import { issueDelegatedCredential, loadDelegatedIdentity } from "../../../src/pki/delegated-credential.ts";
import { DELEGATION_USAGE } from "../../../src/pki/extensions.ts";
import { loadRawIdentity } from "../../../src/pki/identity.ts";
import { equal, toHex } from "../../../src/protocol/bytes.ts";
import { authority, issue, server } from "../../pki/bed.ts";
import { credentials, provider, type Credentials } from "../../support/credentials.ts";
import { Pair, saes, withQkd, type PairOptions, type Side } from "../../support/pair.ts";

const raw = loadRawIdentity(provider, credentials("ed25519").keyPem);
const psks = [{ identity: "them", key: new Uint8Array(32).fill(7) }];
const classical = {
  groups: ["x25519", "secp256r1"],
  policy: { mlkem: "off", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;

const modes = {
  policy: { ecdh: "preferred", mlkem: "preferred", qkd: "off" },
  dangerous: { allowClassical: true },
} as const;

const DAY_MS = 86_400_000;
const owner = issue(authority(), {
  ...server,
  notBeforeMs: Date.now() - DAY_MS,
  notAfterMs: Date.now() + 30 * DAY_MS,
  extensions: [{ oid: DELEGATION_USAGE, critical: false, value: Uint8Array.of(5, 0) }],
});

/** A key for a day, to be shown in this role; made once. */
const delegations = new Map<Side, ReturnType<typeof loadDelegatedIdentity>>();
function delegated(signer: Side): ReturnType<typeof loadDelegatedIdentity> {
  const known = delegations.get(signer);
  if (known !== undefined) return known;
  const { spki, pkcs8 } = generateKeyPair("ed25519");
  const delegatedCredential = issueDelegatedCredential({
    signer,
    leaf: owner.certificate,
    signingKey: owner.key,
    spki,
    notAfterMs: Date.now() + DAY_MS,
    algorithm: "ecdsa_secp256r1_sha256",
    scheme: "ed25519",
  });
  const cert = owner.certificate.der;
  const identity = loadDelegatedIdentity(provider, { cert, key: pkcs8, delegatedCredential });
  delegations.set(signer, identity);
  return identity;
}

/** Of an object of its own, since what was compressed is kept with it. */
const stapled = {
  ocspResponse: Uint8Array.of(1, 2, 3),
  signedCertificateTimestampList: [Uint8Array.of(4, 5), Uint8Array.of(6)],
};
const rsa = () => ({ ...credentials("rsa").identity, ...stapled });
const ecdsa = () => ({ ...credentials().identity, ...stapled });
const certificateCompression = compressorsNamed(["zlib", "brotli"]);

/** What the hosts of the two ends keep and know. */
const kept = new Map<string, Uint8Array>();
function host(side: Side, question: Question): unknown {
  switch (question.ask) {
    case "verify_peer":
      return verdictOn(question.chain);
    case "load_ticket":
      return kept.get(toHex(question.ticket));
    case "find_psk":
      return { identity: question.identity, key: new Uint8Array(32).fill(7), hash: "sha256" };
    case "find_ocsp_response":
      return Uint8Array.of(3, 2, 1);
    case "sign":
      return (side === "client" ? credentials() : credentials("rsa")).identity.key.sign(
        question.algorithm,
        question.message,
      );
    // As the pair answers them.
    case "choose_client_identity":
    case "choose_identity":
    case "draw_qkd_key":
    case "redeem_qkd_key":
      return undefined;
  }
}

/** Raw keys and certificates that may delegate are known by heart; the others are verified. */
function verdictOn([leaf]: readonly Uint8Array[]): unknown {
  const isKnown = [raw.chain[0], owner.certificate.der].some((known) => equal(known, leaf!));
  return isKnown ? { authorized: true } : undefined;
}

const external = (of: Credentials) => ({ ...of.identity, key: "external" as const });
let storedSession: Uint8Array | undefined;

/** A server whose sessions, keys and answers are its host's, and a client whose key is, too. */
const asking = (): PairOptions => ({
  client: { ...classical, credentials: [external(credentials())], requestOCSP: true },
  server: {
    ...classical,
    credentials: [external(credentials("rsa"))],
    asksForIdentity: true,
    asksForOcsp: true,
    asksForPsk: true,
    clientAuth: "request",
    tickets: { count: 1 },
  },
  wire: { onQuestion: host },
});

export interface Handshake {
  readonly name: string;
  readonly options: () => PairOptions;
}

export const handshakes: readonly Handshake[] = [
  ...scenarios,
  afterwards,
  {
    name: "all that may be asked for",
    options: () => ({
      client: {
        ...withQkd.client,
        groups: ["x25519", "secp256r1"],
        policy: { mlkem: "off", qkd: "preferred" },
        dangerous: { allowClassical: true },
        alpn: ["h2", "http/1.1"],
        requestOCSP: true,
        requestSCT: true,
        keyLog: true,
        permuteExtensions: true,
        credentials: [ecdsa()],
        certificateCompression,
        grease: true,
        recordSizeLimit: 100,
      },
      server: {
        ...withQkd.server,
        ...classical,
        groups: ["secp256r1"],
        policy: { mlkem: "off", qkd: "preferred" },
        alpn: ["http/1.1"],
        credentials: [rsa()],
        certificateCompression,
        grease: true,
        clientAuth: "request",
        requestSCT: true,
        padding: 50,
        certificateAuthorities: [credentials().ca.subject.der],
        tickets: { sealer },
        demandsCookie: true,
        recordSizeLimit: 200,
      },
    }),
  },
  {
    name: "raw public keys on both sides",
    options: () => ({
      client: {
        ...classical,
        credentials: [raw],
        serverCertificateTypes: ["RawPublicKey", "X509"],
        clientCertificateTypes: ["RawPublicKey"],
      },
      server: {
        ...classical,
        credentials: [raw, credentials().identity],
        clientCertificateTypes: ["RawPublicKey", "X509"],
        clientAuth: "require",
        tickets: { sealer },
      },
      wire: { onQuestion: host },
    }),
  },
  {
    name: "psk_ke",
    options: () => ({
      client: { ...modes, groups: ["x25519"], psks, pskKe: true, authentication: "psk" },
      server: { ...modes, groups: ["secp384r1"], psks, pskKe: true, credentials: [] },
    }),
  },
  { name: "a host that is asked for everything", options: asking },
  {
    name: "resumption out of a store",
    options: () => {
      if (storedSession === undefined) {
        const pair = new Pair(asking()).run();
        for (const event of pair.events.server) {
          if (event.event === "store_ticket") kept.set(toHex(event.ticket), event.state);
        }
        storedSession = pair.session!;
      }
      const { client, ...others } = asking();
      return { ...others, client: { ...client, session: storedSession } };
    },
  },
  {
    name: "a pre-shared key that the host knows",
    options: () => {
      const { server, wire } = asking();
      const client = { ...classical, psks, authentication: "psk" } as const;
      return { client, server: { ...server!, clientAuth: "none", tickets: false }, wire: wire! };
    },
  },
  {
    name: "a raw QKD key alone",
    options: () => ({
      client: {
        groups: ["x25519"],
        policy: "qkd",
        qkd: { sae: saes.a, peer: saes.b, form: "raw", authenticates: true },
      },
      server: {
        groups: ["secp256r1", "x25519"],
        policy: "qkd",
        qkd: { sae: saes.b, form: "raw", authenticates: true },
        credentials: [],
      },
    }),
  },
  {
    name: "delegated credentials on both sides",
    options: () => ({
      client: { ...classical, acceptDelegatedCredentials: true, credentials: [delegated("client")] },
      server: {
        ...classical,
        acceptDelegatedCredentials: true,
        credentials: [delegated("server")],
        clientAuth: "require",
        tickets: { sealer },
      },
      wire: { onQuestion: host },
    }),
  },
];

/** Every leaf and raw key that belongs to anybody here, in hexadecimal. */
export const genuine: readonly string[] = [
  credentials().identity.chain[0]!,
  credentials("rsa").identity.chain[0]!,
  raw.chain[0],
  owner.certificate.der,
].map(toHex);
