import { type Authenticator, gmac, hmacAuthentication, signatures, wegmanCarter } from "./authentication.ts";
import type { Bootstrapped, BootstrapSettings } from "./bootstrap-settings.ts";
import { schemeOf } from "../crypto/schemes.ts";
import { UsageError } from "../protocol/errors.ts";
import { SignatureScheme } from "../protocol/iana.ts";
import { ClassicalChannel } from "./classical.ts";

/** The classical channel that a bootstrap has agreed on. Its tags are paid from the bootstrap's ledger. */
export function classicalChannel(settings: BootstrapSettings, bootstrapped: Bootstrapped): ClassicalChannel {
  return new ClassicalChannel(settings.party, bootstrapped.context, authenticatorFor(settings, bootstrapped));
}

function authenticatorFor(
  { provider, method, party, trust }: BootstrapSettings,
  { ledger, peer }: Bootstrapped,
): Authenticator {
  switch (method) {
    case "wegman-carter":
      return wegmanCarter(ledger);
    case "hmac":
      return hmacAuthentication(provider.hash("sha384"), ledger);
    case "gmac":
      return gmac(provider.aead("aes-256-gcm"), ledger);
    case "signature": {
      const [name] = trust.kind === "pki" ? trust.identity.schemes : [];
      const scheme = name === undefined ? undefined : schemeOf(SignatureScheme[name]);
      if (trust.kind !== "pki" || peer === undefined || scheme === undefined) {
        throw new UsageError("ERR_OPTION_INVALID", "`method` needs certificates to sign", {
          option: "method",
        });
      }
      const { key } = trust.identity;
      return signatures({ party, key, scheme, peerKey: peer.path.key, peerScheme: peer.scheme });
    }
  }
}
