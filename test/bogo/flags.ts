/** The runner's flags, as a table from each to the field that it sets. */
import type { AlertName } from "../../src/protocol/alert.ts";
import { TrustError } from "../../src/protocol/errors.ts";
import { CipherSuite, NamedGroup, SignatureScheme } from "../../src/protocol/iana.ts";
import { COMPRESSORS } from "./compressors.ts";

/** What one `-new-…-credential` and the flags behind it describe, or the flags before any of them. */
export interface CredentialFlags {
  readonly type: "default" | "delegated" | "x509" | "psk" | "rawPublicKey";
  certFile?: string;
  keyFile?: string;
  signingPrefs: number[];
  mustMatchIssuer?: boolean;
  ocspResponse?: Uint8Array;
  delegated?: Uint8Array;
  /** As on the wire, with its length in front. */
  timestamps?: Uint8Array;
  pskKey?: Uint8Array;
  pskIdentity?: Uint8Array;
  pskContext?: Uint8Array;
  pskHash?: "sha256" | "sha384";
}

/** One connection's settings. */
export interface Flags {
  port: number;
  ipv6: boolean;
  shimId: bigint;
  resumeCount: number;
  server: boolean;
  credentials: CredentialFlags[];
  trustCert?: string;
  async: boolean;
  groups: number[];
  /** 1 for each that ranks equal with the next one. */
  groupFlags: number[];
  keyShares?: number[];
  verifyPrefs: number[];
  policy?: keyof typeof POLICIES;
  hostName?: string;
  advertiseAlpn?: string;
  selectAlpn?: string;
  declineAlpn: boolean;
  rejectAlpn: boolean;
  verifyPeer: boolean;
  verifyFail: boolean;
  reverifyOnResume: boolean;
  acceptedTypes: number[];
  availableTypes: number[];
  customVerify: boolean;
  /** What a server says to every ClientHello. */
  rejectsHello?: () => Error;
  requireClientCertificate: boolean;
  clientCaList?: string;
  requestOcsp: boolean;
  declineOcsp: boolean;
  failOcsp: boolean;
  expectOcsp?: string;
  /** Algorithms for certificates, by number; none where the runner names none. */
  certificateCompression: number[];
  grease: boolean;
  permuteExtensions: boolean;
  requestTimestamps: boolean;
  expectTimestamps?: string;
  /** In seconds, where the connection resumes. */
  expectTicketAgeSkew?: number;
  noTicket: boolean;
  serverPreference: boolean;
  maxCertList?: number;
  maxSendFragment?: number;
  resumptionDelaySeconds: number;
  shimWritesFirst: boolean;
  initialWrite: string;
  initialWrites: number;
  readsBeforeWriting: boolean;
  shimShutsDown: boolean;
  checkCloseNotify: boolean;
  keyUpdate: boolean;
  keyUpdateBeforeRead: boolean;
  exportBytes: number;
  exportLabel: string;
  exportContext: string;
  useExportContext: boolean;
  exportTrafficSecrets: boolean;
  differentRecordSizes: boolean;
  expectVersion?: number;
  expectSessionMiss: boolean;
  expectNoSession: boolean;
  expectServerName?: string;
  expectAlpn?: string;
  expectAdvertisedAlpn?: string;
  expectScheme?: number;
  expectPeerSchemes: number[];
  expectGroup?: number;
  expectCipher?: number;
  expectRetry?: boolean;
  expectPeerCertFile?: string;
  expectNoPeerCert: boolean;
  expectPeerType?: number;
  expectPeerKeySha256?: string;
  expectCredential?: number;
  expectClientCaList?: string;
}

/** Suites, groups and signature schemes that the named policies allow. */
export const POLICIES = {
  "fips-202205": {
    suites: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
    groups: ["secp256r1", "secp384r1"],
    schemes: [
      "rsa_pkcs1_sha256",
      "rsa_pkcs1_sha384",
      "rsa_pkcs1_sha512",
      "ecdsa_secp256r1_sha256",
      "ecdsa_secp384r1_sha384",
      "rsa_pss_rsae_sha256",
      "rsa_pss_rsae_sha384",
      "rsa_pss_rsae_sha512",
    ],
  },
  "wpa-202304": {
    suites: ["TLS_AES_256_GCM_SHA384"],
    groups: ["secp384r1"],
    schemes: [
      "rsa_pkcs1_sha384",
      "rsa_pkcs1_sha512",
      "ecdsa_secp384r1_sha384",
      "rsa_pss_rsae_sha384",
      "rsa_pss_rsae_sha512",
    ],
  },
  "cnsa-202407": {
    suites: ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"],
    groups: ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"],
    schemes: ["ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"],
  },
  "cnsa1-202603": {
    suites: ["TLS_AES_256_GCM_SHA384"],
    groups: ["MLKEM1024", "secp384r1"],
    schemes: ["rsa_pkcs1_sha384", "ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha384"],
  },
  "cnsa2-202603": {
    suites: ["TLS_AES_256_GCM_SHA384"],
    groups: ["MLKEM1024"],
    schemes: ["rsa_pkcs1_sha384", "ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha384"],
  },
} as const satisfies Record<
  string,
  {
    suites: readonly (keyof typeof CipherSuite)[];
    groups: readonly (keyof typeof NamedGroup)[];
    schemes: readonly (keyof typeof SignatureScheme)[];
  }
