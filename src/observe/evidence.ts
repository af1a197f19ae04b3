/** What protects a connection, as a record that logs, metrics and people can read. It holds no secret. */
import { fromUtf8, toHex } from "../protocol/bytes.ts";
import { primitivesOf } from "../crypto/groups.ts";
import type { CryptoProvider, Backend, PrimitiveName } from "../crypto/provider.ts";
import type { Authentication, Established, QkdFacts } from "../handshake/established.ts";
import type { Degradation, Standing } from "../handshake/policy.ts";

/** One of the three secrets: what policy asks, and whether the connection rests on it. */
export interface SecretEvidence {
  readonly standing: Standing;
  readonly present: boolean;
  /** The algorithm or the key source, when present. */
  readonly source?: string;
}

export interface PartyEvidence {
  readonly by: Authentication["by"];
  /** Signature scheme of CertificateVerify. */
  readonly scheme?: string;
  /** Readable PSK identity; hexadecimal when it is no text. */
  readonly pskIdentity?: string;
  /** Present when it signed with a key that its certificate delegated to. RFC 9345. */
  readonly delegated?: true;
  /** Certificates the party showed, now or in the connection that is resumed. */
  readonly certificates: number;
  /** SHA-256 of its own certificate (DER) or raw public key (SubjectPublicKeyInfo), in hexadecimal. */
  readonly sha256?: string;
}

/** The frozen record behind `socket.security`. */
export interface SecurityRecord {
  readonly protocol: "TLSv1.3";
  readonly role: "client" | "server";
  readonly suite: string;
  /** Null with psk_ke alone. */
  readonly group: string | null;
  readonly resumed: boolean;
  /**
   * On a server that resumed, how much older the client has its ticket than we do, else null. Far from zero its
   * ClientHello came late or again, or the clocks go apart. RFC 9846 §8.3.
   */
  readonly ticketAgeSkewMs: number | null;
  readonly retried: boolean;
  readonly secrets: {
    readonly ecdh: SecretEvidence;
    readonly mlkem: SecretEvidence;
    readonly qkd: SecretEvidence;
  };
  readonly qkd:
    | (Omit<QkdFacts, "kmes"> & {
        readonly kmes: { readonly source: string; readonly target: string } | null;
      })
    | null;
  /** True when a secret in this connection was made by a simulator. */
  readonly simulated: boolean;
  readonly authentication: {
    readonly local: PartyEvidence;
    readonly peer: PartyEvidence;
    readonly authorized: boolean;
    readonly authorizationError: string | null;
  };
  readonly policy: {
    readonly name: string;
    readonly ecdh: Standing;
    readonly mlkem: Standing;
    readonly qkd: Standing;
  };
  /** Preferred sources that this connection does without, for as long as it lives. */
  readonly degraded: readonly Degradation[];
  readonly serverName: string | null;
  readonly alpn: string | null;
  /** How often each direction has changed its traffic secret since the handshake. */
  readonly epochs: { readonly sent: number; readonly received: number };
  /** Which library computed each primitive in use. */
  readonly backends: Readonly<Partial<Record<PrimitiveName, Backend>>>;
}

/** The evidence of an established connection. */
export function evidence(
  established: Established,
  provider: CryptoProvider,
  epochs: { readonly sent: number; readonly received: number },
): SecurityRecord {
  const { group, qkd, policy, suite, local, peer, verdict } = established;
  const parts = group === undefined ? [] : primitivesOf(group.name);
  const used: PrimitiveName[] = [suite.hash, suite.aead, ...parts];
  return deepFreeze({
    protocol: "TLSv1.3",
    role: established.role,
    suite: suite.name,
    group: group?.name ?? null,
    resumed: established.resumed,
    ticketAgeSkewMs: established.ticketAgeSkewMs ?? null,
    retried: established.retried,
    secrets: {
      ecdh: secret(
        policy.ecdh,
        parts.find((name) => !name.startsWith("ml-kem")),
      ),
      mlkem: secret(
        policy.mlkem,
        parts.find((name) => name.startsWith("ml-kem")),
      ),
      qkd: secret(policy.qkd, qkd?.kind),
    },
    qkd: qkd === undefined ? null : { ...qkd, kmes: qkd.kmes ?? null },
    simulated: qkd?.simulated ?? false,
    authentication: {
      local: party(local, provider),
      peer: party(peer, provider),
      authorized: verdict.authorized,
      authorizationError: verdict.error?.message ?? null,
    },
    policy: { name: policy.name, ecdh: policy.ecdh, mlkem: policy.mlkem, qkd: policy.qkd },
    degraded: established.degraded.map((each) => ({ ...each })),
    serverName: established.serverName ?? null,
    alpn: established.alpn ?? null,
    epochs: { ...epochs },
    backends: Object.fromEntries(used.map((name) => [name, provider.backends[name]])),
  });
}

function secret(standing: Standing, source: string | undefined): SecretEvidence {
  return { standing, present: source !== undefined, ...(source === undefined ? {} : { source }) };
}

function party(authentication: Authentication, provider: CryptoProvider): PartyEvidence {
  const { by, scheme, pskIdentity, certificateType, chain, delegatedCredential } = authentication;
  const [leaf] = chain;
  return {
    by,
    certificates: certificateType === "X509" ? chain.length : 0,
    ...(leaf === undefined ? {} : { sha256: toHex(provider.hash("sha256").digest(leaf)) }),
    ...(scheme === undefined ? {} : { scheme }),
    ...(delegatedCredential === undefined ? {} : { delegated: true as const }),
    ...(pskIdentity === undefined ? {} : { pskIdentity: readable(pskIdentity) }),
  };
}

function readable(identity: Uint8Array): string {
  try {
    const text = fromUtf8(identity);
    return /^[\x20-\x7e]+$/.test(text) ? text : toHex(identity);
  } catch {
    return toHex(identity);
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const each of Object.values(value)) if (typeof each === "object" && each !== null) deepFreeze(each);
  return Object.freeze(value);
}
