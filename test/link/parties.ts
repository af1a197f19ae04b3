import {
  type Authenticator,
  gmac,
  hmacAuthentication,
  signatures,
  wegmanCarter,
} from "../../src/link/authentication.ts";
import { ClassicalChannel } from "../../src/link/classical.ts";
import { Ledger, type Party } from "../../src/link/ledger.ts";
import { schemes } from "../../src/crypto/schemes.ts";
import { credentials, provider } from "../support/credentials.ts";
import { randomBits, steadyRandom } from "./noise.ts";

export const METHODS = ["wegman-carter", "hmac", "gmac", "ecdsa", "ml-dsa"] as const;
export type MethodName = (typeof METHODS)[number];

const CONTEXT = new Uint8Array(32).fill(9);

/** Bootstrap key that is the same for whoever knows the number. */
export function bootstrapKey(secret: number, byteCount = 4096) {
  const fill = (salt: number) => randomBits(8 * byteCount, steadyRandom(2 * secret + salt)).toBytes();
  return { aliceToBob: fill(0), bobToAlice: fill(1) };
}

/** One party with its ledger and its end of the channel. */
export function party(
  name: Party,
  method: MethodName,
  secret = 1,
  ledger = new Ledger(name, bootstrapKey(secret)),
): { readonly ledger: Ledger; readonly channel: ClassicalChannel } {
  return {
    ledger,
    channel: new ClassicalChannel(name, CONTEXT, authenticator(name, method, ledger, secret)),
  };
}

function authenticator(name: Party, method: MethodName, ledger: Ledger, secret: number): Authenticator {
  switch (method) {
    case "wegman-carter":
      return wegmanCarter(ledger);
    case "hmac":
      return hmacAuthentication(provider.hash("sha256"), ledger);
    case "gmac":
      return gmac(provider.aead("aes-256-gcm"), ledger);
    case "ecdsa":
    case "ml-dsa": {
      const kind = method === "ecdsa" ? "secp256r1" : "ml-dsa-65";
      const scheme = schemes.find((each) => each.kind === kind)!;
      // Who knows another secret has other keys.
      const of = (who: Party) => credentials(kind, `${who} ${secret}`).identity;
      const peer = of(name === "alice" ? "bob" : "alice");
      const peerKey = provider.verifyingKey(peer.key.spki)!;
      return signatures({ party: name, key: of(name).key, scheme, peerKey, peerScheme: scheme });
    }
  }
}