>;

const initial = (): Flags => ({
  port: 0,
  ipv6: false,
  shimId: 0n,
  resumeCount: 0,
  server: false,
  credentials: [{ type: "default", signingPrefs: [] }],
  async: false,
  groups: [],
  groupFlags: [],
  verifyPrefs: [],
  declineAlpn: false,
  rejectAlpn: false,
  verifyPeer: false,
  verifyFail: false,
  reverifyOnResume: false,
  acceptedTypes: [],
  availableTypes: [],
  customVerify: false,
  requireClientCertificate: false,
  requestOcsp: false,
  declineOcsp: false,
  failOcsp: false,
  certificateCompression: [],
  grease: false,
  permuteExtensions: false,
  requestTimestamps: false,
  noTicket: false,
  serverPreference: false,
  resumptionDelaySeconds: 0,
  shimWritesFirst: false,
  initialWrite: "hello",
  initialWrites: 1,
  readsBeforeWriting: false,
  shimShutsDown: false,
  checkCloseNotify: false,
  keyUpdate: false,
  keyUpdateBeforeRead: false,
  exportBytes: 0,
  exportLabel: "",
  exportContext: "",
  useExportContext: false,
  exportTrafficSecrets: false,
  differentRecordSizes: false,
  expectSessionMiss: false,
  expectNoSession: false,
  expectPeerSchemes: [],
  expectNoPeerCert: false,
});

type Flag =
  | { readonly takes: "nothing"; readonly set: (flags: Flags) => void }
  | { readonly takes: "value"; readonly set: (flags: Flags, value: string) => void };

/** The fields of `Flags` that hold a T. */
type Of<T> = { [K in keyof Flags]-?: Exclude<Flags[K], undefined> extends T ? K : never }[keyof Flags];

const yes = (...fields: Of<boolean>[]): Flag => ({
  takes: "nothing",
  set: (flags) => {
    for (const field of fields) flags[field] = true;
  },
});
const text = (field: Of<string>): Flag => ({
  takes: "value",
  set: (flags, value) => {
    (flags as Record<Of<string>, string>)[field] = value;
  },
});
const number = (field: Of<number>): Flag => ({
  takes: "value",
  set: (flags, value) => {
    (flags as Record<Of<number>, number>)[field] = Number(value);
  },
});
const numbers = (field: Of<number[]>): Flag => ({
  takes: "value",
  set: (flags, value) => {
    (flags[field] ??= []).push(Number(value));
  },
});
const policy = (name: keyof typeof POLICIES): Flag => ({
  takes: "nothing",
  set: (flags) => {
    flags.policy = name;
  },
});
const credential = (type: CredentialFlags["type"]): Flag => ({
  takes: "nothing",
  set: (flags) => {
    flags.credentials.push({ type, signingPrefs: [] });
  },
});
const ofCredential = (set: (credential: CredentialFlags, value: string) => void): Flag => ({
  takes: "value",
  set: (flags, value) => set(flags.credentials.at(-1) as CredentialFlags, value),
});
const saysOfCredential = (set: (credential: CredentialFlags) => void): Flag => ({
  takes: "nothing",
  set: (flags) => set(flags.credentials.at(-1) as CredentialFlags),
});
const rejects = (alert: AlertName): Flag => ({
  takes: "nothing",
  set: (flags) => {
    flags.rejectsHello = () => new TrustError("ERR_CERT_REQUIRED", alert, "told to reject the hello");
  },
});
/** True of us whatever the flag says: a way of calling an API that we do not have twice, or an older version. */
const nothing: Flag = { takes: "nothing", set: () => undefined };

/** A version above which or below which we would have to speak another protocol. */
const version = (accepts: (version: number) => boolean): Flag => ({
  takes: "value",
  set: (_, value) => {
    if (!accepts(Number(value))) throw new Unimplemented(`a version limit of ${value}`);
  },
});

/** What the runner asks for and this shim does not do. */
export class Unimplemented extends Error {}

const TLS13 = 0x0304;
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

