import { concat, wipe } from "../protocol/bytes.ts";
import { ProtocolError, UsageError } from "../protocol/errors.ts";
import type { KeyExchangeGroup, PendingExchange } from "./groups.ts";
import type { Ecdh, Kem } from "./provider.ts";

/** One key exchange inside a group. Undefined stands for a peer's bytes that fail its checks. */
export interface Part {
  readonly kind: "ecdh" | "mlkem";
  readonly clientShareBytes: number;
  readonly serverShareBytes: number;
  start(): {
    readonly share: Uint8Array;
    complete(serverShare: Uint8Array): Uint8Array | undefined;
  };
  respond(clientShare: Uint8Array): Answer | undefined;
}

interface Answer {
  readonly share: Uint8Array;
  readonly secret: Uint8Array;
}

/** (EC)DHE as a part: both sides send a public key. RFC 9846 §4.3.8.2. */
export function ecdhPart(ecdh: Ecdh): Part {
  return {
    kind: "ecdh",
    clientShareBytes: ecdh.publicKeyBytes,
    serverShareBytes: ecdh.publicKeyBytes,
    start() {
      const pair = ecdh.generate();
      return { share: pair.publicKey, complete: (serverShare) => pair.agree(serverShare) };
    },
    respond(clientShare) {
      const pair = ecdh.generate();
      const secret = pair.agree(clientShare);
      return secret && { share: pair.publicKey, secret };
    },
  };
}

/** ML-KEM as a part: an encapsulation key one way, a ciphertext back. RFC 10024, draft-ietf-tls-mlkem-08. */
export function kemPart(kem: Kem): Part {
  return {
    kind: "mlkem",
    clientShareBytes: kem.encapsulationKeyBytes,
    serverShareBytes: kem.ciphertextBytes,
    start() {
      const pair = kem.generate();
      return { share: pair.encapsulationKey, complete: (serverShare) => pair.decapsulate(serverShare) };
    },
    respond(clientShare) {
      const answer = kem.encapsulate(clientShare);
      return answer && { share: answer.ciphertext, secret: answer.sharedSecret };
    },
  };
}

/**
 * Parts as one group: shares and secrets concatenated in the order given. RFC 10024.
 * A peer's share of the wrong length, or one that fails a part's check, is illegal_parameter.
 */
export function combine(
  identity: Pick<KeyExchangeGroup, "name" | "code">,
  parts: readonly Part[],
): KeyExchangeGroup {
  const sizes = { client: total(parts, "clientShareBytes"), server: total(parts, "serverShareBytes") };
  // The encapsulation-key check comes before any ECDH work is spent on a bad hello.
  const working = parts.map((_, at) => at).toSorted((a, b) => rank(parts[a]) - rank(parts[b]));
  return {
    ...identity,
    ecdh: parts.some((part) => part.kind === "ecdh"),
    mlkem: parts.some((part) => part.kind === "mlkem"),
    start: () => pending(identity.name, parts, sizes.server),
    respond(clientShare) {
      const slices = split(identity.name, "client", clientShare, parts, "clientShareBytes", sizes.client);
      const answers = new Map<number, Answer>();
      for (const at of working) {
        const answer = parts[at]?.respond(slices[at] as Uint8Array);
        if (answer === undefined) {
          wipe(...[...answers.values()].map(({ secret }) => secret));
          throw refused(identity.name, "client", parts[at]);
        }
        answers.set(at, answer);
      }
      const ordered = parts.map((_, at) => answers.get(at) as Answer);
      return {
        share: join(ordered.map(({ share }) => share)),
        secret: joinSecrets(ordered.map(({ secret }) => secret)),
      };
    },
  };
}

function pending(name: string, parts: readonly Part[], serverShareBytes: number): PendingExchange {
  let started: readonly ReturnType<Part["start"]>[] | undefined = parts.map((part) => part.start());
  return {
    share: join(started.map(({ share }) => share)),
    complete(serverShare) {
      if (started === undefined)
        throw new UsageError("ERR_STATE", `${name}: the exchange was completed before`);
      const halves = started;
      const slices = split(name, "server", serverShare, parts, "serverShareBytes", serverShareBytes);
      started = undefined;
      const secrets: Uint8Array[] = [];
      for (const [at, half] of halves.entries()) {
        const secret = half.complete(slices[at] as Uint8Array);
        if (secret === undefined) {
          wipe(...secrets);
          throw refused(name, "server", parts[at]);
        }
        secrets.push(secret);
      }
      return joinSecrets(secrets);
    },
  };
}

type ShareBytes = "clientShareBytes" | "serverShareBytes";

const total = (parts: readonly Part[], which: ShareBytes): number =>
  parts.reduce((sum, part) => sum + part[which], 0);

const rank = (part: Part | undefined): number => (part?.kind === "mlkem" ? 0 : 1);

function split(
  name: string,
  sender: "client" | "server",
  share: Uint8Array,
  parts: readonly Part[],
  which: ShareBytes,
  expectedBytes: number,
): readonly Uint8Array[] {
  if (share.length !== expectedBytes) {
    throw illegal(`${name}: the ${sender}'s key_exchange has ${share.length} bytes, not ${expectedBytes}`);
  }
  let at = 0;
  return parts.map((part) => share.subarray(at, (at += part[which])));
}

const join = (shares: readonly Uint8Array[]): Uint8Array =>
  shares.length === 1 ? (shares[0] as Uint8Array) : concat(shares);

function joinSecrets(secrets: readonly Uint8Array[]): Uint8Array {
  if (secrets.length === 1) return secrets[0] as Uint8Array;
  const joined = concat(secrets);
  wipe(...secrets);
  return joined;
}

function refused(name: string, sender: "client" | "server", part: Part | undefined): ProtocolError {
  const what = part?.kind === "mlkem" ? "ML-KEM" : "ECDH";
  return illegal(`${name}: the ${what} part of the ${sender}'s key_exchange is not valid`);
}

const illegal = (message: string): ProtocolError =>
  new ProtocolError("ERR_TLS_ILLEGAL_PARAMETER", "illegal_parameter", message);