const TABLE: Readonly<Record<string, Flag>> = {
  "-port": number("port"),
  "-ipv6": yes("ipv6"),
  "-shim-id": {
    takes: "value",
    set: (flags, value) => {
      flags.shimId = BigInt(value);
    },
  },
  "-resume-count": number("resumeCount"),
  "-server": yes("server"),
  "-async": yes("async"),

  "-new-x509-credential": credential("x509"),
  "-new-psk-credential": credential("psk"),
  "-new-rpk-credential": credential("rawPublicKey"),
  "-cert-file": ofCredential((it, value) => {
    it.certFile = value;
  }),
  "-key-file": ofCredential((it, value) => {
    it.keyFile = value;
  }),
  "-signing-prefs": ofCredential((it, value) => it.signingPrefs.push(Number(value))),
  "-must-match-issuer": saysOfCredential((it) => {
    it.mustMatchIssuer = true;
  }),
  "-psk-importer-key": ofCredential((it, value) => {
    it.pskKey = bytes(value);
  }),
  "-psk-importer-identity": ofCredential((it, value) => {
    it.pskIdentity = bytes(value);
  }),
  "-psk-importer-context": ofCredential((it, value) => {
    it.pskContext = bytes(value);
  }),
  "-psk-importer-sha256": saysOfCredential((it) => {
    it.pskHash = "sha256";
  }),
  "-psk-importer-sha384": saysOfCredential((it) => {
    it.pskHash = "sha384";
  }),

  "-ocsp-response": ofCredential((it, value) => {
    it.ocspResponse = bytes(value);
  }),
  "-new-delegated-credential": credential("delegated"),
  "-delegated-credential": ofCredential((it, value) => {
    it.delegated = bytes(value);
  }),
  "-signed-cert-timestamps": ofCredential((it, value) => {
    it.timestamps = bytes(value);
  }),
  "-enable-signed-cert-timestamps": yes("requestTimestamps"),
  "-expect-signed-cert-timestamps": text("expectTimestamps"),
  "-enable-ocsp-stapling": yes("requestOcsp"),
  "-decline-ocsp-callback": yes("declineOcsp"),
  "-fail-ocsp-callback": yes("failOcsp"),
  "-expect-ocsp-response": text("expectOcsp"),

  "-trust-cert": text("trustCert"),
  "-verify-peer": yes("verifyPeer"),
  "-verify-fail": yes("verifyFail"),
  "-reverify-on-resume": yes("reverifyOnResume"),
  "-use-custom-verify-callback": yes("customVerify"),
  "-accepted-peer-cert-types": numbers("acceptedTypes"),
  "-available-client-cert-types": numbers("availableTypes"),
  "-fail-early-callback": rejects("handshake_failure"),
  "-fail-ddos-callback": rejects("internal_error"),
  "-fail-cert-callback": rejects("internal_error"),
  "-require-any-client-certificate": yes("requireClientCertificate"),
  "-use-client-ca-list": text("clientCaList"),
  "-max-cert-list": number("maxCertList"),
  "-max-send-fragment": number("maxSendFragment"),

  "-curves": numbers("groups"),
  "-curves-flags": numbers("groupFlags"),
  "-key-shares": numbers("keyShares"),
  "-no-key-shares": {
    takes: "nothing",
    set: (flags) => {
      flags.keyShares = [];
    },
  },
  "-verify-prefs": numbers("verifyPrefs"),
  "-fips-202205": policy("fips-202205"),
  "-wpa-202304": policy("wpa-202304"),
  // It is an order of suites, and the server's.
  "-cnsa-202407": {
    takes: "nothing",
    set: (flags) => {
      flags.policy = "cnsa-202407";
      flags.serverPreference = true;
    },
  },
  "-cnsa1-202603": policy("cnsa1-202603"),
  "-cnsa2-202603": policy("cnsa2-202603"),
  "-server-preference": yes("serverPreference"),
  "-min-version": version((least) => least <= TLS13),
  "-max-version": version((most) => most >= TLS13),

  "-enable-grease": yes("grease"),
  "-permute-extensions": yes("permuteExtensions"),
  "-install-cert-compression-algs": {
    takes: "nothing",
    set: (flags) => {
      flags.certificateCompression = COMPRESSORS.map(({ algorithm }) => algorithm);
    },
  },
  "-install-one-cert-compression-alg": numbers("certificateCompression"),

  "-host-name": text("hostName"),
  "-advertise-alpn": text("advertiseAlpn"),
  "-select-alpn": text("selectAlpn"),
  "-decline-alpn": yes("declineAlpn"),
  "-reject-alpn": yes("rejectAlpn"),
  "-no-ticket": yes("noTicket"),
  // As every server of ours does: who resumes is given another ticket.
  "-renew-ticket": nothing,
  "-skip-ticket": yes("noTicket"),
  "-expect-ticket-age-skew": number("expectTicketAgeSkew"),
  "-resumption-delay": number("resumptionDelaySeconds"),

  "-shim-writes-first": yes("shimWritesFirst"),
  "-shim-initial-write": text("initialWrite"),
  "-read-with-unfinished-write": yes("shimWritesFirst", "readsBeforeWriting"),
  "-repeat-shim-initial-write": number("initialWrites"),
  "-shim-shuts-down": yes("shimShutsDown"),
  "-check-close-notify": yes("checkCloseNotify"),
  "-key-update": yes("keyUpdate"),
  "-key-update-before-read": yes("keyUpdateBeforeRead"),
  "-export-keying-material": number("exportBytes"),
  "-export-label": text("exportLabel"),
  "-export-context": text("exportContext"),
  "-use-export-context": yes("useExportContext"),
  "-export-traffic-secrets": yes("exportTrafficSecrets"),
  "-write-different-record-sizes": yes("differentRecordSizes"),

  "-expect-version": number("expectVersion"),
  "-expect-session-miss": yes("expectSessionMiss"),
  "-expect-no-session": yes("expectNoSession"),
  "-expect-server-name": text("expectServerName"),
  "-expect-alpn": text("expectAlpn"),
  "-expect-advertised-alpn": text("expectAdvertisedAlpn"),
  "-expect-peer-signature-algorithm": number("expectScheme"),
  "-expect-peer-verify-pref": numbers("expectPeerSchemes"),
  "-expect-curve-id": number("expectGroup"),
  "-expect-cipher": number("expectCipher"),
  "-expect-cipher-aes": number("expectCipher"),
  "-expect-hrr": {
    takes: "nothing",
    set: (flags) => {
      flags.expectRetry = true;
    },
  },
  "-expect-no-hrr": {
    takes: "nothing",
    set: (flags) => {
      flags.expectRetry = false;
    },
  },
  "-expect-peer-cert-file": text("expectPeerCertFile"),
  "-expect-no-peer-cert": yes("expectNoPeerCert"),
  "-expect-peer-certificate-type": number("expectPeerType"),
  "-expect-peer-rpk-sha256": text("expectPeerKeySha256"),
  "-expect-selected-credential": number("expectCredential"),
  "-expect-client-ca-list": text("expectClientCaList"),

  // The same question to us, whichever of the runner's callbacks it names.
  "-use-old-client-cert-callback": nothing,
  "-use-early-callback": nothing,
  "-use-ocsp-callback": nothing,
  "-set-ocsp-in-callback": nothing,
  "-install-ddos-callback": nothing,
  "-use-ticket-callback": nothing,
  "-use-ticket-aead-callback": nothing,
  "-expect-verify-result": nothing,
  // There is nothing here to call by hand, to read in another size or to look at before it is read.
  "-implicit-handshake": nothing,
  "-no-op-extra-handshake": nothing,
  "-peek-then-read": nothing,
  "-read-size": { takes: "value", set: () => undefined },
  // Early data, which we neither send nor take: the connection is one round trip longer.
  "-enable-early-data": nothing,
  "-expect-early-data-reason": { takes: "value", set: () => undefined },
  "-expect-reject-early-data": nothing,
  // Of versions and suites that we never speak.
  "-no-tls1": nothing,
  "-no-tls11": nothing,
  "-no-tls12": nothing,
  "-no-legacy-server-connect": nothing,
  "-cipher": { takes: "value", set: () => undefined },
  "-expect-extended-master-secret": nothing,
  "-expect-secure-renegotiation": nothing,
  "-expect-no-session-id": nothing,
  "-expect-cipher-no-aes": { takes: "value", set: () => undefined },
};

/** The settings of the first connection and of those that resume it. Throws Unimplemented for an unknown flag. */
export function parseFlags(args: readonly string[]): { readonly first: Flags; readonly resumed: Flags } {
  const first = initial();
  const resumed = initial();
  for (let at = 0; at < args.length; at++) {
    let name = args[at] as string;
    const forHandshaker = name.startsWith("-on-handshaker-");
    name = name.replace(/^-on-(shim|handshaker)-/, "-");
    const only = /^-on-(initial|resume|retry)-/.exec(name)?.[1];
    name = name.replace(/^-on-(initial|resume|retry)-/, "-");
    const flag = Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
    if (flag === undefined) throw new Unimplemented(name);
    const value = flag.takes === "value" ? (args[++at] ?? "") : "";
    if (forHandshaker) continue;
    if (only === undefined || only === "initial") flag.set(first, value);
    if (only === undefined || only === "resume") flag.set(resumed, value);
  }
  return { first, resumed };
}
